-- name: known_positions
-- The newest position at which each document was opened or closed, and whether what is there now is a failure.
select v.document, max(array[greatest(v.opened_major, coalesce(v.closed_major, 0)),
                             case when coalesce(v.closed_major, 0) > v.opened_major then v.closed_minor
                                  when coalesce(v.closed_major, 0) = v.opened_major
                                  then greatest(v.closed_minor, v.opened_minor) else v.opened_minor end]),
       bool_or(v.closed_at is null and v.failure is not null)
  from document_versions v
 where (v.tenant = %(tenant)s) is true and v.document = any(%(documents)s)
 group by v.document;

-- name: fences
-- Topics that were truncated: older changes of theirs stay out.
select topic, major, minor from topic_fences
 where tenant = %(tenant)s and operator = %(operator)s and topic = any(%(topics)s);

-- name: raise_fence
-- Keeps changes of a topic that are older than its truncate out.
insert into topic_fences (tenant, operator, topic, major, minor)
values (%(tenant)s, %(operator)s, %(topic)s, %(major)s, %(minor)s)
on conflict (tenant, operator, topic) do update set major = excluded.major, minor = excluded.minor
 where (topic_fences.major, topic_fences.minor) < (excluded.major, excluded.minor);

-- name: allocate
-- Numbers for new versions and chunks, in advance, so that their rows need no answer.
select (select array_agg(nextval(pg_get_serial_sequence('document_versions', 'version_id')))
          from generate_series(1, %(versions)s)),
       (select array_agg(nextval(pg_get_serial_sequence('chunks', 'chunk_id'))) from generate_series(1, %(chunks)s));

-- name: close_documents
-- Closes the present versions of documents at given positions, and takes their chunks out of the present.
with ends as (
    select * from unnest(%(documents)s::text[], %(majors)s::bigint[], %(minors)s::bigint[], %(ats)s::bigint[])
             as e(document, major, minor, at)
), closed as (
    update document_versions v
       set closed_major = e.major, closed_minor = e.minor, closed_at = greatest(e.at, v.opened_at),
           overtaken = %(overtaken)s
      from ends e
     where (v.tenant = %(tenant)s) is true and v.document = e.document and v.document = any(%(documents)s)
       and v.closed_at is null
       and ((v.opened_major, v.opened_minor) < (e.major, e.minor)
            or (v.failure is not null and (v.opened_major, v.opened_minor) = (e.major, e.minor)))
    returning v.version_id
), gone as (
    select c.chunk_id, c.length from chunks c join closed using (version_id)
), hidden as (
    update chunk_vectors t set open = false from gone where t.chunk_id = gone.chunk_id
), fresh as (
    delete from lexical_recent r using gone where r.chunk_id = gone.chunk_id returning r.chunk_id
), dead as (
    insert into lexical_dead (chunk_id, tenant)
    select g.chunk_id, %(tenant)s from gone g where not exists (select from fresh f where f.chunk_id = g.chunk_id)
    on conflict do nothing
)
update corpus set chunks = corpus.chunks - g.chunks, tokens = corpus.tokens - g.tokens
  from (select count(*) as chunks, coalesce(sum(length), 0) as tokens from gone) g
 where corpus.tenant = %(tenant)s and g.chunks > 0;

-- name: close_topic
-- The present documents of a topic that a truncate ends.
select document from document_versions
 where tenant = %(tenant)s and topic = %(topic)s and closed_at is null
   and (opened_major, opened_minor) < (%(major)s::bigint, %(minor)s::bigint);

-- name: tombstone
-- Versions that were never valid: they keep older drafts, still being prepared, out.
insert into document_versions (tenant, document, source, topic, opened_major, opened_minor, opened_at,
                               closed_major, closed_minor, closed_at, overtaken, content_hash, title, text, chunks)
select %(tenant)s, e.document, e.source, e.topic, e.major, e.minor, e.at, e.major, e.minor, e.at, true, '', '', '', 0
  from unnest(%(documents)s::text[], %(sources)s::text[], %(topics)s::text[], %(majors)s::bigint[],
              %(minors)s::bigint[], %(ats)s::bigint[]) as e(document, source, topic, major, minor, at)
 where not exists (select from document_versions v
                    where (v.tenant = %(tenant)s) is true and v.document = e.document
                      and (coalesce(v.closed_major, v.opened_major), coalesce(v.closed_minor, v.opened_minor))
                          >= (e.major, e.minor));

