"""Looks at a PostgreSQL source before it is used; changes nothing there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing

from psycopg import AsyncConnection, Error

from headrace.clock import now_us
from headrace.errors import SourceError
from headrace.findings import Finding, error, failed, note, ok, warning
from headrace.sources import SourceSettings
from headrace.sources.postgres import setup
from headrace.sources.postgres.address import parse
from headrace.sources.postgres.lag import WARN_AT
from headrace.sources.postgres.options import Options, read
from headrace.sources.postgres.problems import Broken, connect_failed, query_failed
from headrace.sources.postgres.replication import Replication
from headrace.sources.postgres.setup import SQL, Connection, Names

CONNECT_S = 5
SKEW_WARNING_S = 1.0
_MB = 1 << 20
_HERE = ("127.0.0.1", "::1", "localhost")


async def check(settings: SourceSettings) -> Sequence[Finding]:
    """Implements `headrace.sources.Doctor`."""
    options = read(settings)
    address = parse(settings.url)
    try:
        connection = await AsyncConnection.connect(address.conninfo(connect_timeout_s=CONNECT_S), autocommit=True)
    except Error as problem:
        return [_of(connect_failed(address.shown, problem), "connection")]
    found = [ok("connection", f"PostgreSQL {connection.info.parameter_status('server_version')} at {address.shown}")]
    async with connection:
        try:
            async with aclosing(_all(connection, settings, options, address.shown)) as findings:
                async for finding in findings:
                    found.append(finding)
        except Error as problem:
            found.append(_of(query_failed(address.shown, "check it", problem), "checks"))
    found.append(await _replication(address.conninfo(connect_timeout_s=CONNECT_S), address.shown))
    return found


def _of(problem: Broken | SourceError, what: str) -> Finding:
    return failed(problem.error if isinstance(problem, Broken) else problem, what)


async def _all(
    connection: Connection, settings: SourceSettings, options: Options, shown: str
) -> AsyncGenerator[Finding]:
    names = Names.of(settings.id, settings.name, options)
    yield await _encrypted(connection)
    problems = [p async for p in setup.server_problems(connection, shown)]
    for problem in problems:
        yield failed(problem, problem.check)
    if not problems:
        yield ok("server", "wal_level = logical, a primary, and the user may replicate")
    for finding in await _room(connection, names):
        yield finding
    async for finding in _tables(connection, settings, names, shown):
        yield finding
    async for finding in _slots(connection, names, options, shown):
        yield finding
    for finding in await _limits(connection):
        yield finding
    yield await _clock(connection)


async def _encrypted(connection: Connection) -> Finding:
    row = await (await connection.execute(SQL["encrypted"])).fetchone()
    version = row[0] if row is not None else None
    info = connection.info
    if version is None:
        if info.host.startswith("/") or info.host in _HERE or not info.host:
            return ok("encryption", "none, on this machine")
        return warning(
            "encryption",
            expected="TLS on the way to another machine",
            got="a connection that anybody on the way can read",
            remedy="Add sslmode=verify-full and sslrootcert=... to the source's URL.",
        )
    mode = info.get_parameters().get("sslmode", "prefer")
    if mode not in ("verify-full", "verify-ca"):
        return warning(
            "encryption",
            expected="a server that proves who it is",
            got=f"{version} with sslmode={mode}: encrypted, but to whomever answers",
            remedy="Add sslmode=verify-full and sslrootcert=... to the source's URL.",
        )
    return ok("encryption", f"{version}, {mode}")


async def _room(connection: Connection, names: Names) -> list[Finding]:
    row = await (await connection.execute(SQL["room"], {"slot": names.slot})).fetchone()
    assert row is not None
    slots, most_slots, senders, most_senders, ours = row
    found: list[Finding] = []
    needed = 1 if ours else 2  # one to keep, and one for the moment in which a copy of all tables begins
    if slots + needed > most_slots:
        found.append(
            (warning if ours else error)(
                "replication slots",
                expected="a free slot, for when all tables are copied"
                if ours
                else "two free slots, for the first copy",
                got=f"{slots} of {most_slots} in use",
                remedy="Drop those that nobody uses, or raise max_replication_slots (needs a restart).",
            )
        )
    else:
        found.append(ok("replication slots", f"{slots} of {most_slots} in use"))
    if senders >= most_senders:
        found.append(
            error(
                "WAL senders",
                expected="a free WAL sender",
                got=f"all {most_senders} in use",
                remedy="Raise max_wal_senders (needs a restart).",
            )
        )
    else:
        found.append(ok("WAL senders", f"{senders} of {most_senders} in use"))
    return found


async def _tables(
    connection: Connection, settings: SourceSettings, names: Names, shown: str
) -> AsyncGenerator[Finding]:
    members = None
    if names.ours:
        made = await setup.published(connection, names.publication) is not None
        may = await (await connection.execute(SQL["may_create"])).fetchone()
        if not made and may is not None and not may[0]:
            yield error(
                "publication",
                expected="the right to create a publication in this database",
                got="no CREATE on it",
                remedy="GRANT CREATE ON DATABASE ... TO this user, or have somebody make one and set `publication`.",
            )
        else:
            yield ok("publication", f"{names.publication} " + ("is there" if made else "will be made"))
    else:
        try:
            await setup.check_publication(connection, shown, names.publication)
        except SourceError as problem:
            yield failed(problem, "publication")
            return
        members = await setup.members(connection, names.publication)
        yield ok("publication", f"{names.publication}, used as it is")
    try:
        found = await setup.discover(connection, shown, settings.tables, members)
    except SourceError as problem:
        yield failed(problem, "tables")
        return
    usable = [table for table in found if table.refused is None]
    yield (ok if usable else note)("tables", f"{len(usable)} of {len(found)} that match are captured")
    for table in found:
        if table.refused is not None:
            expected, got, remedy = table.refused
            yield error(f"table {table.table}", expected=expected, got=got, remedy=remedy)


async def _slots(connection: Connection, names: Names, options: Options, shown: str) -> AsyncGenerator[Finding]:
    rows = await (await connection.execute(SQL["our_slots"], {"slot": names.slot})).fetchall()
    if not any(row[0] == names.slot for row in rows):
        if options.slot is not None:
            yield error(
                "slot",
                expected=f"the replication slot {options.slot}, as the configuration says",
                got="none of that name",
                remedy=f"SELECT pg_create_logical_replication_slot('{options.slot}', 'pgoutput'), or leave `slot` out.",
            )
        else:
            yield note("slot", f"{names.slot} will be made")
    for name, here, active, status, retained in rows:
        kept = f"{(retained or 0) // _MB} MB of WAL kept"
        if name != names.slot:
            if not active:
                yield _abandoned(name, kept, status)
        elif not here or status == "lost":
            try:
                await setup.check_slot(connection, shown, name, 0)
            except SourceError as problem:
                yield failed(problem, "slot")
        elif (retained or 0) > options.max_retained * WARN_AT:
            yield warning(
                "slot",
                expected=f"much less than max_retained ({options.max_retained // _MB} MB)",
                got=f"{name}: {kept}, {'being read' if active else 'nobody reads it'}",
                remedy="Start Headrace, or see what holds it up; drop the slot if it is to stay away for good.",
            )
        else:
            yield ok("slot", f"{name}: {kept}, {'being read' if active else 'not being read now'}, {status}")


def _abandoned(name: str, kept: str, status: str) -> Finding:
    return warning(
        f"slot {name}",
        expected="slots of Headrace to be read",
        got=f"one that nobody reads: {kept}, {status}",
        remedy=f"If no Headrace needs it any more: SELECT pg_drop_replication_slot('{name}').",
    )


async def _limits(connection: Connection) -> list[Finding]:
    rows = await (await connection.execute(SQL["limits"])).fetchall()
    limits = {name: (value, unit) for name, value, unit in rows}
    return list(_judged(limits))


def _judged(limits: dict[str, tuple[str, str | None]]) -> Iterator[Finding]:
    keep, _ = limits["max_slot_wal_keep_size"]
    if keep == "-1":
        yield note(
            "max_slot_wal_keep_size",
            "no limit: while Headrace is away, the server keeps all WAL; a limit gives up the slot, not the disk",
        )
    else:
        yield note("max_slot_wal_keep_size", f"{keep} MB: after that much WAL unread, the slot is lost")
    idle, unit = limits.get("idle_replication_slot_timeout", ("0", None))
    if idle != "0":
        yield warning(
            "idle_replication_slot_timeout",
            expected="0: a slot that lives however long Headrace is away",
            got=f"{idle} {unit or ''}".strip(),
            remedy="Set it to 0, or never stop Headrace for that long: the slot, and with it changes, would be lost.",
        )


async def _clock(connection: Connection) -> Finding:
    """Against the middle of the question's way."""
    before = now_us()
    row = await (await connection.execute(SQL["clock"])).fetchone()
    after = now_us()
    assert row is not None
    skew_s = (row[0] - (before + after) / 2) / 1e6
    if abs(skew_s) > max(SKEW_WARNING_S, (after - before) / 1e6):
        return warning(
            "clock",
            expected=f"the server's clock within {SKEW_WARNING_S:.0f} s of this machine's",
            got=f"{abs(skew_s):.1f} s {'ahead' if skew_s > 0 else 'behind'}",
            remedy="Synchronise both clocks (NTP): ages and freshness are told by them.",
        )
    return ok("clock", f"within {max(abs(skew_s), 0.001) * 1000:.0f} ms of this machine's")


async def _replication(conninfo: str, shown: str) -> Finding:
    """A session of the kind that streams: pg_hba.conf may treat it otherwise."""
    try:
        async with asyncio.timeout(CONNECT_S * 2):
            replication = await Replication.connect(conninfo, shown)
            try:
                identity = await replication.identify()
            finally:
                await replication.close()
    except (Broken, SourceError) as problem:
        return _of(problem, "replication session")
    except Error as problem:
        return _of(query_failed(shown, "open a replication session", problem), "replication session")
    return ok("replication session", f"cluster {identity.system}, timeline {identity.timeline}")
