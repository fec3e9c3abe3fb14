-- Where in its file a chunk stands, and what a document's content is and says of its own time.
alter table chunks add column place jsonb; -- {page, last_page, slide, sheet, member}, those that there are
alter table document_versions add column media text;
alter table document_versions add column dated bigint; -- microseconds since the Unix epoch; null: it states none
