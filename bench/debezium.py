"""Debezium beside Headrace on one PostgreSQL, in turns: latency at 1,000 changes/s, and a backlog. `bench debezium`.

Each has a slot of its own, so all get the same changes; who is not in turn stands still. Debezium runs in Kafka
Connect with Kafka, once with its defaults and once tuned; ours is put over the better of the two, figure by figure.

Latency: from the commit's return at the writer to a consumer's having the change: a Kafka consumer of the topic, or
whoever follows `/v1/log/{topic}` over HTTP. Backlog: changes that were committed while all stood still, until all are
in the log and confirmed to the source (so on disk), or in the topic. Headrace's time runs from its going on; of
Debezium the time from its first record is taken, which leaves out what the start of a connector costs.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psycopg

from bench.backlog import PER_TRANSACTION, ROWS, SCHEMA, one
from bench.capturing import DEFAULTS, LIMIT_S, TABLE, TUNED, Debezium, Drained, Ours, Side, connector, mark, wait_for
from bench.connect import DEBEZIUM, KAFKA, broker, connect, installed
from bench.paced import CHANGES_PER_S, TRANSACTIONS_PER_S, Written
from bench.paced import ROWS as ROWS_EACH
from bench.process import headrace, spawn
from bench.report import Failed, Figure, Goal, Outcome, Settings, quantile
from bench.source import ROOT, SourceServer, source_server

ROUNDS = 3
SECONDS = 20
WARM_UP_S = 10
DATABASE = "shop"
CONFIG = f"""
[[sources]]
name = "db"
url = "{{dsn}}"
tables = ["{TABLE}"]
"""


@dataclass(slots=True)
class Measured:
    """Of one side, a value for each round: milliseconds, and rows a second (from going on, from the first record)."""

    p50: list[float] = field(default_factory=list[float])
    p99: list[float] = field(default_factory=list[float])
    samples: int = 0
    from_start: list[float] = field(default_factory=list[float])
    from_first: list[float] = field(default_factory=list[float])


class Turns:
    """The sides, all of which stand still between turns; `written` changes were made since they began."""

    def __init__(self, server: SourceServer, source: psycopg.Connection, sides: Sequence[Side], folder: Path) -> None:
        self._dsn = server.dsn(DATABASE)
        self._source = source
        self._sides = sides
        self._told = folder / "written.json"
        self._before = {side.name: side.held() for side in sides}
        self._written = 0
        self.slowest = float(CHANGES_PER_S)
        self.measured = {side.name: Measured() for side in sides}
        for side in sides:
            side.stand()

    def paced(self, warm_up: int, seconds: int, turn: int) -> None:
        """Each side once; who begins changes with the turn."""
        for side in rotated(self._sides, turn):
            side.go()
            self._caught_up(side)
            samples = self._timed(side, warm_up, seconds)
            side.stand()
            of = self.measured[side.name]
            of.p50.append(statistics.median(samples))
            of.p99.append(quantile(samples, 0.99))
            of.samples += len(samples)
            _say(f"{side.name}: p50 {of.p50[-1]:.2f} ms, p99 {of.p99[-1]:.2f} ms")

    def _timed(self, side: Side, warm_up: int, seconds: int) -> list[float]:
        """Milliseconds from a commit's return to the change at the consumer, of every change after the warm-up."""
        changes = (warm_up + seconds) * CHANGES_PER_S
        command = [sys.executable, "-m", "bench.paced", self._dsn, str(warm_up + seconds), str(self._written)]
        self._told.unlink(missing_ok=True)
        seen: list[tuple[int, bytes]] = []
        with side.reading() as come:
            writer = spawn(command, ROOT, self._told)
            try:
                while len(seen) < changes:
                    records = come()
                    now = time.monotonic_ns()
                    seen += [(now, record) for record in records]
                failed = writer.wait(LIMIT_S)
            finally:
                writer.kill()
                writer.wait()
        told = self._told.read_bytes()
        if failed:
            raise Failed(f"the writer: {told[-500:].decode(errors='replace')}")
        written = msgspec.json.decode(told, type=Written)
        self._written += changes
        self.slowest = min(self.slowest, written.rate)
        return latencies(written, seen)[warm_up * CHANGES_PER_S :]

    def backlog(self, rows: int, turn: int, *, warm_up: bool = False) -> None:
        """Written once, then read by each side alone."""
        self._source.execute("call change(%s)", [rows])
        self._written += rows
        for statement in ("vacuum items", "checkpoint"):  # which would otherwise begin in one side's turn
            self._source.execute(statement.encode())
        for side in rotated(self._sides, turn):
            drained = side.drain(self._before[side.name] + self._written)
            side.stand()
            if not warm_up:
                self._note(side, rows, drained)

    def _note(self, side: Side, rows: int, drained: Drained) -> None:
        of = self.measured[side.name]
        of.from_start.append(rows / drained.from_start)
        of.from_first.append(rows / drained.from_first)
        _say(f"{side.name}: {of.from_first[-1]:,.0f} rows/s, from going on {of.from_start[-1]:,.0f}")

    def _caught_up(self, side: Side) -> None:
        total = self._before[side.name] + self._written
        wait_for(lambda: side.held() >= total, f"{side.name} holds all changes")
        if (held := side.held()) > total:
            raise Failed(f"{side.name} holds {held:,} changes, {held - total:,} too many")


