"""Paths that wait a moment: files still being written, and names that vanished and may come back at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from headrace.sources.files.batch import Moment
from headrace.sources.files.hints import Hint, Kind
from headrace.sources.files.ignore import Ignore
from headrace.sources.files.known import Index

FILE, TREE = "file", "tree"
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Timing:
    """How long is waited, in seconds. What was closed or renamed into place waits only under a passing name.

    quiet: a file written to but not closed counts as written after so long without a write, and after `quiet_most`
    in any case. hold: a name that vanished is gone when it has not come back by then (git, and editors that delete
    before they write). hold_backup: the same when it was renamed to a name that is left out, as vim and Emacs do
    right before they write the file anew. hold_name: a new name that looks like a temporary one of `sed -i` or of
    Qt's and Go's safe writers (no suffix, or a known file's name and a suffix) may be renamed over a document.
    """

    quiet: float = 0.2
    quiet_most: float = 2.0
    hold: float = 0.0005
    hold_backup: float = 0.05
    hold_name: float = 0.005


@dataclass(slots=True)
class _Wait:
    # gone: may come back; with: the other half of a rename that is held; passing: closed, under a passing name
    state: Literal["new", "writing", "gone", "with", "passing"]
    due: float
    since: float
    moment: Moment


class Waiting:
    """Sorts hints into what to look at now and what to look at later."""

    def __init__(self, timing: Timing, ignore: Ignore, index: Index) -> None:
        self._timing = timing
        self._ignore = ignore
        self._index = index
        self._waits: dict[Key, _Wait] = {}
        self._renames: dict[int, Key] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._waits

    def clear(self) -> None:
        self._waits.clear()
        self._renames.clear()

    def take(self, hint: Hint, moment: Moment, now: float, *, queued: dict[Key, Moment], keep: bool) -> list[Key]:
        """Keys to look at now. `queued` loses what has to wait again, unless `keep` (someone waits behind it)."""
        kind, path, cookie, tree = hint
        if kind is Kind.OVERFLOW:
            lost = list(self._waits)
            self.clear()
            return [*lost, (TREE, "")]
        if not (self._ignore.takes_file(path) or (tree and self._ignore.takes_folder(path))):
            self._backup(kind, cookie, now)
            return []
        key = (TREE if tree else FILE, path)
        if kind in (Kind.GONE, Kind.LEFT):
            return self._vanished(key, hint, moment, now, queued, keep)
        if kind is Kind.ARRIVED:
            return self._arrived(key, cookie, moment, now)
        if tree or kind is Kind.WRITTEN:
            self._waits.pop(key, None)
            if not tree and key not in queued and self._is_passing(path):
                self._waits[key] = _Wait("passing", now + self._timing.hold_name, now, moment)
                return []
            return [key]
        if kind is Kind.TOUCHED:
            return [] if key in self._waits else [key]
        if key not in queued:
            self._writing(key, kind, moment, now)
        return []

    def created(self) -> list[str]:
        """Files that appeared since the last call and are not closed yet."""
        fresh = [key for key, wait in self._waits.items() if wait.state == "new"]
        for key in fresh:
            self._waits[key].state = "writing"
        return [path for _, path in fresh]

    def put_off(self, path: str, moment: Moment, now: float) -> None:
        """A file that changes while it is being read."""
        self._waits[(FILE, path)] = _Wait("writing", now + self._timing.quiet, now, moment)

    def pop(self, key: Key) -> Moment | None:
        wait = self._waits.pop(key, None)
        return None if wait is None else wait.moment

    def due(self, now: float, *, held_only: bool = False) -> list[tuple[Key, Moment]]:
        """Takes out what has waited long enough; `held_only` leaves files that are being written."""
        ready = [
            (key, wait.moment)
            for key, wait in self._waits.items()
            if wait.due <= now and not (held_only and wait.state in ("new", "writing"))
        ]
        for key, _ in ready:
            del self._waits[key]
        if not self._waits:
            self._renames.clear()
        return ready

    def gone(self) -> Iterator[tuple[Key, Moment]]:
        """What was seen to vanish and has not come back."""
        return ((key, wait.moment) for key, wait in list(self._waits.items()) if wait.state == "gone")

    @property
    def holds(self) -> bool:
        """Something waits for a moment only, to see what becomes of a name."""
        return any(wait.state in ("gone", "with", "passing") for wait in self._waits.values())

    def pause_s(self, now: float) -> float | None:
        return max(0.0, min(wait.due for wait in self._waits.values()) - now) if self._waits else None

    def _vanished(
        self, key: Key, hint: Hint, moment: Moment, now: float, queued: dict[Key, Moment], keep: bool
    ) -> list[Key]:
        if key[0] == FILE and key[1] not in self._index:
            self._waits.pop(key, None)  # never given: nothing to take back
            return []
        if keep and key in queued:
            return []
        queued.pop(key, None)
        self._waits[key] = _Wait("gone", now + self._timing.hold, now, moment)
        if hint.kind is Kind.LEFT:
            self._renames[hint.cookie] = key
        return []

    def _arrived(self, key: Key, cookie: int, moment: Moment, now: float) -> list[Key]:
        left = self._waits.get(self._renames.get(cookie, key))
        self._waits.pop(key, None)
        if left is None or left.state != "gone":
            return [key]
        self._waits[key] = _Wait("with", left.due, now, moment)  # both halves of a rename are given together
        return []

    def _is_passing(self, path: str) -> bool:
        if path in self._index:
            return False
        stem, dot, _ = path.rpartition(".")
        return not dot or "/" in path[len(stem) :] or stem in self._index

    def _backup(self, kind: Kind, cookie: int, now: float) -> None:
        left = self._waits.get(self._renames.get(cookie, (FILE, ""))) if kind is Kind.ARRIVED else None
        if left is not None:
            left.due = now + self._timing.hold_backup

    def _writing(self, key: Key, kind: Kind, moment: Moment, now: float) -> None:
        wait = self._waits.get(key)
        due = now + self._timing.quiet
        if wait is None or wait.state not in ("new", "writing"):
            state = "new" if kind is Kind.CREATED else "writing"
            since = moment if wait is None else wait.moment
            self._waits[key] = _Wait(state, due, now, since)
        else:
            wait.due = min(due, wait.since + self._timing.quiet_most)
