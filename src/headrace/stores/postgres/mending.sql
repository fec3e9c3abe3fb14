-- name: displace
-- Ends every version that reaches beyond a point there, or (begun at it or later) makes it as if it had never been.
update document_versions v
   set closed_major = case when (v.opened_major, v.opened_minor) < (e.major, e.minor) then e.major
                           else v.opened_major end,
       closed_minor = case when (v.opened_major, v.opened_minor) < (e.major, e.minor) then e.minor
                           else v.opened_minor end,
       closed_at = greatest(case when (v.opened_major, v.opened_minor) < (e.major, e.minor) then e.at
                                 else v.opened_at end, v.opened_at),
       overtaken = false
  from unnest(%(documents)s::text[], %(majors)s::bigint[], %(minors)s::bigint[], %(ats)s::bigint[])
           as e(document, major, minor, at)
 where (v.tenant = %(tenant)s) is true and v.document = e.document and v.document = any(%(documents)s)
   and (v.closed_at is null or (v.closed_major, v.closed_minor) > (e.major, e.minor))
returning v.version_id;

-- name: chunks_of
-- The chunks of some versions.
select chunk_id from chunks where version_id = any(%(versions)s::bigint[]);

-- name: hide
-- Takes chunks out of every index.
with gone as (
    select unnest(%(chunks)s::bigint[]) as chunk_id
), hidden as (
    update chunk_vectors t set open = false from gone where t.chunk_id = gone.chunk_id and t.open
), fresh as (
    delete from lexical_recent r using gone where r.chunk_id = gone.chunk_id
)
insert into lexical_dead (chunk_id, tenant) select chunk_id, %(tenant)s from gone on conflict do nothing;

-- name: recount
-- Counts the present chunks anew.
update corpus set chunks = g.chunks, tokens = g.tokens
  from (select count(*) as chunks, coalesce(sum(c.length), 0) as tokens
          from document_versions v join chunks c using (version_id)
         where v.tenant = %(tenant)s and v.closed_at is null) g
 where corpus.tenant = %(tenant)s;