def _say(text: str) -> None:
    """It takes a quarter of an hour."""
    print(f"debezium: {text}", file=sys.stderr, flush=True)


def rotated(sides: Sequence[Side], turn: int) -> list[Side]:
    first = turn % len(sides)
    return [*sides[first:], *sides[:first]]


def latencies(written: Written, seen: Sequence[tuple[int, bytes]]) -> list[float]:
    """Milliseconds of each change, in the order of writing. Raises Failed when one is missing, or came twice."""
    came = {mark(record): at for at, record in seen}
    wanted = len(written.returned_ns) * ROWS_EACH
    if len(came) != wanted or len(seen) != wanted:
        raise Failed(f"{len(seen):,} records tell of {len(came):,} changes; {wanted:,} were made")
    return [(at - written.returned_ns[number - written.first]) / 1e6 for (number, _), at in sorted(came.items())]


def run(settings: Settings) -> Outcome:
    programs = installed(settings.data)
    rows = settings.of(ROWS // PER_TRANSACTION) * PER_TRANSACTION
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-bench-")))
        server = stack.enter_context(source_server())
        source = stack.enter_context(contextlib.closing(server.make(DATABASE, *SCHEMA)))
        bootstrap = stack.enter_context(broker(programs, folder))
        worker = stack.enter_context(connect(programs, folder, bootstrap))
        running = stack.enter_context(headrace(folder, CONFIG.format(dsn=server.dsn(DATABASE))))
        ours = Ours(running, source, str(one(source, "select slot_name from pg_replication_slots")))
        stack.callback(ours.wake)
        theirs: list[Debezium] = []
        for kind, more in (("defaults", DEFAULTS), ("tuned", TUNED)):
            side = Debezium(f"debezium, {kind}", f"dbz_{kind}", worker, bootstrap, source)
            stack.callback(side.close)
            side.add(connector(server, DATABASE, f"dbz_{kind}", more))
            theirs.append(side)
        turns = Turns(server, source, (ours, *theirs), folder)
        turns.backlog(rows, 0, warm_up=True)  # Java compiles what runs often
        for turn in range(ROUNDS):
            turns.paced(settings.of(WARM_UP_S), settings.of(SECONDS), turn)
        for turn in range(ROUNDS):
            turns.backlog(rows, turn)
    return outcome(turns, rows, server.label)


def outcome(turns: Turns, rows: int, label: str) -> Outcome:
    mine, *theirs = turns.measured.values()
    figures = [
        Figure("changes written, the slowest turn", "writer", "/s", round(turns.slowest, 1),
               goals=(Goal(f"{CHANGES_PER_S}/s kept", turns.slowest >= 0.99 * CHANGES_PER_S),)),
        *(_latency(who, of, theirs if of is mine else ()) for who, of in turns.measured.items()),
        *(_backlog(who, of, theirs if of is mine else (), rows) for who, of in turns.measured.items()),
    ]  # fmt: skip
    return Outcome(
        figures,
        (
            f"source: {label}; Debezium {DEBEZIUM} in Kafka Connect {KAFKA} with a Kafka {KAFKA} broker, one node",
            f"latency: {CHANGES_PER_S:,} changes/s in {TRANSACTIONS_PER_S} transactions/s of {ROWS_EACH} rows, "
            "five columns; over HTTP from the log, or by a Kafka consumer; each figure the median of the rounds'",
            "on disk: Headrace syncs its log every 0.2 s and confirms to the source what is synced; Kafka leaves it to "
            "the system. No latency waits for it; the backlog does, of Headrace",
            f"backlog: {rows:,} updates, {PER_TRANSACTION:,} a transaction; Headrace from going on, Debezium from its "
            "first record, which is the better one for it",
            *(_rounds(who, of) for who, of in turns.measured.items()),
        ),
    )


def _latency(who: str, of: Measured, others: Sequence[Measured]) -> Figure:
    p50, p99 = statistics.median(of.p50), statistics.median(of.p99)
    best50 = min((statistics.median(o.p50) for o in others), default=0.0)
    best99 = min((statistics.median(o.p99) for o in others), default=0.0)
    ratios = {"p50 over debezium's best": round(p50 / best50, 2), "p99 over": round(p99 / best99, 2)} if others else {}
    goals = (
        Goal("p50 below debezium's best", p50 < best50),
        Goal("p99 below debezium's best", p99 < best99),
    ) if others else ()  # fmt: skip
    name = f"commit → consumer at {CHANGES_PER_S:,} changes/s"
    return Figure(name, who, "ms", round(p50, 2), round(p99, 2), of.samples, ratios, goals)


def _backlog(who: str, of: Measured, others: Sequence[Measured], rows: int) -> Figure:
    rate = statistics.median(of.from_first)
    best = max((statistics.median(o.from_first) for o in others), default=0.0)
    ratios = {"over debezium's best": round(rate / best, 2)} if others else {}
    goals = (Goal("above debezium's best", rate > best),) if others else ()
    return Figure("backlog", who, "rows/s", round(rate), samples=rows, ratios=ratios, goals=goals)


def _rounds(who: str, of: Measured) -> str:
    spreads = ", ".join(f"{a:.1f}/{b:.1f}" for a, b in zip(of.p50, of.p99, strict=True))
    rates = ", ".join(f"{a:,.0f} ({b:,.0f})" for a, b in zip(of.from_first, of.from_start, strict=True))
    return f"{who}, each round: p50/p99 {spreads} ms; backlog {rates} rows/s (from going on)"
