"""A backlog of row updates into the log. `python -m bench backlog`.

Headrace is stopped (SIGSTOP) while 500,000 rows of five columns are updated, a thousand a transaction, then goes on; it
is done when its slot is confirmed up to the last of them, which it is only once they are in the log and on disk. No
operator wants them: what is measured is decoding and the log. After it `pg_recvlogical` writes the output of a slot
like it, undecoded, to /dev/null. Both take turns three times; the medians are told.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import psycopg

from bench.process import Headrace, headrace
from bench.report import Failed, Figure, Goal, Outcome, Settings, Unavailable
from bench.source import Programs, SourceServer, source_server

ROWS = 500_000
PER_TRANSACTION = 1000
GOAL = 200_000
MEMORY_MB = 64.0
LIMIT_S = 300.0
ROUNDS = 3

SCHEMA = (
    "create table items (id int primary key, name text, price numeric(10, 2), stock int, changed_at timestamptz)",
    f"insert into items select g, 'item number '||g, g / 100.0, g % 1000, now() from generate_series(1, {ROWS}) g",
    f"""create procedure change(count int) language plpgsql as $$
    begin
        for n in 0 .. count / {PER_TRANSACTION} - 1 loop
            update items set stock = stock + 1, price = price + 0.01, changed_at = clock_timestamp()
             where id > n * {PER_TRANSACTION} and id <= (n + 1) * {PER_TRANSACTION};
            commit;
        end loop;
    end $$""",
)
CONFIG = """
[[sources]]
name = "db"
url = "{dsn}"
tables = ["public.*"]
"""


def run(settings: Settings) -> Outcome:
    rows = settings.of(ROWS // PER_TRANSACTION) * PER_TRANSACTION
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-bench-")))
        server = stack.enter_context(source_server())
        source = stack.enter_context(contextlib.closing(server.make("ours", *SCHEMA)))
        running = stack.enter_context(headrace(folder, CONFIG.format(dsn=server.dsn("ours"))))
        slot = str(one(source, "select slot_name from pg_replication_slots"))
        beside = f"{slot[:50]}_beside"
        before = peak_mb(running)
        rates: list[float] = []
        floors: list[float] = []
        for _ in range(ROUNDS):
            # A slot of its own for each round: an older one would have WAL of the rounds before to go through.
            source.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", [beside])
            rates.append(rows / ours(running, source, slot, rows))
            floors.append(rows / recvlogical(server, source, slot, beside))
            source.execute("select pg_drop_replication_slot(%s)", [beside])
        grown = peak_mb(running) - before
    rate, floor = median(rates), median(floors)
    return Outcome(
        (
            Figure("row updates decoded and in the log", "headrace", "rows/s", round(rate), samples=rows * ROUNDS,
                   ratios={"over pg_recvlogical": round(rate / floor, 2)},
                   goals=(Goal(f"≥ {GOAL:,} rows/s", rate >= GOAL),)),
            Figure("row updates received", "pg_recvlogical", "rows/s", round(floor), samples=rows),
            Figure("most memory, grown by", "headrace", "MB", round(grown, 1),
                   goals=(Goal(f"≤ {MEMORY_MB:g} MB", grown <= MEMORY_MB),)),
        ),
        (
            f"source: {server.label}",
            f"{rows:,} updates, {PER_TRANSACTION:,} a transaction, five columns",
            f"rounds, ours: {told(rates)}; pg_recvlogical: {told(floors)} rows/s",
        ),
    )  # fmt: skip


def told(rates: Sequence[float]) -> str:
    return ", ".join(f"{rate:,.0f}" for rate in rates)


def ours(running: Headrace, source: psycopg.Connection, slot: str, rows: int) -> float:
    """Seconds from going on to the slot's confirmation of everything."""
    os.kill(running.pid, signal.SIGSTOP)
    try:
        source.execute("call change(%s)", [rows])
        end = one(source, "select pg_current_wal_lsn()")
    finally:
        os.kill(running.pid, signal.SIGCONT)
    began = time.perf_counter()
    until_confirmed(source, slot, end)
    return time.perf_counter() - began


def until_confirmed(source: psycopg.Connection, slot: str, end: object) -> None:
    began = time.perf_counter()
    confirmed = "select confirmed_flush_lsn >= %s from pg_replication_slots where slot_name = %s"
    while not one(source, confirmed, end, slot):
        if time.perf_counter() - began > LIMIT_S:
            raise Failed(f"the slot is not confirmed within {LIMIT_S:g} s")
        time.sleep(0.02)
        source.execute("select pg_logical_emit_message(true, 'bench', '')")  # lets an idle slot's end be told


def recvlogical(server: SourceServer, source: psycopg.Connection, publication: str, slot: str) -> float:
    """Seconds that pg_recvlogical takes for the same changes."""
    program = Programs.best().folder / "pg_recvlogical"
    if not program.exists():
        raise Unavailable("no pg_recvlogical beside the server's programs")
    end = one(source, "select pg_current_wal_lsn()")
    options = ["-o", "proto_version=2", "-o", f"publication_names={publication}"]
    command = [program, "-d", server.dsn("ours"), "-S", slot, "--start", "-f", "/dev/null", "--endpos", str(end)]
    source.execute("select pg_logical_emit_message(true, 'bench', '')")
    began = time.perf_counter()
    ended = subprocess.run([*command, *options], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if ended.returncode:
        raise Failed(f"pg_recvlogical: {ended.stderr[-500:]}")
    return time.perf_counter() - began


def peak_mb(running: Headrace) -> float:
    """The most memory that the process ever had."""
    lines = Path(f"/proc/{running.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def one(connection: psycopg.Connection, query: str, *args: object) -> object:
    row = connection.execute(query.encode(), args).fetchone()
    assert row is not None
    return row[0]
