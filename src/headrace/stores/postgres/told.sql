-- name: counts
-- How many present documents of each topic the steps of which key are done with, and what made them.
select topic, told, made, count(*) from document_versions
 where tenant = %(tenant)s and closed_at is null group by topic, told, made order by topic, told, made;

-- name: of
-- Present documents of a topic that these steps were the last to be done with, made by some steps, the newest versions
-- first, below a given one: the beginnings of their texts, and the hash of the whole.
select version_id, document, topic, source, opened_major, opened_minor, opened_at, title, left(text, %(characters)s::integer),
       sha256(convert_to(title || chr(10) || text, 'UTF8')), failure is not null or text = '',
       case when classified <> '' then labels end, classified, summary, summarised, told
  from document_versions
 where topic = %(topic)s and told = %(told)s and closed_at is null and version_id < %(below)s::bigint and tenant = %(tenant)s
   and made = any(%(mades)s::text[])
 order by version_id desc limit %(limit)s;

-- name: document
-- As above, of one document.
select version_id, document, topic, source, opened_major, opened_minor, opened_at, title, left(text, %(characters)s::integer),
       sha256(convert_to(title || chr(10) || text, 'UTF8')), failure is not null or text = '',
       case when classified <> '' then labels end, classified, summary, summarised, told
  from document_versions
 where (tenant = %(tenant)s) is true and document = %(document)s and closed_at is null and made = any(%(mades)s::text[]);

-- name: labels
-- What a step told of this text before.
select labels from document_versions
 where told_of = %(input)b::bytea and told_of <> '' and (tenant = %(tenant)s) is true and classified = %(key)s
   and labels is not null
 limit 1;

-- name: summary
-- As above.
select summary from document_versions
 where told_of = %(input)b::bytea and told_of <> '' and (tenant = %(tenant)s) is true and summarised = %(key)s
   and summary is not null
 limit 1;

-- name: classify
-- Labels of a document's present version, if it is still of this text.
update document_versions v
   set labels = %(labels)s::text[], classified = %(key)s,
       told_of = case when %(key)s::text = '' and v.summarised = '' then '' else %(input)b::bytea end
 where (v.tenant = %(tenant)s) is true and v.document = %(document)s and v.closed_at is null
   and sha256(convert_to(v.title || chr(10) || v.text, 'UTF8')) = %(input)b::bytea
returning v.version_id;

-- name: summarise
-- The summary of a document's present version, if it is still of this text.
update document_versions v
   set summary = %(summary)s, summarised = %(key)s,
       told_of = case when %(key)s::text = '' and v.classified = '' then '' else %(input)b::bytea end
 where (v.tenant = %(tenant)s) is true and v.document = %(document)s and v.closed_at is null
   and sha256(convert_to(v.title || chr(10) || v.text, 'UTF8')) = %(input)b::bytea
returning v.version_id, v.dated;

-- name: done
-- Notes which steps are done with a document's present version, if it is still of this text.
update document_versions v set told = %(told)s
 where (v.tenant = %(tenant)s) is true and v.document = %(document)s and v.closed_at is null
   and sha256(convert_to(v.title || chr(10) || v.text, 'UTF8')) = %(input)b::bytea
returning v.version_id;

-- name: beside
-- What stands beside the vectors of some versions, as the versions have it.
update chunk_vectors t set labels = coalesce(v.labels, '{}'), title = v.title, at = coalesce(v.dated, v.opened_at)
  from chunks c join document_versions v using (version_id)
 where c.version_id = any(%(versions)s::bigint[]) and t.chunk_id = c.chunk_id
   and (t.labels, t.title, t.at) is distinct from (coalesce(v.labels, '{}'), v.title, coalesce(v.dated, v.opened_at));

-- name: drop_gists
-- Takes the entries of summaries away for good, out of every index.
with gone as (
    delete from chunks c where c.version_id = any(%(versions)s::bigint[]) and c.ordinal < 0
    returning c.chunk_id, c.length
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

-- name: set_aside
-- Makes room for versions that are put in the place of these, which go in the same transaction.
update document_versions set closed_major = opened_major, closed_minor = opened_minor, closed_at = opened_at
 where version_id = any(%(versions)s::bigint[]);

-- name: hand_on
-- What was told of versions goes to those in their place that are of the same title and text.
with same as (
    update document_versions n
       set labels = o.labels, classified = o.classified, summary = o.summary, summarised = o.summarised,
           told_of = o.told_of, told = o.told
      from unnest(%(olds)s::bigint[], %(news)s::bigint[]) as m(gone, came)
      join document_versions o on o.version_id = m.gone
     where n.version_id = m.came and n.title = o.title and n.text = o.text and n.failure is null
    returning n.version_id, m.gone
)
update chunks c set version_id = same.version_id from same where c.version_id = same.gone and c.ordinal < 0;

-- name: forget
-- What was told of some versions is not told of others.
update document_versions set told_of = '' where version_id = any(%(versions)s::bigint[]) and told_of <> '';
