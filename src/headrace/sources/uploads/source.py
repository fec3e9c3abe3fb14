"""The `upload:` source: what faces put into it, as a stream."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir

from headrace.change import START, Position, Style
from headrace.clock import HybridClock, now_us
from headrace.errors import HeadraceError, SourceError
from headrace.sources import Captured, Resume, SnapshotProgress, SourceSettings, State
from headrace.sources.uploads.batch import Again, Batch, Builder, Describe, Put, Remove, Request, original_of
from headrace.sources.uploads.kept import DOCUMENT, Documents
from headrace.sources.uploads.once import MARK, Marks, decode_mark
from headrace.uploads import SCRATCH_PREFIX, Content, Description, Done, Given, Once, Only, UploadsFull

MOST_UPLOADS = 64
"""Uploads under way at once, each with at most one content in the scratch folder."""
APPEND_BYTES = 16 * 1024 * 1024
APPEND_REQUESTS = 128
"""Of how much an append is made, at most one content more."""
STANDING_AT_ONCE = 16


@dataclass(slots=True, eq=False)
class _Waiting:
    request: Request
    done: asyncio.Future[Done]


class UploadSource:
    """Implements `headrace.sources.Source`, `Receiving`, `Comparable` and `headrace.uploads.Uploads`; see the package
    for what it promises."""

    kind = "upload"
    style = Style.NUMBER
    address = "upload:"

    def __init__(self, settings: SourceSettings) -> None:
        self.name = settings.name
        self.max_bytes = settings.max_bytes
        self.scratch = Path(settings.scratch or gettempdir())
        self._state: State | None = None
        self._documents = Documents()
        self._frontier: Position | None = None
        self._waiting: deque[_Waiting] = deque()
        self._uploads = 0
        self._woken = asyncio.Event()
        self._begun = asyncio.Event()
        self._closed = False

    @property
    def problem(self) -> HeadraceError | None:
        return None

    @property
    def snapshot(self) -> SnapshotProgress | None:
        return None

    @property
    def taking(self) -> bool:
        return not self._closed and self._state is not None

    # ---- what faces ask (headrace.uploads.Uploads) -------------------------------------------------------------------

    @property
    def count(self) -> int:
        return len(self._documents)

    @contextlib.contextmanager
    def slot(self) -> Generator[None]:
        if self._uploads >= MOST_UPLOADS:
            raise UploadsFull(
                step=f"upload to {self.name}",
                expected=f"fewer than {MOST_UPLOADS} uploads at once",
                got=str(self._uploads),
                remedy="Send it again after Retry-After.",
            )
        self._uploads += 1
        try:
            yield
        finally:
            self._uploads -= 1

    async def put(
        self, name: str, content: Content, changes: Description, only: Only, once: Once | None = None
    ) -> Done:
        return await self._do(Put(name, content, changes, only, once))

    async def came_of(self, id: str) -> Done | None:
        value = await self._fetch(MARK + id)
        return None if value is None else decode_mark(value)

    async def describe(self, name: str, changes: Description, only: Only) -> Done:
        return await self._do(Describe(name, changes, only))

    async def remove(self, name: str, only: Only) -> Done:
        return await self._do(Remove(name, only))

    def given(self, name: str) -> Given | None:
        return self._documents.get(name)

    def since(self, position: Position) -> Iterator[Given]:
        return self._documents.since(position)

    # ---- what the engine asks (headrace.sources.Source) --------------------------------------------------------------

    async def stream(self, resume: Resume) -> AsyncGenerator[Captured]:
        if self._state is not None:
            raise RuntimeError(f"the source {self.name} is being read already")
        await asyncio.to_thread(_sweep, self.scratch)
        documents = self._documents = Documents(await resume.state.scan(DOCUMENT))
        marks = Marks(await resume.state.scan(MARK))
        frontier = self._frontier = max(resume.position, self._frontier or START)
        clock = HybridClock(frontier.major)
        self._state = resume.state
        taken: list[_Waiting] = []
        try:
            yield Captured(frontier, state=marks.forgotten(now_us()))
            self._begun.set()
            while not self._closed:
                await self._wake()
                taken = self._take()
                builder = Builder(self.name, documents, marks, clock, self._fetch, Batch(self._frontier))
                answers = [(waiting, await _answered(builder, waiting.request)) for waiting in taken]
                if builder.batch.changes or builder.batch.state:
                    yield Captured(builder.batch.frontier, builder.batch.changes, builder.batch.state)
                self._frontier = builder.batch.frontier
                _tell(answers)
                taken = []
        finally:
            self._state = None
            self._fail(taken)

    async def ack(self, position: Position) -> None:
        """Nothing to do: whoever uploads waits for the disk itself."""

    async def head(self) -> Position:
        """What was accepted last."""
        if self._closed:
            raise self._ended()
        await self._begun.wait()
        assert self._frontier is not None
        return self._frontier

    async def retry(self, topic: str, key: str) -> bool:
        """Gives the document again; the log has it when this returns."""
        if topic != self.name or self._documents.get(key) is None:
            return False
        await self._do(Again(key))
        return True

    async def close(self) -> None:
        self._closed = True
        self._fail([])
        self._woken.set()

    # ---- whether all is there (headrace.sources.Comparable) ----------------------------------------------------------

    async def standing(self) -> AsyncGenerator[Sequence[tuple[str, str | None]]]:
        """See `Comparable`: every original is read."""
        self._open()
        names = self._documents.names()
        for n in range(0, len(names), STANDING_AT_ONCE):
            yield [(name, await self.stands(name)) for name in names[n : n + STANDING_AT_ONCE]]

    async def stands(self, key: str) -> str | None:
        """See `Comparable`. Raises SourceError for an original that is not what was given."""
        self._open()
        given = self._documents.get(key)
        if given is None:
            return None
        await original_of(given, self._fetch)
        return given.digest

    # ---- inside ------------------------------------------------------------------------------------------------------

    async def _do(self, request: Request) -> Done:
        self._open()
        waiting = _Waiting(request, asyncio.get_running_loop().create_future())
        waiting.done.add_done_callback(_seen)
        self._waiting.append(waiting)
        self._woken.set()
        try:
            return await asyncio.shield(waiting.done)
        except asyncio.CancelledError:
            # Whoever asks again must find either all of it or nothing, and the content lies in a file until then.
            if waiting in self._waiting:
                self._waiting.remove(waiting)
                waiting.done.cancel()
            else:
                await asyncio.wait((waiting.done,))
            raise

    def _take(self) -> list[_Waiting]:
        taken: list[_Waiting] = []
        size = 0
        while self._waiting and size < APPEND_BYTES and len(taken) < APPEND_REQUESTS:
            taken.append(self._waiting.popleft())
            size += taken[-1].request.size
        return taken

    async def _fetch(self, key: str) -> bytes | None:
        return (await self._open().get([key])).get(key)

    async def _wake(self) -> None:
        if not self._waiting and not self._closed:
            self._woken.clear()
            await self._woken.wait()

    def _open(self) -> State:
        if not self.taking:
            raise self._ended()
        assert self._state is not None
        return self._state

    def _fail(self, taken: Sequence[_Waiting]) -> None:
        waiting = list(self._waiting)
        self._waiting.clear()
        for one in (*taken, *waiting):
            if not one.done.done():
                one.done.set_exception(self._ended())

    def _ended(self) -> SourceError:
        return SourceError(
            step=f"upload to {self.name}",
            expected="a Headrace that takes uploads in",
            got="one that is starting, stopping, or does not run",
            remedy="Send it again in a moment: what came in already is not taken twice.",
        )


def _sweep(scratch: Path) -> None:
    """Removes what a process that was killed has left: one at a time uses the folder."""
    for path in scratch.glob(SCRATCH_PREFIX + "*"):
        if not path.name.startswith(f"{SCRATCH_PREFIX}{os.getpid()}-"):
            path.unlink(missing_ok=True)


async def _answered(builder: Builder, request: Request) -> Done | HeadraceError:
    try:
        return await builder.take(request)
    except HeadraceError as error:  # this request's own; the others go on
        return error


def _tell(answers: Sequence[tuple[_Waiting, Done | HeadraceError]]) -> None:
    for waiting, answer in answers:
        if waiting.done.done():
            continue
        if isinstance(answer, HeadraceError):
            waiting.done.set_exception(answer)
        else:
            waiting.done.set_result(answer)


def _seen(done: asyncio.Future[Done]) -> None:
    if not done.cancelled():
        done.exception()  # also when whoever asked has gone
