-- name: plan_once
-- What an unlimited search asks is found by keys and by the vectors' index, whatever the values: planning it anew each
-- time took a tenth of the search.
set local plan_cache_mode = force_generic_plan;

-- name: corpus
-- How many chunks are present and how long they are together.
select chunks, tokens from corpus where tenant = %(tenant)s;

-- name: postings
-- The packed postings of the query's terms; the content of those only that the reader does not know yet.
select p.term, p.segment, case when k.term is null then p.ids end, case when k.term is null then p.counts end,
       case when k.term is null then p.lengths end
  from lexical_postings p
  left join unnest(%(known_terms)s::bigint[], %(known_segments)s::bigint[]) as k (term, segment)
    on k.term = p.term and k.segment = p.segment
 where p.tenant = %(tenant)s and p.term = any(%(terms)s::bigint[]);

-- name: recent
-- The chunks that are not yet packed; with their terms those that the reader does not know yet.
select chunk_id, case when chunk_id > %(known)s then terms end, case when chunk_id > %(known)s then counts end, length
  from lexical_recent where tenant = %(tenant)s order by chunk_id;

-- name: recent_terms
-- The terms of some unpacked chunks.
select chunk_id, terms, counts, length from lexical_recent where chunk_id = any(%(ids)s::bigint[]);

-- name: dead
-- Chunks whose packed postings stand though they are no longer present.
select chunk_id from lexical_dead where tenant = %(tenant)s order by chunk_id;

-- name: inside_source
-- What a search is limited to, here and in the next ones: of a chunk's vector `t`, or of a document's version.
t.source = %(source)s;

-- name: inside_prefix
-- As above.
starts_with(t.document, %(prefix)s);

-- name: inside_topic
-- As above.
t.topic = %(topic)s;

-- name: inside_title
-- As above.
position(lower(%(title)s::text) in lower(t.title)) > 0;

-- name: inside_since
-- As above; `at` is the document's own time, else its commit.
t.at >= %(since)s;

-- name: inside_until
-- As above.
t.at < %(until)s;

-- name: inside_label
-- As above.
%(label)s = any(t.labels);

-- name: few_inside
-- The present chunks inside a filter, no more than a number of them. By their documents, of which there are fewer.
select coalesce(array_agg(f.chunk_id), '{}') from (
    select c.chunk_id
      from (select version_id, tenant, source, document, topic, title, labels, metadata,
                   coalesce(dated, opened_at) as at
              from document_versions where closed_at is null) t
      join chunks c using (version_id)
     where t.tenant = %(tenant)s and {inside} limit %(limit)s) f;

