"""MariaDB: a table's first copy, and the same table read again beside its stream, durably in the log.

`python -m bench snapshot-mysql`, as `bench snapshot` with PostgreSQL; beside it `mariadb-dump` writes the same table as
SQL to nowhere.
"""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import time
from pathlib import Path

import pymysql
import uvloop

from bench import snapshot
from bench.mysql import ask, server
from bench.report import Failed, Figure, Outcome, Settings, Unavailable
from headrace.sources import SourceSettings
from headrace.sources.mysql.source import MysqlSource

LIMIT_S = 300.0
SCHEMA = (
    "create database bench",
    "create table bench.items (id bigint primary key, name varchar(50), n int, at timestamp(6), price decimal(10, 2))",
    "insert into bench.items select seq, concat('item number ', seq), seq % 97,"
    " timestamp'2026-01-01 00:00:00' + interval seq second, seq / 100 from bench.seq_1_to_{rows}",
    "analyze table bench.items",
)


def run(settings: Settings) -> Outcome:
    rows = settings.of(snapshot.ROWS)
    with server() as socket:
        with pymysql.connect(user="root", unix_socket=str(socket), autocommit=True) as source:
            ask(source, *(statement.format(rows=rows) for statement in SCHEMA))
            (version, *_), *_ = ask(source, "select version()")
        url = f"mysql://root@localhost/bench?socket={socket}"
        ours = MysqlSource(SourceSettings("bench", url, "bench", tables=("bench.items",)))
        first, again = uvloop.run(snapshot.copied(ours, "bench.items", rows))
        theirs = rows / dumped(socket)
    outcome = snapshot.outcome(first, again)
    copied, *others = outcome.figures
    copied = dataclasses.replace(copied, ratios={"over mariadb-dump": round(first.per_s / theirs, 2)})
    dump = Figure("written as SQL to nowhere", "mariadb-dump", "rows/s", round(theirs))
    return Outcome((copied, *others, dump), (f"source: MariaDB {version}", *outcome.notes))


def dumped(socket: Path) -> float:
    """Seconds that mariadb-dump takes."""
    program = shutil.which("mariadb-dump")
    if program is None:
        raise Unavailable("no mariadb-dump")
    command = [program, "--no-defaults", "-u", "root", "--socket", str(socket), "--single-transaction", "--quick"]
    began = time.perf_counter()
    ended = subprocess.run(
        [*command, "--result-file=/dev/null", "bench", "items"],
        capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    if ended.returncode:
        raise Failed(f"mariadb-dump: {ended.stderr[-500:]}")
    return time.perf_counter() - began
