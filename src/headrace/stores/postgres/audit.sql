-- name: topics
-- Topics with present documents.
select topic, source, count(*) from document_versions
 where tenant = %(tenant)s and closed_at is null group by topic, source order by topic;

-- name: present
-- A topic's present documents by id, a page behind a given one.
select document, source, opened_major, opened_minor, opened_at from document_versions
 where tenant = %(tenant)s and topic = %(topic)s and closed_at is null and document > %(after)s
 order by document limit %(limit)s;

-- name: held_documents
-- Present versions of some documents.
select version_id, document, topic, source, opened_major, opened_minor, opened_at, content_hash, title,
       sha256(convert_to(text, 'UTF8')), failure is not null, media, dated, chunks,
       case when %(whole)s then text end, made, access,
       (select jsonb_object_agg(case when a.major = 0 and a.minor = 0 then 'source' else 'own' end,
                                jsonb_build_object('owner', a.owner, 'groups', to_jsonb(a.groups)))
          from document_access a
         where a.document = v.document and a.tenant = v.tenant and (a.major, a.minor) <= (v.opened_major, v.opened_minor)),
       summary, told_of = '' or told_of = sha256(convert_to(title || chr(10) || text, 'UTF8')), metadata
  from document_versions v
 where tenant = %(tenant)s and document = any(%(documents)s::text[]) and closed_at is null;

-- name: held_chunks
-- The chunks of some present versions, and what belongs to them.
select c.version_id, c.chunk_id, c.ordinal, sha256(convert_to(c.text, 'UTF8')), c.start_char, c.end_char, c.heading,
       c.text_hash, sha256(c.terms || c.counts), c.length, c.place, case when %(whole)s then c.text end,
       vector_dims(t.vector), l2_norm(t.vector), t.open,
       (t.source, t.document, t.topic, t.title, t.at, t.labels) is not distinct from
           (v.source, v.document, v.topic, v.title, coalesce(v.dated, v.opened_at), coalesce(v.labels, '{}'))
  from chunks c join document_versions v using (version_id) left join chunk_vectors t using (chunk_id)
 where c.version_id = any(%(versions)s::bigint[])
 order by c.version_id, c.ordinal, c.chunk_id;

-- name: stray_vectors
-- Vectors that are searched though their version is closed, a page behind a given one.
select t.chunk_id, v.document, v.topic
  from chunk_vectors t join chunks c using (chunk_id) join document_versions v using (version_id)
 where t.tenant = %(tenant)s and t.open and v.closed_at is not null and t.chunk_id > %(after)s
 order by t.chunk_id limit %(limit)s;

-- name: open_chunks
-- Chunks of present versions with their words, a page behind a given one.
select c.chunk_id, c.terms, c.counts, c.length
  from chunks c join document_versions v using (version_id)
 where c.tenant = %(tenant)s and v.closed_at is null and c.chunk_id > %(after)s
 order by c.chunk_id limit %(limit)s;

-- name: recent_words
-- Unpacked chunks with their words, a page behind a given one.
select chunk_id, terms, counts, length from lexical_recent
 where tenant = %(tenant)s and chunk_id > %(after)s order by chunk_id limit %(limit)s;

-- name: packed_words
-- Packed postings, a page behind a given term and segment.
select term, segment, ids, counts, lengths from lexical_postings
 where tenant = %(tenant)s and (term, segment) > (%(term)s::bigint, %(segment)s::bigint)
 order by term, segment limit %(limit)s;

-- name: dead_chunks
-- Chunks whose packed postings do not count.
select chunk_id from lexical_dead where tenant = %(tenant)s order by chunk_id;

-- name: corpus_totals
-- How many chunks are said to be present, and how long they are said to be together.
select chunks, tokens from corpus where tenant = %(tenant)s;

-- name: documents_of_chunks
-- Which documents some chunks belong to.
select c.chunk_id, v.document, v.topic from chunks c join document_versions v using (version_id)
 where c.tenant = %(tenant)s and c.chunk_id = any(%(chunks)s::bigint[]) order by c.chunk_id;
