"""Looks at a MySQL source before it is used; changes nothing there."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator, Sequence

from headrace.clock import now_us
from headrace.errors import SourceError
from headrace.findings import Finding, error, failed, note, ok, warning
from headrace.sources import SourceSettings
from headrace.sources.mysql import setup
from headrace.sources.mysql.address import Address, parse
from headrace.sources.mysql.problems import Broken, query_failed, stream_failed
from headrace.sources.mysql.result import Failed
from headrace.sources.mysql.session import Session
from headrace.sources.mysql.setup import SQL, Head

CONNECT_S = 5
SKEW_WARNING_S = 1.0
KEPT_WARNING_S = 24 * 3600
_HERE = ("127.0.0.1", "::1", "localhost")
_ERROR = 0xFF


async def check(settings: SourceSettings) -> Sequence[Finding]:
    """Implements `headrace.sources.Doctor`."""
    address = dataclasses.replace(parse(settings.url), connect_timeout=CONNECT_S)
    return await asyncio.to_thread(_look, settings, address)


def _look(settings: SourceSettings, address: Address) -> list[Finding]:
    found: list[Finding] = []
    try:
        session = Session.open(address, read_timeout_s=CONNECT_S)
    except (Broken, SourceError) as problem:
        return [_of(problem, "connection")]
    try:
        found.append(ok("connection", f"{session.version} at {address.shown}"))
        for finding in _all(session, settings, address):
            found.append(finding)
    except Failed as problem:
        found.append(_of(query_failed(address.shown, "check it", problem.code, problem.text), "checks"))
    finally:
        session.close()
    return found


def _of(problem: Broken | SourceError, what: str) -> Finding:
    return failed(problem.error if isinstance(problem, Broken) else problem, what)


def _all(session: Session, settings: SourceSettings, address: Address) -> Iterator[Finding]:
    yield _encrypted(session, address)
    server = setup.settings(session)
    problems = list(setup.server_problems(session, address.shown, server))
    for problem in problems:
        yield failed(problem, problem.expected.partition(" =")[0])
    if not problems:
        yield ok("server", "its binary log has whole rows, with the columns' names")
    try:
        at = setup.head(session, address.shown)
    except SourceError as problem:
        yield failed(problem, "binary log")
        return
    except Failed as problem:
        yield _of(query_failed(address.shown, "ask for the log's end", problem.code, problem.text), "binary log")
        return
    yield ok("binary log", f"{at.file}:{at.offset}")
    yield _reading(settings, address, at)
    yield from _tables(session, settings, address, at, mariadb="mariadb" in session.version.lower())
    yield _kept(server.get("binlog_expire_logs_seconds"))
    yield _clock(session)


def _encrypted(session: Session, address: Address) -> Finding:
    cipher = next((row["value"] for row in session.named(SQL["encrypted"])), "")
    if not cipher:
        if address.socket or address.host in _HERE:
            return ok("encryption", "none, on this machine")
        return warning(
            "encryption",
            expected="TLS on the way to another machine",
            got="a connection that anybody on the way can read",
            remedy="Add ssl=verify-identity (and ssl_ca=...) to the source's URL.",
        )
    if not address.ssl.startswith("verify") and address.host not in _HERE:
        return warning(
            "encryption",
            expected="a server that proves who it is",
            got=f"{cipher} with ssl={address.ssl}: encrypted, but to whomever answers",
            remedy="Add ssl=verify-identity (and ssl_ca=...) to the source's URL.",
        )
    return ok("encryption", f"{cipher}, ssl={address.ssl}")


def _reading(settings: SourceSettings, address: Address, at: Head) -> Finding:
    """Whether the log may be read: as a reader of its own, so that one that runs is left alone."""
    try:
        session = Session.open(address, read_timeout_s=CONNECT_S)
    except (Broken, SourceError) as problem:
        return _of(problem, "reading the log")
    try:
        session.rows("SET @mariadb_slave_capability = 4, @master_binlog_checksum = @@global.binlog_checksum")
        socket = session.dump(setup.server_id(settings.id, f"{settings.name}/doctor"), at.file, at.offset)
        socket.settimeout(CONNECT_S)
        answer = socket.recv(4096)
    except (Failed, OSError) as problem:
        code, text = (problem.code, problem.text) if isinstance(problem, Failed) else (0, str(problem))
        return _of(query_failed(address.shown, "read the log", code, text), "reading the log")
    finally:
        session.close()
    if len(answer) > 13 and answer[4] == _ERROR:
        code, text = int.from_bytes(answer[5:7], "little"), answer[13:].decode("utf-8", "replace")
        return _of(stream_failed(address.shown, f"{at.file}:{at.offset}", code, text), "reading the log")
    return ok("reading the log", "allowed")


def _tables(
    session: Session, settings: SourceSettings, address: Address, at: Head, *, mariadb: bool
) -> Iterator[Finding]:
    wanted = setup.patterns(settings.tables, address.database)
    try:
        found = setup.discover(session, address.shown, wanted, setup.charsets(session, mariadb), at)
    except SourceError as problem:
        yield failed(problem, "tables")
        return
    usable = [table for table in found if table.refused is None]
    yield (ok if usable else note)("tables", f"{len(usable)} of {len(found)} that match are captured")
    for table in found:
        if table.refused is not None:
            expected, got, remedy = table.refused
            yield error(f"table {table.table}", expected=expected, got=got, remedy=remedy)


def _kept(seconds: str | None) -> Finding:
    """How long a source may be away."""
    if seconds is None or not seconds.isdecimal() or int(seconds) == 0:
        return ok("retention", "the log is kept until somebody removes it")
    if int(seconds) < KEPT_WARNING_S:
        return warning(
            "retention",
            expected="a log that is kept for a day or longer",
            got=f"binlog_expire_logs_seconds = {seconds}: who is away for longer must copy all afresh",
            remedy=f"SET GLOBAL binlog_expire_logs_seconds = {7 * KEPT_WARNING_S}, and in the server's configuration.",
        )
    return ok("retention", f"the log is kept for {int(seconds) / 86_400:.3g} days")


def _clock(session: Session) -> Finding:
    before = now_us()
    ((now,),) = session.rows(SQL["now"])
    skew_s = (int(now or 0) - (before + now_us()) / 2) / 1e6
    if abs(skew_s) > SKEW_WARNING_S:
        return warning(
            "clock",
            expected=f"a clock within {SKEW_WARNING_S:g} s of this machine's",
            got=f"{abs(skew_s):.1f} s {'ahead' if skew_s > 0 else 'behind'}",
            remedy="Let both machines follow the same time servers: ages of answers are wrong by so much.",
        )
    return ok("clock", f"within {max(abs(skew_s), 0.001) * 1000:.0f} ms of this machine's")
