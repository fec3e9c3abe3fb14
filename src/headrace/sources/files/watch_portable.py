"""Systems without inotify: hints by watchfiles (FSEvents, kqueue), read in a thread of its own.

They come in no certain order and without saying who closed what, so each one only says where to look, and `exact` is
False: a head compares the whole folder. watchfiles waits for a short silence itself, which keeps a save in one piece.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Set as AbstractSet
from pathlib import Path, PurePath

import watchfiles

from headrace.errors import SourceError
from headrace.sources.files.hints import Hint, Kind

_DEBOUNCE_MS, _STEP_MS, _ROUND_MS = 50, 5, 50
_MOST = 50_000


class PortableWatch:
    """A `Watch` on one recursive watchfiles watcher. Too many hints waiting become one to look at everything."""

    exact = False

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()  # hints come with the links on the way resolved
        self._hints: list[Hint] = []
        self._failure: Exception | None = None
        self._lock = threading.Lock()
        self._started, self._stop = threading.Event(), threading.Event()
        self._readable, self._writable = os.pipe()
        os.set_blocking(self._readable, False)
        os.set_blocking(self._writable, False)
        self._thread = threading.Thread(target=self._follow, name="files-watch", daemon=True)
        self._thread.start()
        self._started.wait()

    def fileno(self) -> int:
        return self._readable

    def add(self, path: str) -> None:
        """Everything below the root is watched from the start."""

    def forget(self, path: str) -> None:
        """Nothing to do, see `add`."""

    def read(self) -> list[Hint]:
        """Raises SourceError when the watcher has ended."""
        with self._lock:
            hints, self._hints = self._hints, []
            with contextlib.suppress(BlockingIOError):
                os.read(self._readable, 4096)
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
        if self._readable >= 0:
            os.close(self._readable)
            os.close(self._writable)
            self._readable = self._writable = -1

    def _follow(self) -> None:
        try:
            for changes in watchfiles.watch(
                self._root,
                watch_filter=None,
                debounce=_DEBOUNCE_MS,
                step=_STEP_MS,
                rust_timeout=_ROUND_MS,
                yield_on_timeout=True,  # the first round, even an empty one, tells that watching has begun
                stop_event=self._stop,
                raise_interrupt=False,
                ignore_permission_denied=True,
            ):
                self._take(changes)
                self._started.set()
        except Exception as error:  # noqa: BLE001 - `read` raises it where someone listens
            self._failure = error
            self._wake()
        finally:
            self._started.set()

    def _take(self, changes: AbstractSet[tuple[watchfiles.Change, str]]) -> None:
        if not changes:
            return
        hints = [hint for change, path in changes if (hint := self._hint(change, path)) is not None]
        with self._lock:
            self._hints += hints
            if len(self._hints) > _MOST:
                self._hints = [Hint(Kind.OVERFLOW, "", tree=True)]
        self._wake()

    def _hint(self, change: watchfiles.Change, path: str) -> Hint | None:
        full = PurePath(path)
        if not full.is_relative_to(self._root):
            return None
        if "\ufffd" in full.name:  # a name that is not UTF-8 comes mangled: its folder knows it
            full, change = full.parent, watchfiles.Change.modified
        relative = full.relative_to(self._root).as_posix()
        kind = Kind.GONE if change == watchfiles.Change.deleted else Kind.TOUCHED
        return Hint(kind, "" if relative == "." else relative, tree=True)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full: it is readable already
            os.write(self._writable, b"!")
