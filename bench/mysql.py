"""A backlog of MariaDB's binary log into the log. `python -m bench mysql`.

As `bench backlog` with PostgreSQL: Headrace is stopped (SIGSTOP) while 200,000 rows of five columns are updated, a
thousand a transaction, then goes on; it is done when its log holds the last of them. Beside it `mariadb-binlog` fetches
the same files undecoded.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

import pymysql

from bench.process import Client, Headrace, headrace
from bench.report import Failed, Figure, Goal, Outcome, Settings, Unavailable
from bench.source import dies_with_us, free_port

ROWS = 200_000
PER_TRANSACTION = 1000
GOAL = 25_000
LIMIT_S = 300.0

SCHEMA = (
    "create database bench",
    "use bench",
    "create table bench.items (id int primary key, name varchar(50), price decimal(10, 2), stock int,"
    " changed_at timestamp(6))",
    f"insert into bench.items select seq, concat('item number ', seq), seq / 100, seq % 1000, now(6)"
    f" from seq_1_to_{ROWS}",
)
CONFIG = """
[[sources]]
name = "db"
url = "mysql://root@localhost/bench?socket={socket}"
"""
SETTINGS = {
    "binlog-format": "ROW", "binlog-row-metadata": "FULL", "server-id": "1", "skip-networking": "1",
    "innodb-buffer-pool-size": "256M", "character-set-server": "utf8mb4",
}  # fmt: skip
"""Otherwise as MariaDB comes."""


def run(settings: Settings) -> Outcome:
    rows = settings.of(ROWS // PER_TRANSACTION) * PER_TRANSACTION
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-bench-")))
        socket = stack.enter_context(server())
        source = stack.enter_context(pymysql.connect(user="root", unix_socket=str(socket), autocommit=True))
        ask(source, *SCHEMA)
        began = time.perf_counter()
        running = stack.enter_context(headrace(folder, CONFIG.format(socket=socket)))
        copied = time.perf_counter() - began
        (version, *_), *_ = ask(source, "select version()")
        (file, start, *_), *_ = ask(source, "show master status")
        took = ours(running, source, rows)
        theirs = fetched(socket, folder, str(file), int(str(start)))
    rate, floor = rows / took, rows / theirs
    return Outcome(
        (
            Figure("row updates decoded and in the log", "headrace", "rows/s", round(rate), samples=rows,
                   ratios={"over mariadb-binlog": round(rate / floor, 2)},
                   goals=(Goal(f"≥ {GOAL:,} rows/s", rate >= GOAL),)),
            Figure("row updates received", "mariadb-binlog", "rows/s", round(floor), samples=rows),
            Figure(f"start with a copy of {ROWS:,} rows", "headrace", "s", round(copied, 2)),
        ),
        (f"source: MariaDB {version}", f"{rows:,} updates, {PER_TRANSACTION:,} a transaction, five columns"),
    )  # fmt: skip


def ours(running: Headrace, source: pymysql.Connection, rows: int) -> float:
    """Seconds from going on until the log holds everything."""
    client = running.client()
    before = held(client)
    os.kill(running.pid, signal.SIGSTOP)
    try:
        for n in range(rows // PER_TRANSACTION):
            ask(
                source,
                "update bench.items set stock = stock + 1, price = price + 0.01, changed_at = now(6)"
                f" where id > {n * PER_TRANSACTION} and id <= {(n + 1) * PER_TRANSACTION}",
            )
    finally:
        os.kill(running.pid, signal.SIGCONT)
    began = time.perf_counter()
    while held(client) < before + rows:
        if time.perf_counter() - began > LIMIT_S:
            raise Failed(f"the log does not hold everything within {LIMIT_S:g} s")
        time.sleep(0.05)
    return time.perf_counter() - began


def held(client: Client) -> int:
    """How many changes the log has."""
    return sum(topic["changes"] for topic in client.json("/v1/status")["topics"])


def fetched(socket: Path, folder: Path, file: str, start: int) -> float:
    """Seconds that mariadb-binlog takes for the same files."""
    program = shutil.which("mariadb-binlog")
    if program is None:
        raise Unavailable("no mariadb-binlog")
    command = [program, "--no-defaults", "-u", "root", "--socket", str(socket), "-R", "--raw", "--to-last-log"]
    began = time.perf_counter()
    ended = subprocess.run(
        [*command, f"--start-position={start}", "--result-file", f"{folder}/raw-", file],
        capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    if ended.returncode:
        raise Failed(f"mariadb-binlog: {ended.stderr[-500:]}")
    return time.perf_counter() - began


def ask(connection: pymysql.Connection, *statements: str) -> list[tuple[object, ...]]:
    """The last one's rows."""
    rows: list[tuple[object, ...]] = []
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
            rows = list(cursor.fetchall())
    return rows


@contextlib.contextmanager
def server() -> Generator[Path]:
    """A new MariaDB in a folder of its own, on a socket; both are gone after."""
    program = shutil.which("mariadbd", path="/usr/sbin:" + os.environ.get("PATH", ""))
    if program is None or shutil.which("mariadb-install-db") is None:
        raise Unavailable("MariaDB is not installed")
    with tempfile.TemporaryDirectory(prefix="headrace-bench-my-") as name:
        home = Path(name)
        home.chmod(0o755)
        (home / "data").mkdir()
        given = {**SETTINGS, "datadir": f"{name}/data", "socket": f"{name}/s", "log-bin": f"{name}/data/bin"}
        if os.geteuid() == 0:
            account = pwd.getpwnam("nobody")
            for path in (home, home / "data"):
                os.chown(path, account.pw_uid, account.pw_gid)
            given["user"] = "nobody"
        (home / "my.cnf").write_text("[mysqld]\n" + "".join(f"{k}={v}\n" for k, v in given.items()))
        make = ["mariadb-install-db", f"--defaults-file={name}/my.cnf", "--auth-root-authentication-method=normal"]
        subprocess.run(make, check=True, capture_output=True)
        with (home / "log").open("ab") as log:
            process = subprocess.Popen(
                [program, f"--defaults-file={name}/my.cnf", f"--port={free_port()}"],
                stdout=log, stderr=log, preexec_fn=dies_with_us(signal.SIGTERM), start_new_session=True,
            )  # fmt: skip
        try:
            _until_ready(home / "s", process)
            yield home / "s"
        finally:
            process.kill()
            process.wait(20)


def _until_ready(socket: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            pymysql.connect(user="root", unix_socket=str(socket)).close()
            return
        except pymysql.MySQLError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed("mariadbd does not start") from error
            time.sleep(0.05)