-- name: open_documents
-- New present versions.
insert into document_versions (version_id, tenant, document, source, topic, opened_major, opened_minor, opened_at,
                               content_hash, title, text, chunks, failure, media, dated, made, layout, access, metadata)
select d.version_id, %(tenant)s, d.document, d.source, d.topic, d.major, d.minor, d.at, d.hash, d.title, d.text, d.chunks,
       d.failure::jsonb, d.media, d.dated, d.made, d.layout, d.access::jsonb, d.metadata::jsonb
  from unnest(%(versions)b::bigint[], %(documents)b::text[], %(sources)b::text[], %(topics)b::text[],
              %(majors)b::bigint[], %(minors)b::bigint[], %(ats)b::bigint[], %(hashes)b::text[], %(titles)b::text[],
              %(texts)b::text[], %(chunk_counts)b::integer[], %(failures)b::text[], %(medias)b::text[],
              %(dates)b::bigint[], %(mades)b::text[], %(layouts)b::bytea[], %(accesses)b::text[],
              %(metadatas)b::text[])
       as d(version_id, document, source, topic, major, minor, at, hash, title, text, chunks, failure, media, dated,
            made, layout, access, metadata);

-- name: forget_access
-- Who may read documents no longer counts as said up to given positions.
delete from document_access a
 using unnest(%(documents)s::text[], %(majors)s::bigint[], %(minors)s::bigint[]) as e(document, major, minor)
 where (a.tenant = %(tenant)s) is true and a.document = e.document and a.document = any(%(documents)s)
   and (a.major, a.minor) <= (e.major, e.minor);

-- name: say_access
-- Who may read documents. `groups`: JSON.
insert into document_access (tenant, document, major, minor, at, owner, groups)
select %(tenant)s, e.document, e.major, e.minor, e.at, e.owner, array(select jsonb_array_elements_text(e.groups::jsonb))
  from unnest(%(documents)s::text[], %(majors)s::bigint[], %(minors)s::bigint[], %(ats)s::bigint[], %(owners)s::text[],
              %(groups)s::text[]) as e(document, major, minor, at, owner, groups)
    on conflict (document, tenant, major, minor) do update set owner = excluded.owner, groups = excluded.groups;

-- name: narrow
-- What coming changes take away, of those that are not applied yet. One that begins a document takes nothing away where
-- no version is there to be read.
insert into document_access (tenant, document, major, minor, at, owner, groups)
select %(tenant)s, e.document, e.major, e.minor, e.at, e.owner, array(select jsonb_array_elements_text(e.groups::jsonb))
  from unnest(%(documents)s::text[], %(majors)s::bigint[], %(minors)s::bigint[], %(ats)s::bigint[], %(owners)s::text[],
              %(groups)s::text[], %(fresh)s::boolean[]) as e(document, major, minor, at, owner, groups, fresh)
 where not exists (select from document_versions v
                    where (v.tenant = %(tenant)s) is true and v.document = e.document
                      and (coalesce(v.closed_major, v.opened_major), coalesce(v.closed_minor, v.opened_minor))
                          >= (e.major, e.minor))
   and (not e.fresh or exists (select from document_versions v
                                where (v.tenant = %(tenant)s) is true and v.document = e.document))
    on conflict do nothing;

-- name: seclude
-- Leaves the documents of a topic to nobody, whatever they were made by.
with hidden as (
    update document_versions v
       set made = '', access = coalesce(v.access, '{}') || '{"own": {"owner": null, "groups": []}}'
     where (v.tenant = %(tenant)s) is true and v.topic = %(topic)s
    returning v.document, v.opened_major, v.opened_minor, v.opened_at, v.closed_at
)
insert into document_access (tenant, document, major, minor, at, groups)
select %(tenant)s, document, opened_major, opened_minor, opened_at, '{}' from hidden where closed_at is null
    on conflict (document, tenant, major, minor) do update set owner = null, groups = '{}';

