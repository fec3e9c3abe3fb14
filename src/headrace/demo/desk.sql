-- name: columns
-- Name and type of a table's columns in their order, and whether they are part of its primary key.
select a.attname, format_type(a.atttypid, a.atttypmod), coalesce(a.attnum = any(i.indkey), false)
from pg_attribute a
left join pg_index i on i.indrelid = a.attrelid and i.indisprimary
where a.attrelid = ('public.' || quote_ident(%(table)s))::regclass and a.attnum > 0 and not a.attisdropped
order by a.attnum;

-- name: head
-- The end of the write-ahead log: at or behind every commit that has returned.
select pg_current_wal_insert_lsn()::text;

-- name: memberships
-- Name and tier of some people.
select user_id, name, membership from users where user_id = any(%(users)s);
