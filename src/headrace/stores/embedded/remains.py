"""What a killed predecessor left in a data directory, cleared so that the next start finds it free.

The caller holds the directory's lock, so no Headrace is alive in it; PostgreSQL's processes may be, for a moment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from signal import SIGINT, SIGKILL, SIGQUIT

from headrace.stores.embedded.errors import in_use
from headrace.stores.embedded.home import Home
from headrace.stores.embedded.process import is_running, running_in, signal_all

ORPHAN_LIMIT_S = 30.0
STRANGER_LIMIT_S = 5.0


async def clear(home: Home, progress: Callable[[str], None]) -> None:
    """Waits for an orphaned server, ends its backends, and removes lock file and socket.

    Raises `DataDirectoryInUse` for a server that somebody started by hand.
    """
    recorded, pid = home.running(), home.postmaster()
    lock_file = home.cluster / "postmaster.pid"
    if pid is not None:
        if is_running(pid, home.cluster):
            progress(f"Waiting for PostgreSQL process {pid} of a Headrace that was killed")
            await _outlast(home, pid, ours=recorded is not None and recorded.pid == pid)
        await _end_backends(home)
        # The pid in it may be another program's by now, and PostgreSQL would refuse to start. Its second guard, the
        # shared memory of the directory, still stands against a backend that was not seen here.
        lock_file.unlink(missing_ok=True)
    elif lock_file.exists():
        if busy := running_in(home.cluster):
            raise in_use(home.path, f"PostgreSQL process {busy[0]}", f"Stop it first (kill -INT {busy[0]}).")
        lock_file.unlink()
    if recorded:
        home.forget(recorded.sockets)


async def _outlast(home: Home, pid: int, *, ours: bool) -> None:
    """Our own orphan is asked once more to shut down. One that we killed before it was noted goes by itself."""

    def gone() -> bool:
        return not is_running(pid, home.cluster)

    if not ours:
        if not await _within(STRANGER_LIMIT_S, gone):
            raise in_use(home.path, f"PostgreSQL process {pid}", f"Stop it first (kill -INT {pid}).")
        return
    for number, limit_s in ((SIGINT, ORPHAN_LIMIT_S), (SIGQUIT, 5.0), (SIGKILL, 5.0)):
        signal_all([pid], number)
        if await _within(limit_s, gone):
            return


async def _end_backends(home: Home) -> None:
    """Backends outlive a killed postmaster until they next wait; a long computation would keep the cluster."""
    for number in (SIGQUIT, SIGKILL):
        signal_all(running_in(home.cluster), number)
        if await _within(3.0, lambda: not running_in(home.cluster)):
            return


async def _within(limit_s: float, done: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + limit_s
    while not done():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True
