"""The floor: what is possible on the same servers. `python -m bench.floor SOURCE STORE` follows the table `users`.

COPY_BOTH, pgoutput decoded, and per source transaction one asynchronous commit of the log batch, the profile rows and
the offset. No snapshot, no types, no history, no stamps, no errors: nothing that a product needs beyond the hop.
"""

from __future__ import annotations

import pickle
import select
import struct
import sys
from collections.abc import Sequence

import psycopg

STORE = """create table if not exists log (number bigserial primary key, lsn bigint, batch bytea);
create table if not exists profiles (email text primary key, city text);
create table if not exists progress (source text primary key, lsn bigint);
insert into progress values ('floor', 0) on conflict do nothing"""
APPLY = """with logged as (insert into log (lsn, batch) values (%(lsn)s, %(batch)b)),
moved as (update progress set lsn = %(lsn)s where source = 'floor')
insert into profiles select * from unnest(%(emails)s::text[], %(cities)s::text[])
on conflict (email) do update set city = excluded.city"""

Row = list[str | None]


def columns(message: bytes, at: int) -> Row:
    """A pgoutput tuple; all columns come as text here."""
    (count,) = struct.unpack_from(">H", message, at)
    at, row = at + 2, Row()
    for _ in range(count):
        kind, at = message[at : at + 1], at + 1
        if kind == b"t":
            (size,) = struct.unpack_from(">I", message, at)
            row.append(message[at + 4 : at + 4 + size].decode())
            at += 4 + size
        else:
            row.append(None)
    return row


def apply(store: psycopg.Connection, lsn: int, rows: Sequence[Row]) -> None:
    latest = {row[1]: row[2] for row in rows}
    given = {"lsn": lsn, "batch": pickle.dumps(rows), "emails": list(latest), "cities": list(latest.values())}
    store.execute(APPLY, given, prepare=True)


def follow(source: str, store: psycopg.Connection) -> None:
    with psycopg.connect(source, autocommit=True) as admin:
        admin.execute("drop publication if exists floor")
        admin.execute("create publication floor for table users")
    connection = psycopg.connect(source, replication="database", autocommit=True)
    connection.execute("CREATE_REPLICATION_SLOT floor TEMPORARY LOGICAL pgoutput")
    connection.execute("START_REPLICATION SLOT floor LOGICAL 0/0 (proto_version '1', publication_names 'floor')")
    print("following", flush=True)
    pg, rows, done = connection.pgconn, list[Row](), 0
    while True:
        size, data = pg.get_copy_data(1)
        if size < 0:
            return
        if size == 0:
            select.select([pg.socket], [], [])
            pg.consume_input()
            continue
        message = bytes(data)
        if message[:1] == b"k":
            pg.put_copy_data(struct.pack(">cQQQqB", b"r", done, done, done, 0, 0))
            pg.flush()
        elif message[25:26] in (b"I", b"U"):  # the key never changes, so an update carries the new row alone
            rows.append(columns(message, 31))
        elif message[25:26] == b"C":
            (done,) = struct.unpack_from(">Q", message, 35)
            apply(store, done, rows)
            rows = []


def main() -> None:
    with psycopg.connect(sys.argv[2], autocommit=True, options="-c synchronous_commit=off") as store:
        store.execute(STORE)
        follow(sys.argv[1], store)


if __name__ == "__main__":
    main()
