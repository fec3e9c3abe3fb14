-- What searches are limited to stands beside each vector, so that the index of the nearest is walked under the filter.
alter table chunk_vectors
    add column topic text not null default '',
    add column title text not null default '',
    add column at bigint not null default 0; -- the document's own time, else its commit
update chunk_vectors t set topic = v.topic, title = v.title, at = coalesce(v.dated, v.opened_at)
  from chunks c join document_versions v using (version_id) where c.chunk_id = t.chunk_id;
