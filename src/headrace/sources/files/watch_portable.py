"""Systems without inotify: hints by watchfiles (FSEvents, kqueue), read in a thread of its own.

They come in no certain order and without saying who closed what, so each one only says where to look, and `exact` is
False: a head compares the whole folder. watchfiles waits for a short silence itself, which keeps a save in one piece.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

import watchfiles

from headrace.errors import SourceError
from headrace.sources.files.hints import Hint, Kind
from headrace.sources.files.reasons import is_below

_DEBOUNCE_MS, _STEP_MS, _ROUND_MS = 50, 5, 500
_MOST = 50_000


class PortableWatch:
    """A `Watch` on one recursive watchfiles watcher; hints wait in a bounded queue and overflow into one."""

    exact = False

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()  # hints come with links on the way resolved
        self._hints: deque[Hint] = deque()
        self._overflowed = False
        self._lock = threading.Lock()
        self._readable, self._writable = os.pipe()
        os.set_blocking(self._readable, False)
        os.set_blocking(self._writable, False)
        self._stop = threading.Event()
        self._failure: Exception | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="files-watch", daemon=True)
        self._thread.start()
        self._started.wait()

    def fileno(self) -> int:
        return self._readable

    def add(self, path: str) -> None:
        """Everything below the root is watched from the start."""

    def forget(self, path: str) -> None:
        """See `add`."""

    def read(self) -> list[Hint]:
        """Raises SourceError when the watcher ended."""
        with self._lock:
            hints = [Hint(Kind.OVERFLOW, "", tree=True)] if self._overflowed else list(self._hints)
            self._hints.clear()
            self._overflowed = False
            try:
                os.read(self._readable, 4096)
            except BlockingIOError:
                pass
        if self._failure is not None:
            raise SourceError(
                step="watch a folder",
                expected="hints from the system",
                got=str(self._failure) or type(self._failure).__name__,
                remedy="See that the folder is on a local disk and that the system has file handles left.",
            ) from self._failure
        return hints

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        with self._lock:
            for end in (self._readable, self._writable):
                if end >= 0:
                    os.close(end)
            self._readable = self._writable = -1
