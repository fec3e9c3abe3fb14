-- What each version says of itself by name, as its document's metadata: texts, numbers, true or false, and lists of these.
-- It stands here alone: a search that is limited by it finds its documents first, or asks each candidate's version.
alter table document_versions add column metadata jsonb not null default '{}';
create index document_versions_metadata on document_versions using gin (metadata jsonb_path_ops)
    where closed_at is null and metadata <> '{}';
