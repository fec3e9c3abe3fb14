-- What the PostgreSQL source asks the source's server, in ordinary sessions. Every name is schema-qualified.

-- name: server
-- What decides whether logical replication can work at all.
select pg_catalog.current_setting('wal_level'), pg_catalog.pg_is_in_recovery(),
       pg_catalog.current_setting('server_version_num')::int,
       pg_catalog.current_setting('server_encoding')

-- name: may_replicate
-- Whether this user may use replication slots (rds_replication stands for the attribute on RDS).
select r.rolsuper or r.rolreplication
       or exists (select from pg_catalog.pg_roles g where g.rolname = 'rds_replication'
                  and pg_catalog.pg_has_role(g.oid, 'member'))
from pg_catalog.pg_roles r where r.rolname = current_user

-- name: tables
-- Every ordinary and partitioned table, with what capturing it depends on.
select c.oid::int8, n.nspname, c.relname, c.relkind::text, c.relpersistence::text, c.relreplident::text,
       greatest(c.reltuples, 0)::float8,
       case when c.relispartition
            then array(select a.relid::oid::int8 from pg_catalog.pg_partition_ancestors(c.oid) a where a.relid <> c.oid)
            else '{}'::int8[] end,
       pg_catalog.pg_has_role(c.relowner, 'usage'),
       pg_catalog.has_table_privilege(c.oid, 'select')
         and pg_catalog.has_schema_privilege(n.oid, 'usage'),
       pg_catalog.row_security_active(c.oid),
       (select l.relid::regclass::text
        from pg_catalog.pg_partition_tree(c.oid) l join pg_catalog.pg_class k on k.oid = l.relid
        where c.relkind = 'p' and l.isleaf
          and not (k.relreplident = 'f' or exists (
                select from pg_catalog.pg_index i where i.indrelid = k.oid and i.indisvalid and i.indimmediate
                and case k.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end))
        limit 1),
       exists (select from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisvalid and i.indimmediate
               and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end)
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and c.relpersistence <> 't'
  and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
order by n.nspname, c.relname

-- name: columns
-- The published columns of some tables in order: whether in the replica identity and in the primary key. Last, whether
-- rows may be stored out of line at another size than usual.
select a.attrelid::int8, a.attnum::int, a.attname, a.atttypid::int8,
       c.relreplident = 'f' or exists (
         select from pg_catalog.pg_index i where i.indrelid = c.oid and a.attnum = any (i.indkey::int2[])
         and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end),
       exists (select from pg_catalog.pg_index i where i.indrelid = c.oid and i.indisprimary
               and a.attnum = any (i.indkey::int2[])),
       a.attgenerated <> '',
       exists (select from pg_catalog.pg_partition_tree(c.oid) l join pg_catalog.pg_class k on k.oid = l.relid
               where k.reloptions::text like '%%toast_tuple_target%%')
         or c.reloptions::text like '%%toast_tuple_target%%'
