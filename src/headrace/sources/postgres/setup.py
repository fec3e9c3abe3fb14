"""What stands at the server for us: tables that match and can be captured, our publication, our slot."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, LiteralString, cast

import structlog
from psycopg import AsyncConnection, errors, sql

from headrace.errors import SourceError
from headrace.sources.postgres.options import Options
from headrace.sources.postgres.pgoutput import Relation, RelationColumn
from headrace.sources.postgres.problems import SlotGone, lost, wal_level
from headrace.sources.postgres.replication import Identity, Replication, parse_lsn
from headrace.sources.postgres.values import Type
from headrace.sources.postgres.watermarks import Visible
from headrace.sqlfile import load

SQL = load(Path(__file__).with_name("statements.sql"))
Connection = AsyncConnection[Any]
_MAX_NAME = 63
_log = structlog.get_logger(__name__)
_STORED_GENERATED = 180000


@dataclass(frozen=True, slots=True)
class Found:
    """A table that matches. `refused` says (expected, got, remedy) when it cannot be captured."""

    oid: int
    schema: str
    name: str
    kind: str
    identity: str
    rows: int
    ancestors: tuple[int, ...]
    refused: tuple[str, str, str] | None

    @property
    def table(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Described:
    """A table as its stream will describe it. `hidden`: what it sends does not tell a row's
    size (columns that are not published) or from which size on it is stored out of line. `filter`: an SQL condition on
    the rows that are published."""

    found: Found
    relation: Relation
    primary_key: tuple[str, ...]
    hidden: bool
    filter: str | None


@dataclass(frozen=True, slots=True)
class Member:
    """How a publication publishes a table. `columns`: their numbers, None for all that are not generated. `since`:
    another one when it was taken out and put in again, or was given other columns or another filter."""

    table: str
    columns: frozenset[int] | None
    filter: str | None
    since: int


Members = Mapping[int, Member]


@dataclass(frozen=True, slots=True)
class Names:
    """What we use at the server. `ours`: we make the publication, and alter it when tables come and go."""

    publication: str
    slot: str
    ours: bool

    @classmethod
    def of(cls, id: str, source: str, options: Options) -> Names:
        name = object_name(id, source)
        return cls(options.publication or name, options.slot or name, options.publication is None)


def object_name(id: str, source: str) -> str:
    """The name of our slot and publication: `headrace_`, the installation, the source; at most 63 characters."""
    name = "headrace_" + re.sub(r"[^a-z0-9_]", "_", f"{id}_{source}".lower())
    if len(name) <= _MAX_NAME and name == f"headrace_{id}_{source}":
        return name
    return f"{name[: _MAX_NAME - 9]}_{hashlib.sha256(f'{id}/{source}'.encode()).hexdigest()[:8]}"


class Unfit(SourceError):
    """The server cannot do logical replication for this user. `check`: what about it."""

    check = "server"

    def about(self, check: str) -> Unfit:
        self.check = check
        return self


async def check_server(connection: Connection, shown: str) -> None:
    """Raises SourceError when the server cannot do logical replication for this user."""
    async for problem in server_problems(connection, shown):
        raise problem


async def server_problems(connection: Connection, shown: str) -> AsyncGenerator[Unfit]:
    """Everything that keeps it from logical replication for this user."""
    row = await (await connection.execute(SQL["server"])).fetchone()
    assert row is not None
    level, standby, version, encoding = row
    if level != "logical":
        yield Unfit(**wal_level(level)).about("wal_level")
    if standby:
        yield _refuse(shown, "a primary server", "a standby", "Give the address of the primary.").about("role")
    if version < 150000:
        old = f"version {version // 10000}"
        yield _refuse(shown, "PostgreSQL 15 or newer", old, "Upgrade the source's server.").about("version")
    if encoding == "SQL_ASCII":
        remedy = "Recreate the database with UTF8."
        yield _refuse(shown, "a database with an encoding", "SQL_ASCII", remedy).about("encoding")
    allowed = await (await connection.execute(SQL["may_replicate"])).fetchone()
    if allowed is None or not allowed[0]:
        yield _refuse(
            shown,
            "a user with the REPLICATION attribute",
            "a user without it",
            "ALTER ROLE ... REPLICATION (on RDS: GRANT rds_replication TO ...).",
        ).about("privileges")


def _refuse(shown: str, expected: str, got: str, remedy: str) -> Unfit:
    return Unfit(step=f"check {shown}", expected=expected, got=got, remedy=remedy)


async def discover(
    connection: Connection,
    shown: str,
    patterns: Sequence[str],
    members: Members | None = None,
    *,
    empty: bool = False,
) -> list[Found]:
    """The tables that match, partitions left out whose root matches too; of somebody else's publication its `members`
    that match. Raises SourceError when there are none, unless that may be."""
    rows = await (await connection.execute(SQL["tables"])).fetchall()
    if members is not None:
        rows = [row for row in rows if row[0] in members]
    matched = [row for row in rows if matches(f"{row[1]}.{row[2]}", patterns)]
    if not matched and not empty:
        raise SourceError(
            step=f"find the tables of {shown}",
            expected=f"at least one table that matches {', '.join(patterns)}",
            got=f"none among the {len(rows)} tables that "
            + ("this user can see" if members is None else "the publication has"),
            remedy="Correct `tables` of the source: patterns of schema.table, such as public.*",
        )
    if members is not None:
        return [_found(row, ours=False) for row in matched]
    oids = {row[0] for row in matched}
    return [_found(row, ours=True) for row in matched if oids.isdisjoint(row[7])]


def matches(table: str, patterns: Sequence[str]) -> bool:
    """Whether `schema.table` is meant; a pattern without a schema means public."""
    return any(fnmatchcase(table, p if "." in p else f"public.{p}") for p in patterns)


def _found(row: Sequence[Any], *, ours: bool) -> Found:
    oid, schema, name, kind, persistence, identity, rows, ancestors, owner, readable, secured, leaf, indexed = row
    quoted = f'"{schema}"."{name}"'
    refused: tuple[str, str, str] | None = None
    if persistence == "u":
        refused = ("a table that writes to the WAL", "an unlogged table", f"ALTER TABLE {quoted} SET LOGGED.")
    elif identity == "n" or not (identity == "f" or indexed):
        refused = (
            "a primary key or another replica identity",
            "none: to publish the table would make its own UPDATE and DELETE fail",
            f"ALTER TABLE {quoted} ADD PRIMARY KEY (...), or ALTER TABLE {quoted} REPLICA IDENTITY FULL; "
            "then restart Headrace.",
        )
    elif leaf is not None:
        refused = (
            "a replica identity in every partition",
            f"none in {leaf}: to publish it would make its own UPDATE and DELETE fail",
            f"ALTER TABLE {leaf} REPLICA IDENTITY DEFAULT with a primary key, or FULL; then restart Headrace.",
        )
    elif ours and not owner:
        refused = (
            "a table that this user may publish",
            "a table of another owner",
            f"GRANT the role that owns {quoted} to this user, or ALTER TABLE ... OWNER TO it.",
        )
    elif not readable:
        refused = ("the privilege to read the table", "no SELECT", f"GRANT SELECT ON {quoted} to this user.")
    elif secured:
        refused = (
            "all rows",
            "row-level security that hides rows from this user",
            "ALTER ROLE ... BYPASSRLS for this user.",
        )
    return Found(oid, schema, name, kind, identity, int(rows), tuple(ancestors), refused)


async def describe(connection: Connection, tables: Iterable[Found], members: Members) -> list[Described]:
    """The tables as the catalog has them now, in the given order. Those that are no longer published are left out."""
    by_oid = {table.oid: table for table in tables if table.oid in members}
    cursor = await connection.execute(SQL["columns"], {"tables": list(by_oid)})
    columns: dict[int, list[RelationColumn]] = {oid: [] for oid in by_oid}
    keys: dict[int, list[str]] = {oid: [] for oid in by_oid}
    hidden: set[int] = set()
    for oid, number, name, type_oid, identity, primary, generated, other_size in await cursor.fetchall():
        published = members[oid].columns
        sent = not generated if published is None else number in published
        if not sent or other_size:
            hidden.add(oid)
        if not sent:
            continue
        columns[oid].append(RelationColumn(name, type_oid, identity))
        if primary:
            keys[oid].append(name)
    return [
        Described(
            found,
            Relation(oid, found.schema, found.name, found.identity, tuple(columns[oid])),
            tuple(keys[oid]),
            oid in hidden,
            members[oid].filter,
        )
        for oid, found in by_oid.items()
    ]


async def types(connection: Connection, oids: Iterable[int]) -> dict[int, Type]:
    """What the catalog says now of some types; those that it no longer has are missing."""
    cursor = await connection.execute(SQL["types"], {"types": sorted(set(oids))})
    return {oid: Type(oid, name, base, size) for oid, name, base, size in await cursor.fetchall()}


async def numbered(connection: Connection, publication: str, table: int) -> list[tuple[str, int]]:
    """A table's published columns as they are now: name and number."""
    cursor = await connection.execute(SQL["numbers"], {"publication": publication, "table": table})
    return [(name, number) for name, number in await cursor.fetchall()]


