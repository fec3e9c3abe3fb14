-- name: begin_snapshot
-- One view of everything from the next statement on.
begin isolation level repeatable read read only;

-- name: progress
-- How far every operator has applied every source.
select operator, source, number, major, minor, committed_at, changes, bytes
  from operator_progress where tenant = %(tenant)s;

-- name: save_progress
-- How far one operator has applied one source; never goes back.
insert into operator_progress (tenant, operator, source, number, major, minor, committed_at, changes, bytes)
values (%(tenant)s, %(operator)s, %(source)s, %(number)s, %(major)s, %(minor)s, %(committed_at)s, %(changes)s, %(bytes)s)
on conflict (tenant, operator, source) do update set
    number = excluded.number, major = excluded.major, minor = excluded.minor, committed_at = excluded.committed_at,
    changes = excluded.changes, bytes = excluded.bytes
 where operator_progress.number <= excluded.number;

-- name: rewind
-- Lets an operator see a source's log again from its start.
update operator_progress set number = 0, changes = 0, bytes = 0
 where tenant = %(tenant)s and operator = %(operator)s and source = %(source)s;

-- name: setting
-- One remembered setting.
select value from settings where name = %(name)s;

-- name: save_setting
-- Remembers a setting.
insert into settings (name, value) values (%(name)s, %(value)s) on conflict (name) do update set value = excluded.value;

-- name: put_letter
-- Records a failure; the same one again counts another attempt.
insert into dead_letters (tenant, operator, source, topic, key, major, minor, committed_at, step, expected, got, remedy,
                          change, at)
values (%(tenant)s, %(operator)s, %(source)s, %(topic)s, %(key)s, %(major)s, %(minor)s, %(committed_at)s, %(step)s,
        %(expected)s, %(got)s, %(remedy)s, %(change)b::bytea, %(at)s)
on conflict (tenant, operator, topic, key) where resolved_at is null do update set
    major = excluded.major, minor = excluded.minor, committed_at = excluded.committed_at, step = excluded.step,
    expected = excluded.expected, got = excluded.got, remedy = excluded.remedy, change = excluded.change,
    at = excluded.at, attempts = dead_letters.attempts + 1
 where (dead_letters.major, dead_letters.minor) <= (excluded.major, excluded.minor);

-- name: settle_letters
-- What a newer change put right.
update dead_letters d set resolved_at = %(at)s
  from unnest(%(topics)s::text[], %(keys)s::text[]) as k(topic, key)
 where d.tenant = %(tenant)s and d.operator = %(operator)s and d.topic = k.topic and d.key = k.key
   and d.resolved_at is null and (d.major, d.minor) <= (%(major)s::bigint, %(minor)s::bigint);

-- name: letters
-- Dead letters, newest first; with their changes, which may be whole documents, one alone and those of capture.
select letter_id, operator, source, topic, key, major, minor, committed_at, step, expected, got, remedy, at, attempts,
       resolved_at, case when %(id)s::bigint is not null or operator = 'capture' then change end
  from dead_letters
 where tenant = %(tenant)s and (resolved_at is null or not %(open_only)s)
   and (%(id)s::bigint is null or letter_id = %(id)s)
 order by letter_id desc limit %(limit)s;

-- name: letter_counts
-- Open dead letters per operator.
select operator, source, count(*) from dead_letters where tenant = %(tenant)s and resolved_at is null group by 1, 2;

-- name: begin_conversation
-- A conversation, at its first turn.
insert into conversations (tenant, conversation, asker, started_at)
values (%(tenant)s, %(conversation)s, %(asker)s, %(at)s) on conflict do nothing;

-- name: save_turn
-- One turn.
insert into turns (tenant, conversation, role, text, focus, at, documents)
values (%(tenant)s, %(conversation)s, %(role)s, %(text)s, %(focus)s::jsonb, %(at)s, %(documents)s::text[]);

-- name: asker
-- Whose conversation it is.
select asker from conversations where tenant = %(tenant)s and conversation = %(conversation)s;

