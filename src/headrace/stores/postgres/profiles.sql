-- name: connected
-- Some records, and every record that they or some identifiers reach over shared identifiers, with their profiles.
-- `offset 0` and `is true` have every table looked up by its key: in a young table the planner takes the tenant, or
-- being present, for selective.
with recursive reach(record) as (
    select r.record collate "C" from unnest(%(records)s::text[]) as r(record)
    union
    select record from profile_identifiers where (tenant = %(tenant)s) is true and identifier = any(%(identifiers)s)
    union
    select there.record from reach
     cross join lateral (select i.identifier from profile_identifiers i
                          where i.record = reach.record and (i.tenant = %(tenant)s) is true offset 0) here
     cross join lateral (select i.record from profile_identifiers i
                          where i.identifier = here.identifier and (i.tenant = %(tenant)s) is true offset 0) there
)
select r.record, r.major, r.minor, r.committed_at, r.profile, r.identifiers, r.fields, r.source, r.topic,
       v.identifiers, v.records, v.fields
  from reach
 cross join lateral (select * from profile_records p
                      where p.record = reach.record and (p.tenant = %(tenant)s) is true offset 0) r
  left join lateral (select * from profile_versions p
                      where p.profile = r.profile and p.closed_at is null and (p.tenant = %(tenant)s) is true offset 0) v
         on true;

-- name: topic_records
-- The records of a topic that a truncate ends.
select record from profile_records
 where tenant = %(tenant)s and topic = %(topic)s and profile is not null
   and (major, minor) < (%(major)s::bigint, %(minor)s::bigint);

-- name: save_records
-- Records as they are now; without a profile: deleted, kept as a fence.
insert into profile_records (tenant, record, source, topic, major, minor, committed_at, profile, identifiers, fields)
select %(tenant)s, r.record, r.source, r.topic, r.major, r.minor, r.at, r.profile, r.identifiers, r.fields
  from jsonb_to_recordset(%(rows)s::jsonb) as r(record text, source text, topic text, major bigint, minor bigint,
       at bigint, profile text, identifiers text[], fields jsonb)
on conflict (tenant, record) do update set
    major = excluded.major, minor = excluded.minor, committed_at = excluded.committed_at, profile = excluded.profile,
    identifiers = excluded.identifiers, fields = excluded.fields;

-- name: forget_identifiers
-- Takes records' identifiers away.
delete from profile_identifiers where tenant = %(tenant)s and record = any(%(records)s);

-- name: save_identifiers
-- Which record has which identifier, and the profile both belong to.
insert into profile_identifiers (tenant, identifier, record, profile)
select %(tenant)s, i.identifier, i.record, i.profile
  from unnest(%(identifiers)s::text[], %(records)s::text[], %(profiles)s::text[]) as i(identifier, record, profile);

-- name: close_profiles
-- Closes the present versions of profiles.
update profile_versions v
   set closed_source = e.source, closed_major = e.major, closed_minor = e.minor, closed_at = greatest(e.at, v.opened_at)
  from jsonb_to_recordset(%(rows)s::jsonb) as e(profile text, source text, major bigint, minor bigint, at bigint)
 where (v.tenant = %(tenant)s) is true and v.profile = e.profile and v.profile = any(%(profiles)s)
   and v.closed_at is null;

-- name: add_profiles
-- New present versions of profiles.
insert into profile_versions (tenant, profile, source, opened_major, opened_minor, opened_at, identifiers, records, fields)
select %(tenant)s, p.profile, p.source, p.major, p.minor, p.at, p.identifiers, p.records, p.fields
  from jsonb_to_recordset(%(rows)s::jsonb) as p(profile text, source text, major bigint, minor bigint, at bigint,
       identifiers text[], records text[], fields jsonb);

-- name: known_facts
-- The newest position at which each fact was opened or closed, and whether it is there now.
select fact, max(array[greatest(opened_major, coalesce(closed_major, 0)),
                       case when coalesce(closed_major, 0) > opened_major then closed_minor
                            when coalesce(closed_major, 0) = opened_major then greatest(closed_minor, opened_minor)
                            else opened_minor end]),
       bool_or(closed_at is null)
  from fact_versions where (tenant = %(tenant)s) is true and fact = any(%(facts)s) group by fact;

-- name: close_facts
-- Closes the present versions of facts.
update fact_versions v
   set closed_major = e.major, closed_minor = e.minor, closed_at = greatest(e.at, v.opened_at)
  from jsonb_to_recordset(%(rows)s::jsonb) as e(fact text, major bigint, minor bigint, at bigint)
 where (v.tenant = %(tenant)s) is true and v.fact = e.fact and v.fact = any(%(facts)s) and v.closed_at is null
   and (v.opened_major, v.opened_minor) < (e.major, e.minor);

-- name: close_topic_facts
-- Closes every present fact of a truncated topic.
update fact_versions
   set closed_major = %(major)s, closed_minor = %(minor)s, closed_at = greatest(%(at)s, opened_at)
 where tenant = %(tenant)s and topic = %(topic)s and closed_at is null
   and (opened_major, opened_minor) < (%(major)s::bigint, %(minor)s::bigint);

-- name: add_facts
-- New present versions of facts.
insert into fact_versions (tenant, fact, source, topic, opened_major, opened_minor, opened_at, owners, ordering,
                           happens_at, fields, text)
select %(tenant)s, f.fact, f.source, f.topic, f.major, f.minor, f.at, f.owners, f.ordering, f.happens, f.fields, f.text
  from jsonb_to_recordset(%(rows)s::jsonb) as f(fact text, source text, topic text, major bigint, minor bigint,
       at bigint, owners text[], ordering jsonb, happens bigint, fields jsonb, text text);

-- name: find_profile
-- The profile that an identifier belongs to now.
select profile from profile_identifiers where tenant = %(tenant)s and identifier = %(identifier)s limit 1;

-- name: profile
-- One profile's version, by id or by identifier.
select v.profile, v.source, v.opened_major, v.opened_minor, v.opened_at, v.identifiers, v.records, v.fields
  from profile_versions v
 where v.tenant = %(tenant)s and {valid}
   and (v.profile = %(id)s or v.profile = (select profile from profile_identifiers i
        where i.tenant = %(tenant)s and i.identifier = %(id)s limit 1))
 limit 1;

-- name: past_profile
-- One profile's version at a point, by id or by an identifier that it had then.
select v.profile, v.source, v.opened_major, v.opened_minor, v.opened_at, v.identifiers, v.records, v.fields
  from profile_versions v
 where v.tenant = %(tenant)s and {valid} and (v.profile = %(id)s or v.identifiers @> array[%(id)s::text])
 limit 1;

-- name: profiles
-- Profiles by id, a page behind a given one.
select v.profile, v.source, v.opened_major, v.opened_minor, v.opened_at, v.identifiers, v.records, v.fields
  from profile_versions v where v.tenant = %(tenant)s and {valid} and v.profile > %(after)s
 order by v.profile limit %(limit)s;

-- name: facts
-- The newest facts of an owner in one topic, with how many there are.
select v.fact, v.source, v.opened_major, v.opened_minor, v.opened_at, v.fields, v.text, v.happens_at
  from fact_versions v
 where v.tenant = %(tenant)s and v.owners && %(owners)s::text[] and v.topic = %(topic)s and {valid}
 order by v.ordering desc nulls last, v.fact limit %(keep)s;

-- name: aggregates
-- Aggregates over all facts of an owner in one topic; {columns} are expressions over parameters only.
select {columns}
  from fact_versions v
 where v.tenant = %(tenant)s and v.owners && %(owners)s::text[] and v.topic = %(topic)s and {valid};
