-- The core: log, progress, documents and chunks, lexical index, profiles, conversations, dead letters.
-- Times are microseconds since the Unix epoch. A version is valid from the change that opened it to the one that
-- closed it (closed_at null: the present). Indexes lead with what is looked up and not with the tenant: while a table
-- is young every index that leads with the tenant looks alike to the planner.

create extension if not exists vector;

-- ---- log -----------------------------------------------------------------------------------------------------------

create table log_sources (
    tenant text not null default 'default',
    source text not null,
    style text not null,
    epoch bigint not null default 0,
    number bigint not null default 0,
    major bigint not null default 0,
    minor bigint not null default 0,
    committed_at bigint not null default 0,
    changes bigint not null default 0,
    bytes bigint not null default 0,
    primary key (tenant, source)
) with (fillfactor = 50);

create table log_topics (
    topic_id integer generated always as identity primary key,
    tenant text not null default 'default',
    source text not null,
    topic text not null,
    partitions integer not null,
    unique (tenant, topic)
);

create table log_partitions (
    topic_id integer not null references log_topics on delete cascade,
    partition integer not null,
    first_offset bigint not null default 0,
    next_offset bigint not null default 0,
    changes bigint not null default 0,
    bytes bigint not null default 0,
    primary key (topic_id, partition)
) with (fillfactor = 50);

create table log_batches (
    tenant text not null default 'default',
    source text not null,
    number bigint not null,
    ordinal integer not null,
    topic_id integer not null,
    partition integer not null,
    base_offset bigint not null,
    count integer not null,
    major bigint not null,
    minor bigint not null,
    committed_at bigint not null,
    changes_total bigint not null,
    bytes_total bigint not null,
    appended_at bigint not null default (extract(epoch from clock_timestamp()) * 1000000)::bigint,
    payload bytea not null,
    primary key (tenant, source, number, ordinal)
);
create unique index log_batches_offsets on log_batches (topic_id, partition, base_offset);

create table log_state (
    tenant text not null default 'default',
    source text not null,
    key text collate "C" not null,
    value bytea not null,
    primary key (tenant, source, key)
);

-- One row that a synchronous commit touches to bring everything before it to disk.
create table log_syncs (single boolean primary key default true check (single), synced bigint not null default 0)
    with (fillfactor = 50);
insert into log_syncs default values;

-- Appends one source's batches: `p_batches` is [[topic, partition, base offset, count], ...], one for each payload.
-- Raises when another writer has taken the source over since.
create function log_append(
    p_tenant text, p_source text, p_epoch bigint, p_number bigint, p_major bigint, p_minor bigint,
    p_committed_at bigint, p_changes bigint, p_bytes bigint, p_batches jsonb, p_payloads bytea[],
    p_state_keys text[], p_state_values bytea[]
) returns void language plpgsql as $$
declare
    total_changes bigint;
    total_bytes bigint;
    batch jsonb;
    n integer := 0;
begin
    update log_sources s
       set number = p_number, major = p_major, minor = p_minor, committed_at = p_committed_at,
           changes = s.changes + p_changes, bytes = s.bytes + p_bytes
     where s.tenant = p_tenant and s.source = p_source and s.epoch = p_epoch and s.number = p_number - 1
    returning s.changes, s.bytes into total_changes, total_bytes;
    if not found then
        raise exception 'fenced' using errcode = 'HR001';
    end if;
    for batch in select jsonb_array_elements(p_batches) loop
        n := n + 1;
        update log_partitions
           set next_offset = (batch->2)::bigint + (batch->3)::bigint, changes = changes + (batch->3)::bigint,
               bytes = bytes + length(p_payloads[n])
         where topic_id = (batch->0)::integer and partition = (batch->1)::integer;
        insert into log_batches (tenant, source, number, ordinal, topic_id, partition, base_offset, count, major, minor,
                                 committed_at, changes_total, bytes_total, payload)
        values (p_tenant, p_source, p_number, n, (batch->0)::integer, (batch->1)::integer, (batch->2)::bigint,
                (batch->3)::integer, p_major, p_minor, p_committed_at, total_changes, total_bytes, p_payloads[n]);
    end loop;
    if p_state_keys is not null then
        delete from log_state d using unnest(p_state_keys, p_state_values) as u(key, value)
         where d.tenant = p_tenant and d.source = p_source and d.key = u.key and u.value is null;
        insert into log_state (tenant, source, key, value)
        select p_tenant, p_source, u.key, u.value from unnest(p_state_keys, p_state_values) as u(key, value)
         where u.value is not null
        on conflict (tenant, source, key) do update set value = excluded.value;
    end if;
