-- What a language model told of each version: labels and a summary (null: not told), by which step (''), and of which
-- title and text. `told`: all steps that are done with it or have given it up. Labels stand beside each vector too, as
-- all that searches are limited to.
alter table document_versions
    add column labels text[],
    add column classified text collate "C" not null default '',
    add column summary text,
    add column summarised text collate "C" not null default '',
    add column told_of bytea not null default '', -- SHA-256 of the title, a line feed and the text
    add column told text collate "C" not null default '';
create index document_versions_told on document_versions (topic, told, version_id) include (tenant, made)
    where closed_at is null;
create index document_versions_told_of on document_versions (told_of) where told_of <> '';
alter table chunk_vectors add column labels text[] not null default '{}';
alter table if exists chunk_vectors_next add column labels text[] not null default '{}';