-- name: counts
-- What the status shows: documents by stage, profiles, and the database's size.
select (select count(*) from document_versions where tenant = %(tenant)s and closed_at is null and failure is null),
       (select count(*) from document_versions where tenant = %(tenant)s and closed_at is null and failure is not null),
       (select count(*) from profile_versions where tenant = %(tenant)s and closed_at is null),
       current_setting('server_version'), pg_database_size(current_database());

-- name: horizons
-- Up to where history was purged, per source.
select source, major, minor, committed_at from history_horizons where tenant = %(tenant)s;

-- name: purge_documents
-- Forgets closed versions of documents after their time, and remembers up to where.
with gone as (
    delete from document_versions where tenant = %(tenant)s and closed_at < %(before)s
    returning source as source, closed_major as major, closed_minor as minor, closed_at
), ends as (
    select distinct on (source) source, major, minor, max(closed_at) over (partition by source) as closed_at
      from gone order by source, major desc, minor desc
), kept as (
    insert into history_horizons as h (tenant, source, major, minor, committed_at)
    select %(tenant)s, source, major, minor, closed_at from ends
    on conflict (tenant, source) do update set
        major = case when (excluded.major, excluded.minor) > (h.major, h.minor) then excluded.major else h.major end,
        minor = case when (excluded.major, excluded.minor) > (h.major, h.minor) then excluded.minor else h.minor end,
        committed_at = greatest(h.committed_at, excluded.committed_at)
)
select count(*) from gone;

-- name: purge_profiles
-- Forgets closed versions of profiles after their time, and remembers up to where.
with gone as (
    delete from profile_versions where tenant = %(tenant)s and closed_at < %(before)s
    returning coalesce(closed_source, source) as source, closed_major as major, closed_minor as minor, closed_at
), ends as (
    select distinct on (source) source, major, minor, max(closed_at) over (partition by source) as closed_at
      from gone order by source, major desc, minor desc
), kept as (
    insert into history_horizons as h (tenant, source, major, minor, committed_at)
    select %(tenant)s, source, major, minor, closed_at from ends
    on conflict (tenant, source) do update set
        major = case when (excluded.major, excluded.minor) > (h.major, h.minor) then excluded.major else h.major end,
        minor = case when (excluded.major, excluded.minor) > (h.major, h.minor) then excluded.minor else h.minor end,
        committed_at = greatest(h.committed_at, excluded.committed_at)
)
select count(*) from gone;

-- name: purge_facts
-- Forgets closed versions of facts after their time, and remembers up to where.
with gone as (
    delete from fact_versions where tenant = %(tenant)s and closed_at < %(before)s
    returning source as source, closed_major as major, closed_minor as minor, closed_at
), ends as (
    select distinct on (source) source, major, minor, max(closed_at) over (partition by source) as closed_at
      from gone order by source, major desc, minor desc
), kept as (
    insert into history_horizons as h (tenant, source, major, minor, committed_at)
    select %(tenant)s, source, major, minor, closed_at from ends
    on conflict (tenant, source) do update set
        major = case when (excluded.major, excluded.minor) > (h.major, h.minor) then excluded.major else h.major end,
        minor = case when (excluded.major, excluded.minor) > (h.major, h.minor) then excluded.minor else h.minor end,
        committed_at = greatest(h.committed_at, excluded.committed_at)
)
select count(*) from gone;

-- name: purge_letters
-- Forgets resolved dead letters after their time.
delete from dead_letters where tenant = %(tenant)s and resolved_at < %(before)s;

-- name: purge_access
-- Forgets who might read documents of which no version is left, and none is coming.
delete from document_access a where a.tenant = %(tenant)s and a.at < %(before)s
   and not exists (select from document_versions v where v.document = a.document and v.tenant = a.tenant)
   and (a.major = 0 or exists (select from operator_progress p
                                where p.tenant = a.tenant and p.operator = 'knowledge'
                                  and p.source = split_part(a.document, '/', 1)
                                  and (p.major, p.minor) >= (a.major, a.minor)));

-- name: dimensions
-- How long the vectors are that there are: all are of one model.
select vector_dims(vector) from chunk_vectors limit 1;
