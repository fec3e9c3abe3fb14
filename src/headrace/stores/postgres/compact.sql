-- name: recent_count
-- How many chunks are not yet packed.
select count(*) from lexical_recent where tenant = %(tenant)s;

-- name: take_recent
-- Takes the unpacked chunks away, but for those that are being closed at this moment.
delete from lexical_recent where chunk_id in (
    select chunk_id from lexical_recent where tenant = %(tenant)s order by chunk_id limit %(limit)s
    for update skip locked)
returning chunk_id, terms, counts, length;

-- name: segments
-- The segments, smallest first, and how many dead postings' chunks there are.
select segment, chunks from lexical_segments where tenant = %(tenant)s order by chunks, segment;

-- name: dead
-- Chunks whose packed postings no longer count.
select chunk_id from lexical_dead where tenant = %(tenant)s;

-- name: segment_postings
-- Everything that some segments hold, term by term.
select term, ids, counts, lengths from lexical_postings
 where tenant = %(tenant)s and segment = any(%(segments)s::bigint[]) order by term;

-- name: add_segment
-- A new segment.
insert into lexical_segments (tenant, chunks) values (%(tenant)s, %(chunks)s) returning segment;

-- name: copy_postings
-- A segment's postings.
copy lexical_postings (tenant, term, segment, ids, counts, lengths) from stdin (format binary);

-- name: drop_segments
-- Segments that were merged into another.
delete from lexical_segments where tenant = %(tenant)s and segment = any(%(segments)s::bigint[]);

-- name: bury
-- Dead chunks whose postings are gone.
delete from lexical_dead where tenant = %(tenant)s and chunk_id = any(%(ids)s::bigint[]);
