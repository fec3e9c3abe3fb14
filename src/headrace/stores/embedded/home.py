"""The files of an embedded PostgreSQL: its cluster, and beside it what Headrace keeps about it.

lock           held while in use; the system frees it when its holder dies, however it dies
pgpass         the password, for libpq's `passfile`, readable by its owner only
port           the TCP port, so that it stays the same
running        the postmaster and its socket's directory, so that the next start clears what a crash left
postgres.log   PostgreSQL's messages; the part before the last 8 MB is in postgres.log.1, older ones are gone
cluster/       PostgreSQL's own data directory
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from headrace.stores.embedded.binaries import sync_directory
from headrace.stores.embedded.errors import in_use, unusable
from headrace.stores.embedded.process import Account

LOG_LIMIT_BYTES = 8_000_000
SUPERUSER = "postgres"


@dataclass(frozen=True, slots=True)
class Running:
    """A postmaster, and the directory of its socket."""

    pid: int
    sockets: Path


class Home:
    """The directory of one embedded PostgreSQL, held from `open` to `close`."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self.cluster = path / "cluster"
        self.pgpass = path / "pgpass"
        self._lock = lock

    @classmethod
    def open(cls, path: Path) -> Home:
        """Makes the directory if need be and takes it. Raises `DataDirectoryInUse` with the pid that holds it."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise in_use(
                path,
                f"process {holder}" + (" (this one)" if holder == str(os.getpid()) else ""),
                "Stop that process, talk to it instead of starting another, or choose another `data` directory.",
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        return cls(path, lock)

    def close(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    # ---- the cluster

    def is_initialised(self, major: str) -> bool:
        """Whether there is a cluster. Raises `DataDirectoryUnusable` when it is not one for PostgreSQL `major`."""
        if self.cluster.is_symlink():  # as root, another user's link could lead us anywhere
            raise unusable(
                self.path,
                "a directory named cluster",
                "a symbolic link",
                f"Let {self.path} itself be the link, or mount the other place there.",
            )
        if not self.cluster.exists():
            return False
        try:
            found = (self.cluster / "PG_VERSION").read_text(encoding="ascii").strip()
        except PermissionError as problem:
            owner = self.cluster.stat().st_uid
            raise unusable(
                self.path,
                f"a cluster of this user ({os.geteuid()})",
                f"one of user {owner}",
                "Run Headrace as root or as the user that created it, or choose another `data` directory.",
            ) from problem
        except (OSError, UnicodeDecodeError) as problem:
            raise unusable(
                self.path,
                "a whole PostgreSQL cluster",
                f"one without its version file ({problem})",
                f"Restore a backup; or move {self.path} away, and everything that comes from sources is built again.",
            ) from problem
        if found != major:
            raise unusable(
                self.path,
                f"a cluster of PostgreSQL {major}",
                f"one of PostgreSQL {found or '(empty version file)'}",
                "Use the Headrace that made it, or dump it there and restore it here; or move it away, and everything "
                "that comes from sources is built again.",
            )
        return True

    def new_cluster(self, account: Account | None) -> Path:
        """An empty directory to initialise; what an interrupted initialisation left is removed."""
        unfinished = self.path / "cluster.unfinished"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700)
        if account:
            os.chown(unfinished, account.uid, account.gid)
        return unfinished

    def publish_cluster(self, unfinished: Path) -> None:
        """The initialised cluster takes its place whole, or not at all."""
        unfinished.rename(self.cluster)
        sync_directory(self.path)

    def postmaster(self) -> int | None:
        """The pid in PostgreSQL's own lock file. None if there is no such file or no pid in it."""
        lines = self._postmaster_lines()
        return int(lines[0]) if lines and lines[0].isdecimal() else None

    def is_ready(self, pid: int) -> bool:
        """Whether that postmaster says that it takes connections: the eighth line of its lock file."""
        lines = self._postmaster_lines()
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _postmaster_lines(self) -> list[str]:
        try:
            return (self.cluster / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []

    # ---- what we keep beside it

    def password(self) -> str | None:
        """None before the first start."""
        try:
            return self.pgpass.read_text(encoding="ascii").strip().rpartition(":")[2] or None
        except FileNotFoundError:
            return None

    def new_password(self) -> str:
        password = secrets.token_urlsafe(32)
        self._write("pgpass", f"*:*:*:{SUPERUSER}:{password}\n")
        return password

    def port(self) -> int:
        """The TCP port of the last time if it is free, else a new one."""
        try:
            port = int((self.path / "port").read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            port = 0
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                probe.bind(("127.0.0.1", 0))
            chosen: int = probe.getsockname()[1]
        if chosen != port:
            self._write("port", f"{chosen}\n")
        return chosen

    def running(self) -> Running | None:
        """The last postmaster that was not stopped in order."""
        try:
            pid, sockets = (self.path / "running").read_text(encoding="utf-8").splitlines()
            return Running(int(pid), Path(sockets))
        except (FileNotFoundError, ValueError):
            return None

    def set_running(self, running: Running) -> None:
        self._write("running", f"{running.pid}\n{running.sockets}\n")

    def forget(self, sockets: Path) -> None:
        """Removes a socket's directory, and the note of the postmaster that used it."""
        if sockets.name.startswith("headrace-") and not sockets.is_symlink():
            shutil.rmtree(sockets, ignore_errors=True)
        noted = self.running()
        if noted and noted.sockets == sockets:
            (self.path / "running").unlink(missing_ok=True)

    def _write(self, name: str, text: str) -> None:
        """Whole or not at all, readable by us only."""
        unfinished = self.path / f"{name}.unfinished"
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, text.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        unfinished.rename(self.path / name)

    # ---- the log

    def open_log(self) -> int:
        """A descriptor that appends, so that PostgreSQL goes on at the new end after a cut."""
        return os.open(self.path / "postgres.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def log_size(self) -> int:
        try:
            return (self.path / "postgres.log").stat().st_size
        except FileNotFoundError:
            return 0

    def log_from(self, offset: int) -> str:
        """What was logged since then, at most the last 64 KB."""
        with (self.path / "postgres.log").open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            start = offset if offset <= size else 0  # it was cut meanwhile
            log.seek(max(start, size - 65_536))
            return log.read().decode("utf-8", "replace")

    def cut_log(self, limit: int = LOG_LIMIT_BYTES) -> None:
        """Sets the log aside when it has grown past the limit, in place of the one set aside before."""
        if self.log_size() > limit:
            log, aside = self.path / "postgres.log", self.path / "postgres.log.1"
            with log.open("rb") as source, aside.open("wb") as target:
                source.seek(-limit, os.SEEK_END)
                shutil.copyfileobj(source, target)
            aside.chmod(0o600)
            os.truncate(log, 0)