end $$;

-- ---- progress ------------------------------------------------------------------------------------------------------

create table operator_progress (
    tenant text not null default 'default',
    operator text not null,
    source text not null,
    number bigint not null,
    major bigint not null,
    minor bigint not null,
    committed_at bigint not null,
    changes bigint not null,
    bytes bigint not null,
    primary key (tenant, operator, source)
) with (fillfactor = 50);

-- Up to where history was purged: what was closed at or before these points is gone. source '': by time, in committed_at.
create table history_horizons (
    tenant text not null default 'default',
    source text not null,
    major bigint not null,
    minor bigint not null,
    committed_at bigint not null,
    primary key (tenant, source)
);

create table settings (name text primary key, value text not null);

-- ---- knowledge -----------------------------------------------------------------------------------------------------

create table document_versions (
    version_id bigint generated by default as identity primary key,
    tenant text not null default 'default',
    document text collate "C" not null,
    source text not null,
    topic text not null,
    opened_major bigint not null,
    opened_minor bigint not null,
    opened_at bigint not null,
    closed_major bigint,
    closed_minor bigint,
    closed_at bigint,
    overtaken boolean not null default false, -- closed by a delete that did not wait for its turn
    content_hash text not null,
    title text not null,
    text text not null,
    chunks integer not null,
    failure jsonb
);
create unique index document_versions_present on document_versions (document, tenant) where closed_at is null;
create index document_versions_history on document_versions (document, tenant, opened_major desc, opened_minor desc);
create index document_versions_topic on document_versions (topic, tenant) where closed_at is null;
create index document_versions_purge on document_versions (closed_at) where closed_at is not null;

create table topic_fences (
    tenant text not null default 'default',
    operator text not null,
    topic text not null,
    major bigint not null,
    minor bigint not null,
    primary key (tenant, operator, topic)
);

create table chunks (
    chunk_id bigint generated by default as identity primary key,
    tenant text not null default 'default',
    version_id bigint not null references document_versions on delete cascade,
    ordinal integer not null,
    text text not null,
    start_char integer not null,
    end_char integer not null,
    heading text not null,
    text_hash bytea not null,
    terms bytea not null,  -- int64, ascending
    counts bytea not null, -- uint16, one for each term
    length integer not null
);
create index chunks_version on chunks (version_id, ordinal);
create index chunks_text on chunks (text_hash, tenant);

create table chunk_vectors (
    chunk_id bigint primary key references chunks on delete cascade,
    tenant text not null default 'default',
    source text not null,
    document text collate "C" not null,
    open boolean not null default true,
    indexed boolean not null default false,
    vector halfvec not null
);
alter table chunk_vectors alter column vector set storage plain;
-- Entering a vector into the index of the nearest costs more than everything else that a change writes: it is done
-- afterwards, and until then the vector is looked at by itself.
create index chunk_vectors_fresh on chunk_vectors (tenant, chunk_id) where open and not indexed;

-- ---- lexical index: postings of present chunks, packed per term in segments, the newest chunks unpacked ------------

create table corpus (
    tenant text primary key default 'default',
    chunks bigint not null default 0,
    tokens bigint not null default 0
) with (fillfactor = 50);
insert into corpus default values;

create table lexical_recent (
    chunk_id bigint primary key,
    tenant text not null default 'default',
    terms bytea not null,
    counts bytea not null,
    length integer not null
);

create table lexical_dead (
    chunk_id bigint primary key,
    tenant text not null default 'default'
);

create table lexical_segments (
    segment bigint generated by default as identity primary key,
    tenant text not null default 'default',
    chunks bigint not null
);

