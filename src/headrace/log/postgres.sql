-- name: take_over
-- Makes the caller the source's writer: an earlier writer's appends fail from here on.
insert into log_sources (tenant, source, style, epoch) values (%(tenant)s, %(source)s, %(style)s, 1)
on conflict (tenant, source) do update set epoch = log_sources.epoch + 1, style = excluded.style
returning epoch, number, major, minor, committed_at, changes, bytes;

-- name: append
-- One append of one source, atomically; raises HR001 when fenced.
select log_append(%(tenant)s, %(source)s, %(epoch)s::bigint, %(number)s::bigint, %(major)s::bigint, %(minor)s::bigint,
    %(committed_at)s::bigint, %(changes)s::bigint, %(bytes)s::bigint, %(batches)s::jsonb, %(payloads)b::bytea[],
    %(state_keys)s::text[], %(state_values)b::bytea[]);

-- name: add_topic
-- A topic with its partitions, at its first change.
with topic as (
    insert into log_topics (tenant, source, topic, partitions) values (%(tenant)s, %(source)s, %(topic)s, %(partitions)s)
    on conflict (tenant, topic) do nothing returning topic_id, partitions
)
insert into log_partitions (topic_id, partition)
select topic_id, generate_series(0, partitions - 1) from topic;

-- name: topic
-- A topic's number and its partitions' next offsets, in order.
select t.topic_id, array_agg(p.next_offset order by p.partition)
  from log_topics t join log_partitions p using (topic_id)
 where t.tenant = %(tenant)s and t.topic = %(topic)s
 group by t.topic_id;

-- name: topics
-- Every partition's extent and totals.
select t.topic, t.source, p.partition, p.first_offset, p.next_offset, p.changes, p.bytes
  from log_topics t join log_partitions p using (topic_id)
 where t.tenant = %(tenant)s
 order by t.topic, p.partition;

-- name: heads
-- The end of every source's part of the log.
select source, number, major, minor, committed_at, changes, bytes
  from log_sources where tenant = %(tenant)s order by source;

-- name: appends
-- A source's appends behind a number, in order, bounded by the number of batches.
select number, major, minor, committed_at, changes_total, bytes_total, payload
  from log_batches
 where tenant = %(tenant)s and source = %(source)s and number > %(after)s and number <= %(upto)s
 order by number, ordinal;

-- name: batches_ahead
-- Up to which append a reader takes at once: whole appends of about so many changes or bytes.
select coalesce(max(number), 0) from (
    select number, sum(count) over upto - count as changes_before,
           sum(octet_length(payload)) over upto - octet_length(payload) as bytes_before
      from log_batches where tenant = %(tenant)s and source = %(source)s and number > %(after)s
    window upto as (order by number, ordinal) order by number, ordinal limit 256
) b where changes_before < %(changes)s and bytes_before < %(bytes)s;

-- name: read
-- The batches of one partition that hold an offset or some of the changes after it.
select b.base_offset, b.payload
  from log_batches b join log_topics t using (topic_id) join log_partitions p using (topic_id, partition)
 where t.tenant = %(tenant)s and t.topic = %(topic)s and b.partition = %(partition)s
   and b.base_offset + b.count > %(offset)s
   and b.base_offset >= coalesce((select max(x.base_offset) from log_batches x
        where x.topic_id = b.topic_id and x.partition = b.partition and x.base_offset <= %(offset)s), 0)
   and b.base_offset < greatest(%(offset)s::bigint, p.first_offset) + %(changes)s
 order by b.base_offset limit %(batches)s;

-- name: state_get
-- Values of a source's state by key.
select key, value from log_state where tenant = %(tenant)s and source = %(source)s and key = any(%(keys)s);

-- name: state_scan
-- A source's state by prefix.
select key, value from log_state
 where tenant = %(tenant)s and source = %(source)s and key >= %(prefix)s and starts_with(key, %(prefix)s);

-- name: sync
-- A synchronous commit: brings every commit before it to disk.
update log_syncs set synced = synced + 1;

-- name: trim
-- Forgets old appends that every operator has applied, and moves the partitions' first offsets.
with done as (
    select * from unnest(%(sources)s::text[], %(numbers)s::bigint[]) as d(source, number)
), gone as (
    delete from log_batches b using done
     where b.tenant = %(tenant)s and b.source = done.source and b.number <= done.number and b.appended_at < %(before)s
    returning b.topic_id, b.partition, b.base_offset + b.count as upto, b.count
), firsts as (
    update log_partitions l set first_offset = greatest(l.first_offset, g.upto)
      from (select topic_id, partition, max(upto) as upto from gone group by topic_id, partition) g
     where l.topic_id = g.topic_id and l.partition = g.partition
)
select coalesce(sum(count), 0)::bigint from gone;
