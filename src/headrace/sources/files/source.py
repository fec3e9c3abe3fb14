"""The `file://` source: the tracker in a thread of its own, its steps as a stream."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic

from headrace.change import START, Position, Style
from headrace.errors import HeadraceError, SourceError
from headrace.sources import Captured, Resume, SnapshotProgress, SourceSettings
from headrace.sources.files import standing
from headrace.sources.files.address import folder_of
from headrace.sources.files.ignore import Ignore
from headrace.sources.files.known import BYTES_PREFIX, TEXT_PREFIX, decode
from headrace.sources.files.reasons import Outage
from headrace.sources.files.tracker import COMPLETE_KEY, ROOT_KEY, Scope, Step, Tracker, WatchFactory
from headrace.sources.files.waiting import Timing

if sys.platform == "linux":
    from headrace.sources.files.watch import InotifyWatch as SystemWatch
else:
    from headrace.sources.files.watch_portable import PortableWatch as SystemWatch

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0
_SHORT_S = 0.002

Waiter = asyncio.Future[Position]


class FileSource:
    """A folder of documents as a `Source`, and `Hinted`; see the package for what it promises.

    All work on the file system is done in one thread that belongs to the running stream.
    """

    kind = "file"
    style = Style.NUMBER

    def __init__(
        self, settings: SourceSettings, *, watch: WatchFactory = SystemWatch, timing: Timing | None = None
    ) -> None:
        root = folder_of(settings.url)
        self.name = settings.name
        self.address = root.as_uri()
        self._root = root
        self._watch = watch
        self._scope = Scope(
            source=settings.name,
            root=root,
            ignore=Ignore(settings.include, settings.exclude),
            max_bytes=settings.max_bytes,
            batch_files=settings.batch_rows,
            timing=timing or Timing(),
        )
        self._problem: SourceError | None = None
        self._run: _Run | None = None
        self._waiters: list[Waiter] = []
        self._retries: list[str] = []
        self._closed = False
        self.calm = asyncio.Event()
        self.calm.set()

    @property
    def problem(self) -> HeadraceError | None:
        return self._problem

    @property
    def snapshot(self) -> SnapshotProgress | None:
        return None if self._run is None else self._run.tracker.progress

    async def stream(self, resume: Resume) -> AsyncGenerator[Captured]:
        """See `Source`. Raises SourceError when the folder was never there, and when watches run out."""
        if self._run is not None:
            raise RuntimeError(f"the source {self.name} is being read already")
        run = self._run = _Run(await self._tracker(resume), self.calm)
        pause_s = _FIRST_PAUSE_S
        self._problem = None
        try:
            while not self._closed:
                step = await self._step(run)
                if step.captured is not None:
                    run.suspended = True
                    yield step.captured
                    run.suspended = False
                if step.failure is not None:
                    self._fail(run, step.failure)
                    if run.tracker.fresh or not isinstance(step.failure, Outage):
                        raise step.failure
                    self.calm.set()
                    await run.wait(pause_s)
                    pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
                    continue
                self._problem, pause_s = None, _FIRST_PAUSE_S
                if not step.more and not self._closed:
                    if not run.tracker.holds:
                        self.calm.set()
                    await run.wait(None)
        finally:
            self._run = None
            self.calm.set()
            run.keep_waiters(self._waiters)
            await run.close()

    async def ack(self, position: Position) -> None:
        """Nothing to do: a folder keeps no log that could be let go of."""

    async def head(self) -> Position:
        """See `Source`: a position behind everything that was closed, renamed or deleted before the call."""
        if self._problem is not None or self._closed:
            raise _copy(self._problem) if self._problem is not None else self._ended()
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._wake()
        return await waiter

    async def retry(self, topic: str, key: str) -> bool:
        """Reads the file (or, with a `/` at the end, the folder) again; the stream gives what comes of it."""
        parts = key.removesuffix("/").split("/")
        if topic != self.name or self._closed or any(part in ("", ".", "..") for part in parts):
            return False
        self._retries.append(key)
        self._wake()
        return True

    async def standing(self) -> AsyncGenerator[Sequence[tuple[str, str | None]]]:
        """See `Comparable`: every file is read."""
        paths = await asyncio.to_thread(standing.paths, self._scope)
        for n in range(0, len(paths), standing.AT_ONCE):
            yield await asyncio.to_thread(standing.hashes, self._scope, paths[n : n + standing.AT_ONCE])

    async def stands(self, key: str) -> str | None:
        """See `Comparable`."""
        [(_, found)] = await asyncio.to_thread(standing.hashes, self._scope, [key])
        return found

    async def close(self) -> None:
        """Ends the stream and frees what it holds; a second call does nothing."""
        self._closed = True
        self._fail_waiters(self._waiters, self._ended())
        run = self._run
        if run is None:
            return
        run.tracker.stop()
        run.woken.set()
        self._fail_waiters(run.tickets.pop_all(), self._ended())
        if run.suspended:  # whoever reads is not coming back, or comes back to its end
            await run.close()
        else:
            await run.ended.wait()

    # ---- inside -----------------------------------------------------------------------------------------------------

    async def _tracker(self, resume: Resume) -> Tracker:
        files = {**await resume.state.scan(TEXT_PREFIX), **await resume.state.scan(BYTES_PREFIX)}
        state = await resume.state.get([ROOT_KEY, COMPLETE_KEY])
        known = await asyncio.to_thread(decode, files)
        return Tracker(self._scope, state, known, max(resume.position, START).major, self._watch)

    async def _step(self, run: _Run) -> Step:
        waiters, self._waiters = self._waiters, []
        retries, self._retries = self._retries, []
        sync = run.tickets.give(waiters) if waiters else None
        step = await run.call(partial(run.tracker.step, sync, retries))
        for ticket in step.synced:
            for waiter in run.tickets.pop(ticket):
                if not waiter.done():
                    waiter.set_result(Position(run.tracker.frontier))
        return step

    def _wake(self) -> None:
        if self._run is not None:
            self._run.woken.set()

    def _fail(self, run: _Run, problem: SourceError) -> None:
        self._problem = problem
        self._fail_waiters(run.tickets.pop_all(), problem)
        self._fail_waiters(self._waiters, problem)

    def _fail_waiters(self, waiters: list[Waiter], error: SourceError) -> None:
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(_copy(error))
        waiters.clear()

    def _ended(self) -> SourceError:
        return SourceError(
            step="ask a folder for its head",
            expected="a source that is being read",
            got=f"{self.name} is closed",
            remedy="Start Headrace again.",
        )


class _Tickets:
    """Callers of `head()` by the ticket that the tracker gives back; those who ask together share one."""

    def __init__(self) -> None:
        self._last = 0
        self._waiters: dict[int, list[Waiter]] = {}

    def give(self, waiters: list[Waiter]) -> int:
        self._last += 1
        self._waiters[self._last] = waiters
        return self._last

    def pop(self, ticket: int) -> Sequence[Waiter]:
        return self._waiters.pop(ticket, [])

    def pop_all(self) -> list[Waiter]:
        waiters = [waiter for some in self._waiters.values() for waiter in some]
        self._waiters.clear()
        return waiters


class _Run:
    """What one stream holds: its tracker, the thread for it, and what wakes it."""

    def __init__(self, tracker: Tracker, calm: asyncio.Event) -> None:
        self.tracker = tracker
        self._calm = calm
        self.tickets = _Tickets()
        self.woken = asyncio.Event()
        self.ended = asyncio.Event()
        self.suspended = False
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="files")
        self._released = False

    async def call(self, step: Callable[[], Step]) -> Step:
        self.woken.clear()
        return await self._loop.run_in_executor(self._thread, step)

    async def wait(self, pause_s: float | None) -> None:
        """Until a hint can be read, someone asks, a path that waits is due, or `pause_s` has passed."""
        watched = self.tracker.fileno()
        timeout_s = self.tracker.pause_s() if pause_s is None else pause_s
        if watched is not None:
            self._loop.add_reader(watched, self._readable, watched)
        try:
            if timeout_s is not None and timeout_s < _SHORT_S:
                await self._turn(timeout_s)
            else:
                async with asyncio.timeout(timeout_s):
                    await self.woken.wait()
        except TimeoutError:
            pass
        finally:
            if watched is not None:
                self._loop.remove_reader(watched)

    async def _turn(self, pause_s: float) -> None:
        """Goes round in the loop: its timers count whole milliseconds, and a name that vanished is held for half of
        one."""
        until = monotonic() + pause_s
        while not self.woken.is_set() and monotonic() < until:  # noqa: ASYNC110 - the end is a time, too
            await asyncio.sleep(0)

    def keep_waiters(self, kept: list[Waiter]) -> None:
        kept.extend(self.tickets.pop_all())

    async def close(self) -> None:
        """Frees the watch after the step that runs, if any; then the thread ends."""
        if not self._released:
            self._released = True
            self.tracker.stop()
            closing = self._thread.submit(self.tracker.close)
            self._thread.shutdown(wait=False)
            try:
                await asyncio.wrap_future(closing)
            finally:
                self.ended.set()

    def _readable(self, watched: int) -> None:
        self._loop.remove_reader(watched)  # it stays readable until the thread has read it
        self._calm.clear()
        self.woken.set()


def _copy(error: SourceError) -> SourceError:
    """Each caller raises its own, so that no traceback grows."""
    return type(error)(step=error.step, expected=error.expected, got=error.got, remedy=error.remedy)
