-- name: made
-- How many present documents of each topic were made by which steps.
select topic, source, made, count(*) from document_versions
 where tenant = %(tenant)s and closed_at is null group by topic, source, made order by topic, made;

-- name: chains
-- The steps of each key.
select made, steps from chains;

-- name: of
-- A topic's present documents that were made by some steps, a page behind a given one.
select document, source, opened_major, opened_minor, opened_at from document_versions
 where topic = %(topic)s and made = %(made)s and closed_at is null and document > %(after)s and tenant = %(tenant)s
 order by document limit %(limit)s;

-- name: stored
-- Present versions with everything that they can be cut from again.
select document, topic, source, opened_major, opened_minor, opened_at, content_hash, title, text, failure is not null,
       media, dated, made, layout, access, metadata
  from document_versions
 where tenant = %(tenant)s and document = any(%(documents)s::text[]) and closed_at is null;

-- name: ever
-- A source's documents of which there is any version, a page behind a given one.
select distinct document from document_versions
 where tenant = %(tenant)s and source = %(source)s and document > %(after)s
 order by document limit %(limit)s;

-- name: keep_chain
-- Remembers what the steps of a key are.
insert into chains (made, steps) values (%(made)s, %(steps)s) on conflict do nothing;
