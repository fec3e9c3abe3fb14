-- name: there
-- Whether vectors of another model are there.
select to_regclass('chunk_vectors_next') is not null;

-- name: make
-- Room for them: as that of those that are searched, but for the index of the nearest.
create table chunk_vectors_next (like chunk_vectors including defaults including constraints including storage);
alter table chunk_vectors_next
    add constraint chunk_vectors_next_pkey primary key (chunk_id),
    add constraint chunk_vectors_next_chunk_id_fkey foreign key (chunk_id) references chunks on delete cascade;
create index chunk_vectors_next_fresh on chunk_vectors_next (tenant, chunk_id) where open and not indexed;

-- name: drop
-- Lets go of them.
drop table if exists chunk_vectors_next;

-- name: forget
-- A setting that is no more.
delete from settings where name = %(name)s;

-- name: counts
-- How many chunks have one, and how many there are.
select (select count(*) from chunk_vectors_next where tenant = %(tenant)s),
       (select count(*) from chunk_vectors where tenant = %(tenant)s);

-- name: bare
-- Chunks without one, a page behind a given one.
select v.chunk_id, d.title, c.heading, c.text, c.text_hash
  from chunk_vectors v join chunks c using (chunk_id) join document_versions d using (version_id)
 where v.tenant = %(tenant)s and v.chunk_id > %(after)s
   and not exists (select from chunk_vectors_next n where n.chunk_id = v.chunk_id)
 order by v.chunk_id limit %(limit)s;

-- name: fill
-- Vectors of chunks; those that end at this moment are left out.
insert into chunk_vectors_next (chunk_id, tenant, source, document, open, indexed, vector, topic, title, at, labels)
select v.chunk_id, v.tenant, v.source, v.document, v.open, %(indexed)s, f.vector, v.topic, v.title, v.at, v.labels
  from unnest(%(chunks)s::bigint[], %(vectors)b::halfvec[]) as f(chunk_id, vector)
  join chunk_vectors v using (chunk_id) join chunks c using (chunk_id)
   for key share of c
    on conflict (chunk_id) do nothing;

-- name: present
-- How many chunks are present.
select chunks from corpus where tenant = %(tenant)s;

-- name: index
-- The index of the nearest over them: as that of those that are searched.
set local maintenance_work_mem = '{memory}MB';
create index if not exists chunk_vectors_next_present_{dimensions} on chunk_vectors_next
    using hnsw ((vector::halfvec({dimensions})) halfvec_ip_ops) with (ef_construction = {breadth}) where open and indexed;

-- name: hold
-- Nobody else is at either until the transaction ends; gives up soon.
set local synchronous_commit = on;
set local lock_timeout = '2s'; -- longer than the server takes to end an autovacuum that stands in the way
lock table chunk_vectors, chunk_vectors_next in access exclusive mode;

-- name: catch_up
-- Chunks that were closed, or labelled, since they got theirs.
update chunk_vectors_next n set open = v.open, labels = v.labels
  from chunk_vectors v
 where v.chunk_id = n.chunk_id and (v.open, v.labels) is distinct from (n.open, n.labels);

-- name: swap
-- They take the place of the others, which go.
drop table chunk_vectors;
alter table chunk_vectors_next rename to chunk_vectors;
alter table chunk_vectors rename constraint chunk_vectors_next_pkey to chunk_vectors_pkey;
alter table chunk_vectors rename constraint chunk_vectors_next_chunk_id_fkey to chunk_vectors_chunk_id_fkey;
alter index chunk_vectors_next_fresh rename to chunk_vectors_fresh;
alter index if exists chunk_vectors_next_present_{dimensions} rename to chunk_vectors_present_{dimensions};
