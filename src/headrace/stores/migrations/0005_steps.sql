-- What each version was made by: the key of its chain of steps ('': by a Headrace that did not keep it), and what of its
-- text's form is not in the text ('': not kept), so that it can be cut again without its source.
create table chains (
    made text primary key,
    steps jsonb not null
);
alter table document_versions
    add column made text collate "C" not null default '',
    add column layout bytea not null default '';
create index document_versions_made on document_versions (topic, made, document) where closed_at is null;
drop index document_versions_topic; -- the new one leads with the topic too
