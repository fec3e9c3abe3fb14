"""A physical standby of a PostgreSQL that tests started: kept in step with failover slots, and promoted."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import psycopg
from psycopg import sql

from tests.servers import PostgresApart

PHYSICAL_SLOT = "standby"


class Standby(PostgresApart):
    """Made from `primary` by pg_basebackup; `start` it."""

    def __init__(self, primary: PostgresApart, programs: Path, user: str) -> None:
        self._primary = primary
        super().__init__(programs, user)

    def _initialise(self) -> None:
        # The files are the primary's, so is the password.
        self.password = self._primary.password
        if self._account:
            os.chown(self.directory, self._account.pw_uid, self._account.pw_gid)
        passfile = self.directory / "pgpass"
        passfile.write_text(f"{self._primary.host}:{self._primary.port}:*:postgres:{self._primary.password}\n")
        passfile.chmod(0o600)
        if self._account:
            os.chown(passfile, self._account.pw_uid, self._account.pw_gid)
        with psycopg.connect(self._primary.dsn(), autocommit=True) as c:
            c.execute("select pg_create_physical_replication_slot(%s, true)", [PHYSICAL_SLOT])
        address = (
            f"host={self._primary.host} port={self._primary.port} user=postgres passfile={passfile} dbname=postgres"
        )
        made = subprocess.run(
            [
                self._programs / "pg_basebackup", "-D", self.directory / "data", "-d", address, "-S", PHYSICAL_SLOT,
                "-R", "-X", "stream", "-c", "fast", "--no-sync",
            ],
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        if self._account:
            for path in (self.directory / "data", *(self.directory / "data").rglob("*")):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        with (self.directory / "data" / "postgresql.auto.conf").open("a") as settings:
            settings.write("hot_standby_feedback = on\n")

    def synchronise_slot(self, name: str) -> None:
        """Brings a failover slot of the primary here, so that it survives a promotion."""
        deadline = time.monotonic() + 60
        with psycopg.connect(self.dsn(), autocommit=True) as c:
            query = "select synced and not temporary from pg_replication_slots where slot_name = %s"
            while c.execute(query, [name]).fetchone() != (True,):
                assert time.monotonic() < deadline, (self.directory / "log").read_text("utf-8", "replace")[-2000:]
                with psycopg.connect(self._primary.dsn(), autocommit=True) as primary:
                    primary.execute("select pg_log_standby_snapshot()")
                self.catch_up()
                c.execute("select pg_sync_replication_slots()")

    def catch_up(self) -> None:
        """Returns when everything that the primary has written is here."""
        with psycopg.connect(self._primary.dsn(), autocommit=True) as c:
            row = c.execute("select pg_current_wal_flush_lsn()").fetchone()
            assert row is not None
        with psycopg.connect(self.dsn(), autocommit=True) as c:
            reached = sql.SQL("select pg_last_wal_replay_lsn() >= {}").format(sql.Literal(row[0]))
            while c.execute(reached).fetchone() != (True,):
                time.sleep(0.01)

    def promote(self) -> None:
        with psycopg.connect(self.dsn(), autocommit=True) as c:
            c.execute("select pg_promote()")