create table lexical_postings (
    tenant text not null default 'default',
    term bigint not null,
    segment bigint not null references lexical_segments on delete cascade,
    ids bytea not null,     -- int64 chunk ids, ascending
    counts bytea not null,  -- uint16
    lengths bytea not null, -- uint16
    primary key (term, tenant, segment)
);
create index lexical_postings_segment on lexical_postings (segment);

-- ---- profiles ------------------------------------------------------------------------------------------------------

create table profile_records (
    tenant text not null default 'default',
    record text collate "C" not null,
    source text not null,
    topic text not null,
    major bigint not null,
    minor bigint not null,
    committed_at bigint not null,
    profile text,             -- null: deleted, kept as a fence against late changes
    identifiers text[] not null,
    fields jsonb,
    primary key (record, tenant)
);
create index profile_records_topic on profile_records (topic, tenant);
create index profile_records_profile on profile_records (profile, tenant) where profile is not null;

create table profile_identifiers (
    tenant text not null default 'default',
    identifier text collate "C" not null,
    record text collate "C" not null,
    profile text not null,
    primary key (identifier, tenant, record)
);
create index profile_identifiers_record on profile_identifiers (record, tenant);

create table profile_versions (
    version_id bigint generated by default as identity primary key,
    tenant text not null default 'default',
    profile text collate "C" not null,
    source text not null,
    opened_major bigint not null,
    opened_minor bigint not null,
    opened_at bigint not null,
    closed_source text,
    closed_major bigint,
    closed_minor bigint,
    closed_at bigint,
    identifiers text[] not null,
    records text[] not null,
    fields jsonb not null
);
create unique index profile_versions_present on profile_versions (profile, tenant) where closed_at is null;
create index profile_versions_history on profile_versions (profile, tenant);
create index profile_versions_identifiers on profile_versions using gin (identifiers) where closed_at is not null;
create index profile_versions_purge on profile_versions (closed_at) where closed_at is not null;

create table fact_versions (
    version_id bigint generated by default as identity primary key,
    tenant text not null default 'default',
    fact text collate "C" not null,
    source text not null,
    topic text not null,
    opened_major bigint not null,
    opened_minor bigint not null,
    opened_at bigint not null,
    closed_major bigint,
    closed_minor bigint,
    closed_at bigint,
    owners text[] not null,
    ordering jsonb,
    happens_at bigint,
    fields jsonb not null,
    text text not null
);
create unique index fact_versions_present on fact_versions (fact, tenant) where closed_at is null;
create index fact_versions_history on fact_versions (fact, tenant, opened_major desc, opened_minor desc);
create index fact_versions_owners on fact_versions using gin (owners) with (fastupdate = off) where closed_at is null;
create index fact_versions_owners_past on fact_versions using gin (owners) where closed_at is not null;
create index fact_versions_topic on fact_versions (topic, tenant) where closed_at is null;
create index fact_versions_purge on fact_versions (closed_at) where closed_at is not null;

-- ---- conversations and dead letters --------------------------------------------------------------------------------

create table conversations (
    tenant text not null default 'default',
    conversation text not null,
    asker text,
    started_at bigint not null,
    primary key (tenant, conversation)
);

create table turns (
    tenant text not null default 'default',
    conversation text not null,
    n bigint generated by default as identity,
    role text not null,
    text text not null,
    focus jsonb not null default '{}',
    at bigint not null,
    primary key (tenant, conversation, n),
    foreign key (tenant, conversation) references conversations on delete cascade
);

create table dead_letters (
    letter_id bigint generated by default as identity primary key,
    tenant text not null default 'default',
    operator text not null,
    source text not null,
    topic text not null,
    key text collate "C" not null,
    major bigint not null,
    minor bigint not null,
    committed_at bigint not null,
    step text not null,
    expected text not null,
    got text not null,
    remedy text not null,
    change bytea,
    attempts integer not null default 1,
    at bigint not null,
    resolved_at bigint
);
create unique index dead_letters_open on dead_letters (tenant, operator, topic, key) where resolved_at is null;
create index dead_letters_resolved on dead_letters (resolved_at) where resolved_at is not null;
