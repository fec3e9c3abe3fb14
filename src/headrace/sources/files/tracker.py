"""Follows a folder: hints say where to look, the folder says what is there, the index what was given before.

Everything here is synchronous and used by one thread at a time; `source.py` gives it one. A change is always the
difference between the file as it is now and as it was last given, so hints may come late, twice or too often.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from headrace.clock import HybridClock, now_us
from headrace.errors import SourceError
from headrace.sources import Captured, SnapshotProgress
from headrace.sources.files import reasons
from headrace.sources.files.batch import Batch, Moment
from headrace.sources.files.hints import Watch
from headrace.sources.files.ignore import Ignore
from headrace.sources.files.known import Index, Known, encode, is_document, signature
from headrace.sources.files.reading import Busy, Content, FolderClosed, Vanished, find, open_root, read
from headrace.sources.files.scan import Tree, differences, walk
from headrace.sources.files.waiting import FILE, TREE, Key, Timing, Waiting

ROOT_KEY, COMPLETE_KEY = "root", "complete"

_SYNC, _DONE = "sync", "done"
_BUSY_ROUNDS = 25


@dataclass(frozen=True, slots=True)
class Scope:
    """What is followed, and in what portions."""

    source: str
    root: Path
    ignore: Ignore
    max_bytes: int
    batch_files: int = 1000
    batch_bytes: int = 8 * 1024 * 1024
    timing: Timing = field(default_factory=Timing)


class Step(NamedTuple):
    """What one step found. `synced`: tickets whose time has come with this. `more`: call again at once.

    `failure` stands beside what was still found before it: an Outage passes, anything else is for a person to mend.
    """

    captured: Captured | None
    synced: Sequence[int]
    more: bool
    failure: SourceError | None


class _Stopped(Exception):
    """Whoever reads this folder does not want more of it."""


WatchFactory = Callable[[Path], Watch]


class Tracker:
    """One folder, from the state that stands with the last position in the log."""

    def __init__(
        self, scope: Scope, state: Mapping[str, bytes], files: Mapping[str, Known], floor: int, watch: WatchFactory
    ) -> None:
        self._scope = scope
        self._new_watch = watch
        self._watch: Watch | None = None
        self._index = Index(files)
        self._clock = HybridClock(floor=floor)
        self._frontier = floor
        self._in_step = min(floor, now_us())
        self._first = COMPLETE_KEY not in state
        self._scanning = False
        self._inode = int(state[ROOT_KEY]) if ROOT_KEY in state else None
        self._identity = (0, 0)
        self._root = -1
        self._queue = OrderedDict[Key, Moment]()
        self._waiting = Waiting(scope.timing, scope.ignore, self._index)
        self._retries = {reasons.key_of(path): path for path, _ in self._index.items()}
        self._forced = set[str]()
        self._busy = dict[str, int]()
        self._syncing = 0
        self._looked = 0
        self._stopping = False
        self.progress: SnapshotProgress | None = None

    @property
    def fresh(self) -> bool:
        """Nothing was ever given from this folder."""
        return self._first and not len(self._index)

    def fileno(self) -> int | None:
        return None if self._watch is None else self._watch.fileno()

    def pause_s(self) -> float | None:
        """Until a path that waits is due; None when none does."""
        return self._waiting.pause_s(time.monotonic())

    @property
    def holds(self) -> bool:
        """A name is held back for a moment."""
        return self._waiting.holds

    def stop(self) -> None:
        """Ends a step early; from any thread."""
        self._stopping = True

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    # ---- one step ---------------------------------------------------------------------------------------------------

    def step(self, sync: int | None = None, retries: Sequence[str] = ()) -> Step:
        """Takes all hints in, then looks at what they name, at most a batch of it.

        `sync`: a ticket that comes back once everything that happened before this call has been given.
        """
        batch = Batch(self._scope.source, self._scope.batch_files, self._scope.batch_bytes)
        failure: SourceError | None = None
        try:
            self._open_root(batch)
            self._drain()
            self._order(sync, retries)
            self._work(batch)
        except SourceError as error:
            failure = error
        except OSError as error:
            failure = reasons.storage(self._scope.root, error)
        except _Stopped:
            pass
        finally:
            if self._root >= 0:
                os.close(self._root)
                self._root = -1
        if failure is not None:
            self._lose(batch)
        captured = batch.captured(self._clock, self._frontier, ordered=self._scanning)
        if captured is not None:
            self._frontier = captured.frontier.major
        return Step(captured, batch.synced, bool(self._queue), failure)

    @property
    def frontier(self) -> int:
        return self._frontier

    def _open_root(self, batch: Batch) -> None:
        """Opened anew for each step: a descriptor that is kept would keep a file system from being unmounted."""
        self._root, identity = open_root(self._scope.root)
        if self._watch is not None and identity == self._identity:
            return
        self._lose(batch)
        self._identity = identity
        self._watch = self._new_watch(self._scope.root)
        self._scanning = True
        if self._first:
            self._looked = 0
            self.progress = SnapshotProgress(0, 0, now_us())
        syncs = [key for key in self._queue if key[0] == _SYNC]
        self._queue.clear()
        self._queue[(TREE, "")] = Moment(self._in_step, now_us())
        for key in [(_DONE, ""), *syncs]:
            self._queue[key] = Moment(0, 0)

    def _lose(self, batch: Batch) -> None:
        """The folder cannot be looked at: only what was seen to be deleted is, everything else stays as it is."""
        if self._watch is not None:
            self._take_hints()
            for (kind, path), since in self._waiting.gone():
                for lost in [path] if kind == FILE else [path, *self._index.below(path)]:
                    self._drop(lost, since, batch)
        self._waiting.clear()
        self.close()

    def _take_hints(self) -> None:
        if self._watch is None:
            return
        began, now = now_us(), time.monotonic()
        moment = Moment(self._in_step, began)
        for hint in self._watch.read():
            for key in self._waiting.take(hint, moment, now, queued=self._queue, keep=self._syncing > 0):
                self._queue.setdefault(key, moment)
        self._in_step = began

    def _drain(self) -> None:
        if self._stopping:
            raise _Stopped
        self._take_hints()
        for path in self._waiting.created():
            self._check_created(path)
        for key, since in self._waiting.due(time.monotonic()):
            self._queue.setdefault(key, since)

    def _check_created(self, path: str) -> None:
        """A name that appeared without a writer behind it (a link to a file, a pipe) will never be closed."""
        try:
            found = find(self._root, path)
            being_written = found.st_nlink == 1 and is_document(found.st_mode)
        except (Vanished, FolderClosed):
            being_written = False
        if not being_written and (since := self._waiting.pop((FILE, path))) is not None:
            self._queue.setdefault((FILE, path), since)

    def _order(self, sync: int | None, retries: Sequence[str]) -> None:
        now = Moment(self._in_step, self._in_step)
        for key in retries:
            path = self._retries.get(key, key)
            self._forced.add(path)
            self._queue.setdefault((TREE, path[:-1]) if path.endswith("/") else (FILE, path), now)
        if sync is None:
            return
        for key, since in self._waiting.due(float("inf"), held_only=True):
            self._queue.setdefault(key, since)
        if self._watch is not None and not self._watch.exact:
            self._queue.setdefault((TREE, ""), now)
        self._queue[(_SYNC, str(sync))] = now
        self._syncing += 1

    def _work(self, batch: Batch) -> None:
        while self._queue and not batch.full and not self._stopping:
            (kind, path), moment = self._queue.popitem(last=False)
            if kind == FILE and path in batch.paths:  # a second version of it: in the next batch, so that order holds
                self._push([(kind, path)], moment)
                return
            if kind == FILE:
                self._look(path, moment, batch)
            elif kind == TREE:
                self._expand(path, moment, batch)
            elif kind == _SYNC:
                self._syncing -= 1
                batch.synced.append(int(path))
            else:
                self._complete(batch)
        if self.progress is not None:
            total, started_at = self.progress.total, self.progress.started_at
            self.progress = SnapshotProgress(min(self._looked, total), total, started_at)

    def _complete(self, batch: Batch) -> None:
        """The whole folder has been given: from here on the frontier stands after every position of earlier runs."""
        self._first = self._scanning = False
        self._inode = self._identity[1]
        self.progress = None
        batch.state[COMPLETE_KEY] = b"1"
        batch.state[ROOT_KEY] = str(self._inode).encode()
        batch.advance = True

    # ---- looking ----------------------------------------------------------------------------------------------------

    def _push(self, keys: Sequence[Key], moment: Moment) -> None:
        """Puts keys before everything else, in their order; those that wait for a writer are left to wait."""
        for key in reversed(keys):
            if key not in self._waiting:
                self._queue.setdefault(key, moment)
                self._queue.move_to_end(key, last=False)

    def _expand(self, folder: str, moment: Moment, batch: Batch) -> None:
        watch = self._watch
        if watch is None:
            return
        tree = walk(self._root, folder, self._scope.ignore, watch.add, self._drain)
        self._guard(folder, tree)
        self._drain()
        seen = max(moment.floor, self._appeared(folder, moment))
        found = differences(tree, self._index, folder)
        at = Moment(seen, moment.seen)
        files = [(FILE, path) for path in found.read + found.gone]
        if folder and (folder in self._index or not watch.exact):
            files.append((FILE, folder))
        self._push(files, at)
        for path in found.closed:
            self._drop(path, at, batch)
        for path in found.opened:
            self._drop(path, at, batch)
        for path, why in tree.closed.items():
            self._reject(path + "/", reasons.folder_closed(path, why), at, batch)
        if self.progress is not None and not folder:
            self.progress = SnapshotProgress(0, len(found.read), self.progress.started_at)

    def _guard(self, folder: str, tree: Tree) -> None:
        """An empty folder in the place of the one that was read is what a lost mount leaves: nothing is deleted."""
        if folder:
            return
        if "" in tree.closed:
            raise reasons.root_closed(self._scope.root, tree.closed[""])
        replaced = self._inode is not None and self._inode != self._identity[1]
        if replaced and not tree.files and not tree.closed and len(self._index):
            raise reasons.root_emptied(self._scope.root, len(self._index))

    def _appeared(self, folder: str, moment: Moment) -> int:
        """When a folder got its name, as far as its own times tell: its files keep theirs when it is moved."""
        if not folder:
            return 0
        try:
            return min(find(self._root, folder).st_ctime_ns // 1000, moment.seen)
        except (Vanished, FolderClosed):
            return 0

    def _look(self, path: str, moment: Moment, batch: Batch) -> None:
        self._looked += 1
        try:
            if not self._scope.ignore.takes_file(path):
                raise Vanished
            if not reasons.is_text(path):
                found = signature(find(self._root, path))
                self._reject(path, reasons.name_not_text(path), moment, batch, Content(None, b"", found, False))
                return
            content = read(self._root, path, self._scope.max_bytes)
        except Vanished:
            self._drop(path, moment, batch)
        except FolderClosed:
            self._push([(TREE, path.rpartition("/")[0])], moment)
        except Busy:
            self._put_off(path, moment, batch)
        except OSError as error:
            self._reject(path, reasons.unreadable(path, error), moment, batch, self._present(path))
        else:
            self._busy.pop(path, None)
            self._accept(path, content, moment, batch)

    def _present(self, path: str) -> Content | None:
        try:
            return Content(None, b"", signature(find(self._root, path)), False)
        except (Vanished, FolderClosed):
            return None

    def _put_off(self, path: str, moment: Moment, batch: Batch) -> None:
        rounds = self._busy[path] = self._busy.get(path, 0) + 1
        if rounds < _BUSY_ROUNDS:
            self._waiting.put_off(path, moment, time.monotonic())
            return
        del self._busy[path]
        self._reject(path, reasons.never_rests(path), moment, batch, self._present(path))

    def _accept(self, path: str, content: Content, moment: Moment, batch: Batch) -> None:
        if content.data is None:
            reason = reasons.too_large(path, content.signature.size, self._scope.max_bytes, self._scope.source)
            self._reject(path, reason, moment, batch, content)
            return
        before = self._index.get(path)
        after = Known(content.digest, *content.signature, racy=content.racy)
        forced = path in self._forced
        self._forced.discard(path)
        if before == after and not forced:
            return
        self._index.put(path, after)
        batch.keep(path, encode(after))
        if before is not None and before.rejected:
            batch.settle(reasons.key_of(path))
        if before is not None and before.digest == after.digest and not forced:
            return  # touched, not changed
        given = before is not None and not before.rejected
        batch.give(path, content.data, content.signature, moment, given=given, first=self._first)

    def _reject(
        self, path: str, reason: reasons.Reason, moment: Moment, batch: Batch, found: Content | None = None
    ) -> None:
        """Nothing stale is served: what was given of it before is deleted along with the rejection."""
        before = self._index.get(path)
        seen = found.signature if found is not None else (0, 0, 0, 0)
        after = Known(b"", *seen, rejected=reason.code)
        forced = path in self._forced
        self._forced.discard(path)
        if before == after and not forced:
            return
        if before is not None and not before.rejected:
            batch.delete(path, moment)
        self._index.put(path, after)
        self._retries[reasons.key_of(path)] = path
        batch.keep(path, encode(after))
        batch.reject(reasons.key_of(path), path, reason.error, moment)

    def _drop(self, path: str, moment: Moment, batch: Batch) -> None:
        known = self._index.get(path)
        forced = path in self._forced
        self._forced.discard(path)
        self._busy.pop(path, None)
        if known is None or known.rejected:
            if known is not None or forced:
                batch.settle(reasons.key_of(path))
        else:
            batch.delete(path, moment)
        if known is not None:
            self._index.drop(path)
            self._retries.pop(reasons.key_of(path), None)
            batch.keep(path, None)