async def published(connection: Connection, name: str) -> set[int] | None:
    """The tables that our publication names; None when there is no such publication."""
    if await (await connection.execute(SQL["publication"], {"name": name})).fetchone() is None:
        return None
    return {row[0] for row in await (await connection.execute(SQL["listed"], {"name": name})).fetchall()}


async def members(connection: Connection, name: str, table: int | None = None) -> dict[int, Member]:
    """The tables that a publication's changes come as, or whether one of them is there."""
    rows = await (await connection.execute(SQL["members"], {"name": name, "table": table})).fetchall()
    return {
        oid: Member(table, None if columns is None else frozenset(columns), condition, since)
        for oid, columns, condition, since, table in rows
    }


async def check_publication(connection: Connection, shown: str, name: str) -> None:
    """Raises SourceError unless somebody made this publication, of everything that may happen to a row."""
    row = await (await connection.execute(SQL["publication"], {"name": name})).fetchone()
    if row is None:
        raise _refuse(
            shown,
            f"the publication {name}, as the configuration says",
            "none of that name in this database",
            f"CREATE PUBLICATION {name} FOR TABLE ..., or leave `publication` out: then Headrace makes its own.",
        )
    missing = [what for what, there in zip(("insert", "update", "delete", "truncate"), row, strict=True) if not there]
    if missing:
        raise _refuse(
            shown,
            f"the publication {name} to publish insert, update, delete and truncate",
            f"one without {', '.join(missing)}",
            f"ALTER PUBLICATION {name} SET (publish = 'insert, update, delete, truncate').",
        )


