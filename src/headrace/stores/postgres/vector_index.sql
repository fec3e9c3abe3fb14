-- name: indexes
-- The indexes of present vectors, whether each is whole, and whether somebody is building it at this moment.
select c.relname, i.indisvalid and i.indisready, exists (select from pg_stat_progress_create_index p where p.index_relid = c.oid)
  from pg_index i join pg_class c on c.oid = i.indexrelid
 where i.indrelid = 'chunk_vectors'::regclass and c.relname ~ '^chunk_vectors_present_';

-- name: first
-- The index of present vectors of one number of dimensions, while there are none.
create index if not exists {name} on chunk_vectors
    using hnsw ((vector::halfvec({dimensions})) halfvec_ip_ops) with (ef_construction = {breadth}) where open and indexed;

-- name: build
-- An index of those that are there now, and of those that are entered later. Nobody waits for it.
create index concurrently {name} on chunk_vectors
    using hnsw ((vector::halfvec({dimensions})) halfvec_ip_ops) with (ef_construction = {breadth}) where open and (indexed or chunk_id < {below});

-- name: drop
-- An index that is in nobody's way while it goes.
drop index concurrently if exists {name};

-- name: analyze
-- After a load the planner knows nothing of what came.
analyze chunk_vectors;

-- name: waiting
-- How many present chunks are not in the index, the last of them, and how many chunks are present.
select count(*), max(t.chunk_id), (select chunks from corpus where tenant = %(tenant)s)
  from chunk_vectors t where t.tenant = %(tenant)s and t.open and not t.indexed and t.chunk_id >= %(below)s;

-- name: enter
-- Enters a few vectors into the index, but for those that are being closed at this moment.
update chunk_vectors set indexed = true where chunk_id in (
    select chunk_id from chunk_vectors
     where tenant = %(tenant)s and open and not indexed and chunk_id >= %(below)s
     order by chunk_id limit %(limit)s for update skip locked);

-- name: done
-- How many vectors a build has gone through.
select coalesce(max(tuples_done), 0) from pg_stat_progress_create_index where pid = %(pid)s;