-- name: nearest_of_these
-- The nearest of some chunks, by looking at each.
select t.chunk_id, -(t.vector::halfvec({dimensions}) <#> %(vector)s::halfvec({dimensions})) as similarity
  from chunk_vectors t
 where t.tenant = %(tenant)s and t.open and t.chunk_id = any(%(ids)s::bigint[])
 order by similarity desc, t.chunk_id limit %(limit)s;

-- name: nearest_exact
-- The nearest present chunks, by looking at every vector (inner product, descending).
select t.chunk_id, -(t.vector::halfvec({dimensions}) <#> %(vector)s::halfvec({dimensions})) as similarity
  from chunk_vectors t
 where t.tenant = %(tenant)s and t.open and {inside}
 order by similarity desc, t.chunk_id limit %(limit)s;

-- name: nearest_of_few
-- As nearest_exact, and how all of them lie: materialized, or else it is computed again for each of them as long as the
-- planner has not seen that there are many.
with every as materialized (
    select t.chunk_id, -(t.vector::halfvec({dimensions}) <#> %(vector)s::halfvec({dimensions})) as similarity,
           {inside} as inside
      from chunk_vectors t
     where t.tenant = %(tenant)s and t.open
), spread as materialized (
    select avg(similarity) as mean, stddev_pop(similarity) as deviation from every
)
select chunk_id, similarity, mean, deviation from every, spread where inside
 order by similarity desc, chunk_id limit %(limit)s;

-- name: nearest_indexed
-- The nearest present chunks: by the index, and by looking at those that are not in it yet (inner product).
with near as materialized (
    select t.chunk_id, t.vector::halfvec({dimensions}) <#> %(vector)s::halfvec({dimensions}) as distance
      from chunk_vectors t
     where t.tenant = %(tenant)s and t.open and {entered} and {inside}
     order by t.vector::halfvec({dimensions}) <#> %(vector)s::halfvec({dimensions}) limit %(limit)s
), fresh as materialized (
    select t.chunk_id, (t.vector::halfvec({dimensions}) <#> %(vector)s::halfvec({dimensions})) + 0.0 as distance
      from chunk_vectors t
     where t.tenant = %(tenant)s and t.open and {waiting} and {inside}
     order by distance limit %(limit)s
)
select chunk_id, -distance from near union all select chunk_id, -distance from fresh
 order by 2 desc, 1 limit %(limit)s;

-- name: sample
-- Some present vectors, by which it is judged how all of them lie.
select t.vector from chunk_vectors t
 where t.tenant = %(tenant)s and t.open order by hashint8(t.chunk_id), t.chunk_id limit %(limit)s;

-- name: similarities
-- How near some chunks are (inner product).
select t.chunk_id, -(t.vector::halfvec({dimensions}) <#> %(vector)s::halfvec({dimensions}))
  from chunk_vectors t where t.tenant = %(tenant)s and t.chunk_id = any(%(ids)s::bigint[]);

-- name: allowed
-- Which of the found chunks are present and inside the filter.
select t.chunk_id from chunk_vectors t
 where t.tenant = %(tenant)s and t.open and t.chunk_id = any(%(ids)s::bigint[]) and {inside};

-- name: passages
-- Chunks with what stands around them; found by its summary (ordinal -1), a document's first one.
select c.chunk_id, v.document, s.ordinal, v.title, s.heading, s.text, s.start_char, s.end_char, v.source,
       v.opened_major, v.opened_minor, v.opened_at, s.place, v.dated, v.metadata, s.copy, s.chunk_id
  from chunks c join document_versions v using (version_id)
  join chunks s on s.version_id = c.version_id and s.ordinal = greatest(c.ordinal, 0)
 where c.tenant = %(tenant)s and c.chunk_id = any(%(ids)s::bigint[]) and {readable};

-- name: past_chunks
-- Every chunk that was valid at a point, with its terms and vector, and whether it is inside the filter.
select c.chunk_id, c.terms, c.counts, c.length,
       -(t.vector::halfvec({dimensions}) <#> %(vector)s::halfvec({dimensions})) as similarity,
       {inside} as inside
  from document_versions v
  join chunks c using (version_id) join chunk_vectors t using (chunk_id)
 where v.tenant = %(tenant)s and {valid}
 order by c.chunk_id;

-- name: neighbours
-- What stands before and behind some chunks in their own documents.
select c.chunk_id, n.ordinal - c.ordinal, n.text
  from chunks c join document_versions v using (version_id) join chunks n on n.version_id = c.version_id
   and n.ordinal between greatest(c.ordinal - %(reach)s::integer, 0) and c.ordinal + %(reach)s::integer
   and n.ordinal <> c.ordinal
 where c.tenant = %(tenant)s and c.chunk_id = any(%(ids)s::bigint[]) and {readable}
 order by c.chunk_id, n.ordinal;

-- name: document
-- One document's version.
select v.version_id, v.source, v.opened_major, v.opened_minor, v.opened_at, v.content_hash, v.title, v.text, v.chunks,
       v.failure, v.media, v.dated, v.labels, v.summary, v.metadata
  from document_versions v where v.tenant = %(tenant)s and v.document = %(document)s and {valid} and {readable}
 order by v.opened_major desc, v.opened_minor desc limit 1;

-- name: document_chunks
-- A version's chunks in order.
select chunk_id, ordinal, heading, text, start_char, end_char, place, copy from chunks
 where version_id = %(version)s and ordinal >= 0 order by ordinal;

-- name: documents
-- Documents by id, a page behind a given one.
select v.document, v.source, v.opened_major, v.opened_minor, v.opened_at, v.content_hash, v.title, v.chunks, v.failure,
       v.media, v.dated, v.labels, v.summary, v.metadata
  from document_versions v
 where v.tenant = %(tenant)s and {valid} and (%(source)s::text is null or v.source = %(source)s)
   and v.document > %(after)s and {readable}
 order by v.document limit %(limit)s;

-- name: listed
-- Some documents by id, behind a given one; ids of a prefix, and so of a source, are a range of the index.
select v.document, v.source, v.opened_major, v.opened_minor, v.opened_at, v.content_hash, v.title, v.chunks, v.failure,
       v.media, v.dated, v.labels, v.summary, v.metadata
  from document_versions v
 where v.tenant = %(tenant)s and {valid} and (%(source)s::text is null or v.source = %(source)s)
   and (%(ids)s::text[] is null or v.document = any(%(ids)s))
   and (%(failed)s::boolean is null or (v.failure is not null) = %(failed)s)
   and (%(text)s::text is null or position(lower(%(text)s::text) in lower(v.document)) > 0
        or position(lower(%(text)s::text) in lower(v.title)) > 0)
   and (%(prefix)s::text is null or starts_with(v.document, %(prefix)s))
   and (%(label)s::text is null or %(label)s = any(v.labels)) and {holds}
   and v.document > %(after)s and v.document >= %(from)s and v.document < %(to)s and {readable}
 order by v.document limit %(limit)s;