async def publish(connection: Connection, name: str, tables: Sequence[Found], now: set[int] | None) -> None:
    """Makes our publication list exactly these tables."""
    wanted = {t.oid for t in tables}
    if now is not None and now == wanted:
        return
    publication = sql.Identifier(name)
    targets = sql.SQL(", ").join(
        (sql.SQL("{}") if t.kind == "p" else sql.SQL("only {}")).format(sql.Identifier(t.schema, t.name))
        for t in tables
    )
    if now is None:
        options = "publish = 'insert, update, delete, truncate', publish_via_partition_root = true"
        if connection.info.server_version >= _STORED_GENERATED:
            options += ", publish_generated_columns = stored"
        content = sql.SQL("for table {}").format(targets) if tables else sql.SQL("")
        await connection.execute(
            sql.SQL("create publication {} {} with (" + options + ")").format(publication, content)
        )
    elif tables:
        await connection.execute(sql.SQL("alter publication {} set table {}").format(publication, targets))
    else:
        rows = await (await connection.execute(SQL["names"], {"tables": sorted(now)})).fetchall()
        dropped = sql.SQL(", ").join(sql.Identifier(schema, table) for schema, table in rows)
        await connection.execute(sql.SQL("alter publication {} drop table {}").format(publication, dropped))


async def lock(connection: Connection, tables: Sequence[Found], *, wait: bool = True) -> None:
    """Keeps the tables from being truncated or altered until the transaction ends; takes no snapshot.

    Without `wait` it is an error when another session has, or waits for, a lock against it: behind one that waits for
    us we would wait for ever.
    """
    if tables:
        names = sql.SQL(", ").join(
            (sql.SQL("{}") if t.kind == "p" else sql.SQL("only {}")).format(sql.Identifier(t.schema, t.name))
            for t in tables
        )
        statement = sql.SQL("lock table {} in access share mode" + ("" if wait else " nowait"))
        await connection.execute(statement.format(names))


async def rewritten_since(connection: Connection, tables: Sequence[Found]) -> str | None:
    """A table whose rows stand elsewhere now than in the transaction's snapshot."""
    row = await (await connection.execute(SQL["rewritten"], {"tables": [t.oid for t in tables]})).fetchone()
    return None if row is None else str(row[0])