from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
where a.attrelid = any (%(tables)s::oid[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum

-- name: numbers
-- A table's published columns by number: a rename leaves the number as it was, and no number is used twice.
select a.attname, a.attnum::int
from pg_catalog.pg_get_publication_tables(%(publication)s) g
     join pg_catalog.pg_attribute a on a.attrelid = g.relid
where g.relid = %(table)s::oid and a.attnum > 0 and not a.attisdropped
  and case when g.attrs is null then a.attgenerated = '' else a.attnum = any (g.attrs::int2[]) end
order by a.attnum

-- name: types
-- Types by oid: name (an array's is its element's with []), the type below a domain, and size (-1 when it varies).
with recursive below as (
  select t.oid as asked, t.oid, t.typbasetype from pg_catalog.pg_type t where t.oid = any (%(types)s::oid[])
  union all
  select b.asked, t.oid, t.typbasetype from below b join pg_catalog.pg_type t on t.oid = b.typbasetype
)
select b.asked::int8,
       case when t.typcategory = 'A' and e.oid is not null then e.typname || '[]' else t.typname::text end,
       t.oid::int8, t.typlen::int
from below b join pg_catalog.pg_type t on t.oid = b.oid
     left join pg_catalog.pg_type e on e.oid = t.typelem and t.typcategory = 'A'
where b.typbasetype = 0

-- name: publication
-- Whether a publication exists, and what it publishes.
select p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate
from pg_catalog.pg_publication p where p.pubname = %(name)s

-- name: members
-- The tables that a publication's changes come as: columns (null: all that are not generated), row filter, and the oid
-- of the row that made the table (or an ancestor, or its schema) a member: another one, when it was taken out and put
-- in again, or was given other columns or another filter.
select g.relid::int8, g.attrs::int2[]::int[], pg_catalog.pg_get_expr(g.qual, g.relid),
       coalesce(
         (select max(r.oid::int8) from pg_catalog.pg_publication_rel r
          where r.prpubid = p.oid and (r.prrelid = g.relid or r.prrelid in (
                  select a.relid from pg_catalog.pg_partition_ancestors(g.relid) a))),
         (select max(n.oid::int8) from pg_catalog.pg_publication_namespace n
          join pg_catalog.pg_class c on c.relnamespace = n.pnnspid
          where n.pnpubid = p.oid and (c.oid = g.relid or c.oid in (
                  select a.relid from pg_catalog.pg_partition_ancestors(g.relid) a))),
         p.oid::int8),
       s.nspname || '.' || t.relname
from pg_catalog.pg_publication p, pg_catalog.pg_get_publication_tables(p.pubname::text) g
     join pg_catalog.pg_class t on t.oid = g.relid join pg_catalog.pg_namespace s on s.oid = t.relnamespace
where p.pubname = %(name)s and (%(table)s::oid is null or g.relid = %(table)s::oid)

-- name: listed
-- The tables that a publication names.
select r.prrelid::int8
from pg_catalog.pg_publication p join pg_catalog.pg_publication_rel r on r.prpubid = p.oid
where p.pubname = %(name)s

-- name: names
-- The names of some tables.
select n.nspname, c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.oid = any (%(tables)s::oid[])

-- name: slot
-- Our slot: its database, plugin, state, and up to where it was told to forget.
select s.database = pg_catalog.current_database(), s.plugin = 'pgoutput', s.active, coalesce(s.wal_status, ''),
       s.confirmed_flush_lsn::text
from pg_catalog.pg_replication_slots s where s.slot_name = %(name)s

-- name: release_slot
-- Ends whoever reads the slot.
select pg_catalog.pg_terminate_backend(s.active_pid)
from pg_catalog.pg_replication_slots s where s.slot_name = %(name)s and s.active_pid is not null

-- name: retained
-- How much WAL a slot keeps, in bytes: in all, and not yet confirmed; the server's word for it; how much more it may
-- keep; and since how long (seconds) which session has had a transaction open, the oldest one.
select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), s.restart_lsn)::int8,
       pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), s.confirmed_flush_lsn)::int8,
       coalesce(s.wal_status, ''), s.safe_wal_size::int8, o.pid::int,
       extract(epoch from pg_catalog.clock_timestamp() - o.xact_start)::float8
from pg_catalog.pg_replication_slots s
     left join lateral (select a.pid, a.xact_start from pg_catalog.pg_stat_activity a
                        where a.backend_xid is not null order by a.xact_start limit 1) o on true
where s.slot_name = %(name)s

-- name: drop_slot
-- Removes our slot, if it is there.
select pg_catalog.pg_drop_replication_slot(s.slot_name)
from pg_catalog.pg_replication_slots s where s.slot_name = %(name)s

-- name: change_catalog
-- A transaction that changes the catalog, which every role may, and leaves nothing.
select pg_catalog.lo_unlink(pg_catalog.lo_create(0))

-- name: snapshot_time
-- The server's clock in the copying transaction, in microseconds since the epoch.
select (extract(epoch from pg_catalog.transaction_timestamp()) * 1000000)::int8

-- name: rewritten
-- One of some tables (or of their partitions) whose file is another now than in the snapshot: the catalog is read in
-- the snapshot, pg_relation_filenode tells the present.
select c.oid::regclass::text from pg_catalog.pg_class c
where c.oid in (select t from unnest(%(tables)s::oid[]) t
                union select l.relid from unnest(%(tables)s::oid[]) t, pg_catalog.pg_partition_tree(t) l)
  and c.relkind = 'r' and pg_catalog.pg_relation_filenode(c.oid) is distinct from c.relfilenode
limit 1

-- name: head
-- The end of what has been written to the WAL, whether or not it is on disk: every finished commit is before it.
select pg_catalog.pg_current_wal_insert_lsn()::text

-- name: nudge
-- A committed transaction of nothing but a message: it flushes the WAL and comes back through the stream.
select pg_catalog.pg_logical_emit_message(true, 'headrace', '')

-- name: heaps
-- Where the rows of some tables stand, a table's relations by oid: whether they can be read by ranges of pages, how many
-- those are, which file it is, and how many rows a page has by the planner's statistics.
select r.root::int8, c.oid::int8, n.nspname, c.relname, c.relkind = 'r' and a.amname = 'heap',
       (pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int8)::int8,
       coalesce(pg_catalog.pg_relation_filenode(c.oid), 0)::int8,
       (greatest(c.reltuples, 0) / greatest(c.relpages, 1))::float8