-- name: restrict
-- What the configuration says of documents' present versions.
update document_versions v
   set access = nullif(case when e.access is null then coalesce(v.access, '{}') - 'source'
                            else coalesce(v.access, '{}') || jsonb_build_object('source', e.access::jsonb) end, '{}')
  from unnest(%(documents)s::text[], %(accesses)s::text[]) as e(document, access)
 where (v.tenant = %(tenant)s) is true and v.document = e.document and v.document = any(%(documents)s)
   and v.closed_at is null;

-- name: standing
-- Present versions of some documents, where they are of the given changes, and whether something was told of them.
select v.document, v.version_id, v.told_of <> '' or v.told <> ''
  from unnest(%(documents)s::text[], %(majors)s::bigint[], %(minors)s::bigint[]) as e(document, major, minor)
  join document_versions v
    on (v.tenant = %(tenant)s) is true and v.document = e.document and v.closed_at is null
   and (v.opened_major, v.opened_minor) = (e.major, e.minor);

-- name: drop_versions
-- Takes present versions away for good, their chunks out of every index.
with gone as (
    select c.chunk_id, c.length from chunks c where c.version_id = any(%(versions)s::bigint[])
), fresh as (
    delete from lexical_recent r using gone where r.chunk_id = gone.chunk_id returning r.chunk_id
), dead as (
    insert into lexical_dead (chunk_id, tenant)
    select g.chunk_id, %(tenant)s from gone g where not exists (select from fresh f where f.chunk_id = g.chunk_id)
    on conflict do nothing
), dropped as (
    delete from document_versions where version_id = any(%(versions)s::bigint[])
)
update corpus set chunks = corpus.chunks - g.chunks, tokens = corpus.tokens - g.tokens
  from (select count(*) as chunks, coalesce(sum(length), 0) as tokens from gone) g
 where corpus.tenant = %(tenant)s and g.chunks > 0;

-- name: adopt
-- Notes that present versions are what other steps make too, but for their metadata.
update document_versions v set made = a.made, layout = a.layout, metadata = a.metadata::jsonb
  from unnest(%(versions)s::bigint[], %(mades)s::text[], %(layouts)b::bytea[], %(metadatas)s::text[])
           as a(version_id, made, layout, metadata)
 where v.version_id = a.version_id;

-- name: add_chunks
-- New chunks with their vectors and postings, all in one statement.
with c as (
    select * from unnest(%(ids)b::bigint[], %(versions)b::bigint[], %(ordinals)b::integer[], %(texts)b::text[],
        %(starts)b::integer[], %(ends)b::integer[], %(headings)b::text[], %(text_hashes)b::bytea[], %(terms)b::bytea[],
        %(counts)b::bytea[], %(lengths)b::integer[], %(sources)b::text[], %(documents)b::text[], %(vectors)b::halfvec[],
        %(places)b::text[], %(topics)b::text[], %(titles)b::text[], %(ats)b::bigint[], %(copies)b::integer[])
        as c(id, version_id, ordinal, text, start_char, end_char, heading, text_hash, terms, counts, length, source,
             document, vector, place, topic, title, at, copy)
), rows as (
    insert into chunks (chunk_id, tenant, version_id, ordinal, text, start_char, end_char, heading, text_hash, terms,
                        counts, length, place, copy)
    select id, %(tenant)s, version_id, ordinal, text, start_char, end_char, heading, text_hash, terms, counts, length,
           place::jsonb, copy
      from c
), vectors as (
    insert into chunk_vectors (chunk_id, tenant, source, document, vector, topic, title, at)
    select id, %(tenant)s, source, document, vector, topic, title, at from c
), postings as (
    insert into lexical_recent (chunk_id, tenant, terms, counts, length)
    select id, %(tenant)s, terms, counts, length from c
)
update corpus set chunks = corpus.chunks + g.chunks, tokens = corpus.tokens + g.tokens
  from (select count(*) as chunks, coalesce(sum(length), 0) as tokens from c) g
 where corpus.tenant = %(tenant)s;

-- name: vectors
-- Vectors made before, by the hash of their text and model.
select distinct on (c.text_hash) c.text_hash, v.vector
  from chunks c join chunk_vectors v using (chunk_id)
 where (c.tenant = %(tenant)s) is true and c.text_hash = any(%(hashes)b::bytea[])
 order by c.text_hash;