@dataclass(frozen=True, slots=True)
class Heap:
    """A relation that holds rows of a table: itself, or a partition. `paged`: it can be read by ranges of pages."""

    oid: int
    schema: str
    name: str
    paged: bool
    pages: int
    file: int
    rows_a_page: float


async def heaps(connection: Connection, tables: Sequence[int]) -> dict[int, list[Heap]]:
    """Where the rows of each table stand, by oid."""
    found: dict[int, list[Heap]] = {oid: [] for oid in tables}
    for root, *rest in await (await connection.execute(SQL["heaps"], {"tables": list(tables)})).fetchall():
        found[root].append(Heap(*rest))
    return found


async def release_slot(connection: Connection, name: str) -> None:
    await connection.execute(SQL["release_slot"], {"name": name})


def condition(text: str) -> sql.Composable:
    """A publication's row filter, which is the server's own text."""
    return sql.SQL(cast("LiteralString", f"({text})"))


def where(conditions: Sequence[sql.Composable]) -> sql.Composable:
    return sql.SQL(" where ") + sql.SQL(" and ").join(conditions) if conditions else sql.SQL("")


async def visible(connection: Connection) -> Visible:
    """What the session's snapshot shows: of this transaction, when it is a repeatable-read one."""
    row = await (await connection.execute(SQL["visible"])).fetchone()
    assert row is not None
    return Visible.parse(row[0])


async def change_catalog(connection: Connection, shown: str) -> None:
    """See `Copying.first`. A role that may not goes without: it is rarely needed."""
    try:
        await connection.execute(SQL["change_catalog"])
    except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction) as problem:
        _log.warning(
            "a TRUNCATE while the slot is made may stop its stream: allow the role lo_create and lo_unlink",
            source=shown,
            reason=str(problem),
        )


async def drop_slot(connection: Connection, name: str) -> None:
    await connection.execute(SQL["drop_slot"], {"name": name})


async def check_slot(connection: Connection, shown: str, name: str, forgotten: int, *, promoted: bool = False) -> int:
    """From where on the slot holds what is committed. Raises SourceError unless that is everything at or after
    `forgotten`; SlotGone when it holds nothing any more. `promoted`: the server is another than the one that was read
    last."""
    row = await (await connection.execute(SQL["slot"], {"name": name})).fetchone()
    if row is None and promoted:
        raise SlotGone.of(
            shown, name, "no such slot on this server, which was promoted: it was not kept in step with the slot"
        )
    if row is None:
        raise SlotGone.of(shown, name, "no such slot: it was dropped, or the database was restored without it")
    here, ours, _active, status, confirmed = row
    if not here or not ours:
        raise lost(shown, name, "a slot of that name of another database or plugin")
    if status == "lost" or confirmed is None:
        raise SlotGone.of(shown, name, "an invalidated slot: the server removed WAL that it needed (wal_status = lost)")
    if parse_lsn(confirmed) > forgotten:
        raise lost(shown, name, f"a slot that starts later, at {confirmed}: it was recreated or moved on")
    return parse_lsn(confirmed)


async def confirmed(connection: Connection, name: str) -> int:
    """Up to where the slot was told to forget; it is there. Raises psycopg.Error."""
    row = await (await connection.execute(SQL["slot"], {"name": name})).fetchone()
    assert row is not None
    return parse_lsn(row[4])


async def check_cluster(
    replication: Replication, shown: str, slot: str, now: Identity, system: str, timeline: int, position: int
) -> None:
    """Raises SourceError unless this is the cluster, on the history, that `position` is from."""
    if now.system != system:
        raise lost(shown, slot, f"another cluster (system identifier {now.system}, was {system})")
    if now.timeline < timeline:
        raise lost(shown, slot, f"an older timeline ({now.timeline}, was {timeline})")
    if now.timeline > timeline:
        left_at = branch(await replication.timeline_history(now.timeline), timeline)
        if left_at is None or position > left_at:
            raise lost(shown, slot, f"timeline {now.timeline}, which branched off before our position")
    if position > now.flushed:
        raise lost(shown, slot, "a server whose WAL ends before our position: it was restored from a backup")


def branch(history: str, timeline: int) -> int | None:
    """Where a timeline was left, by the history file of a later one; None when it is not in that history."""
    for line in history.splitlines():
        parts = line.split()
        if len(parts) >= 2 and parts[0] == str(timeline):
            return parse_lsn(parts[1])
    return None