from (select t.t as root, t.t as oid from unnest(%(tables)s::oid[]) t
        join pg_catalog.pg_class k on k.oid = t.t and k.relkind <> 'p'
      union all
      select t.t, l.relid from unnest(%(tables)s::oid[]) t, pg_catalog.pg_partition_tree(t.t) l
        where l.isleaf and l.relid <> t.t) r
     join pg_catalog.pg_class c on c.oid = r.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     left join pg_catalog.pg_am a on a.oid = c.relam
order by r.root, c.oid

-- name: mark
-- A watermark: a committed transaction of nothing but a message, which stands in the stream at its place.
select pg_catalog.pg_logical_emit_message(true, 'headrace', %(content)s)

-- name: visible
-- Which transactions this session's snapshot shows, and the server's clock in it (microseconds since the epoch).
select pg_catalog.pg_current_snapshot()::text, (extract(epoch from pg_catalog.clock_timestamp()) * 1000000)::int8

-- name: table
-- One table as it is now: name, kind and replica identity.
select n.nspname, c.relname, c.relkind::text, c.relreplident::text
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.oid = %(table)s::oid

-- name: key_types
-- The types of some columns, as a cast is written.
select a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)
from pg_catalog.pg_attribute a where a.attrelid = %(table)s::oid and a.attname = any (%(columns)s) and a.attnum > 0

-- name: key_order
-- The columns of a table's key as its index has them.
select array_agg(a.attname::text order by k.place)
from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indrelid,
     lateral unnest(i.indkey::int2[]) with ordinality k(attnum, place), pg_catalog.pg_attribute a
where c.oid = %(table)s::oid and a.attrelid = c.oid and a.attnum = k.attnum and k.place <= i.indnkeyatts
  and case when c.relreplident = 'i' then i.indisreplident else i.indisprimary end

-- name: writers
-- Transactions that may have written to a table or to a partition of it and have not ended; those that sit idle, which
-- have not begun to commit, only with %(idle)s.
select distinct l.virtualtransaction
from pg_catalog.pg_locks l left join pg_catalog.pg_stat_activity s on s.pid = l.pid
where l.locktype = 'relation' and l.granted and l.pid is distinct from pg_catalog.pg_backend_pid()
  and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
  and l.mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
  and (l.relation = %(table)s::oid or l.relation in (select p.relid from pg_catalog.pg_partition_tree(%(table)s::oid) p))
  and (%(idle)s or s.state is distinct from 'idle in transaction')

-- name: signs
-- Changes when a table is created, dropped or altered, or gets or loses an index, or a privilege.
select (select pg_catalog.count(*)::text || ':' || coalesce(pg_catalog.sum(pg_catalog.hashint8(c.oid::int8
          + (c.xmin::text::int8 << 32))::int8), 0)::text
        from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p') and c.relpersistence <> 't' and n.nspname <> 'information_schema'
          and n.nspname !~ '^pg_')
       || '/' ||
       (select pg_catalog.count(*)::text || ':' || coalesce(pg_catalog.sum(pg_catalog.hashint8(i.indexrelid::int8
          + (i.xmin::text::int8 << 32))::int8), 0)::text
        from pg_catalog.pg_index i where i.indrelid >= 16384)

-- name: encrypted
-- The version of TLS that this session uses; no row when that cannot be seen.
select s.version from pg_catalog.pg_stat_ssl s where s.pid = pg_catalog.pg_backend_pid() and s.ssl

-- name: room
-- Slots and WAL senders in use and allowed, and whether our slot is one of them.
select (select count(*) from pg_catalog.pg_replication_slots), pg_catalog.current_setting('max_replication_slots')::int,
       (select count(*) from pg_catalog.pg_stat_activity a where a.backend_type = 'walsender'),
       pg_catalog.current_setting('max_wal_senders')::int,
       exists (select from pg_catalog.pg_replication_slots s where s.slot_name = %(slot)s)

-- name: may_create
-- Whether this user may create a publication in this database.
select pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create')

-- name: our_slots
-- Slots of Headrace at this server, and the one that is asked for: whether of this database, read, and what they keep.
select s.slot_name::text, s.database = pg_catalog.current_database() and s.plugin = 'pgoutput', s.active,
       coalesce(s.wal_status, ''),
       case when pg_catalog.pg_is_in_recovery() then null
            else pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), s.restart_lsn)::int8 end
from pg_catalog.pg_replication_slots s
where s.slot_name = %(slot)s or (s.slot_name ~ '^headrace_' and not s.temporary)
order by s.slot_name

-- name: limits
-- What may cost us the slot; settings that the server does not know are missing.
select s.name, s.setting, s.unit from pg_catalog.pg_settings s
where s.name in ('max_slot_wal_keep_size', 'idle_replication_slot_timeout')

-- name: clock
-- The server's clock, in microseconds since the epoch.
select (extract(epoch from pg_catalog.clock_timestamp()) * 1000000)::int8
