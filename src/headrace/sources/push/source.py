"""The `push:` source: what faces put into its inbox, as a stream."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace

from headrace.change import START, Position, Style
from headrace.clock import HybridClock, now_us
from headrace.errors import HeadraceError, SourceError
from headrace.inbox import Counts, InboxFull, Item, Receipt, read_kept
from headrace.sources import Captured, Resume, SnapshotProgress, State
from headrace.sources.push.address import Options
from headrace.sources.push.batch import Batch, Builder, Delivery, Tally
from headrace.sources.push.kept import fetch, load_tables
from headrace.sources.push.remembered import Known, Memory, decode_known, id_name, key_name

MOST_PUSHES = 128
"""Pushes under way at once; each has at most one part waiting."""
APPEND_ITEMS = 4000
"""Of how many items an append is made, at most one part of a push more."""


@dataclass(slots=True)
class _Key:
    """One Idempotency-Key in use: pushes with it take turns."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class PushSource:
    """Implements `headrace.sources.Source`, `Receiving` and `headrace.inbox.Inbox`; see the package for what it
    promises."""

    kind = "push"
    style = Style.NUMBER
    address = "push:"

    def __init__(self, name: str, options: Options) -> None:
        self.name = name
        self._options = options
        self._state: State | None = None
        self._frontier: Position | None = None
        self._waiting: deque[Delivery] = deque()
        self._waiting_items = 0
        self._pushes = 0
        self._keys: dict[str, _Key] = {}
        self._woken = asyncio.Event()
        self._begun = asyncio.Event()
        self._closed = False
        self._counts = Counts()

    @property
    def counts(self) -> Counts:
        return replace(self._counts, waiting=self._waiting_items)

    @property
    def problem(self) -> HeadraceError | None:
        return None

    @property
    def snapshot(self) -> SnapshotProgress | None:
        return None

    @property
    def taking(self) -> bool:
        return not self._closed and self._state is not None

    # ---- what faces ask (headrace.inbox.Inbox) -----------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def push(self, key: str) -> AsyncGenerator[_Push]:
        state = self._open()
        if self._waiting_items >= self._options.inbox or self._pushes >= MOST_PUSHES:
            raise self._full()
        self._pushes += 1
        try:
            async with self._turn(key):
                found = await state.get([key_name(key)]) if key else {}
                yield _Push(self, key, decode_known(found[key_name(key)]) if found else None)
        finally:
            self._pushes -= 1

    async def again(self, topic: str, key: str, record: bytes) -> bool:
        self._open()
        item = read_kept(record)
        await self.put(Delivery("", Tally(), [item], b"", True, _future(), (topic, key)))
        return True

    async def put(self, delivery: Delivery) -> Receipt:
        """Returns when the log has it. Raises SourceError when the stream ends before."""
        self._open()
        size = max(1, len(delivery.items))
        self._waiting_items += size  # until the log has them
        delivery.taken.add_done_callback(lambda taken: self._less(size, taken))
        self._waiting.append(delivery)
        self._woken.set()
        try:
            return await asyncio.shield(delivery.taken)
        except asyncio.CancelledError:
            # Whoever pushes again with this key must find either all of it or nothing.
            if delivery in self._waiting:
                self._waiting.remove(delivery)
                delivery.taken.cancel()
            else:
                await asyncio.wait((delivery.taken,))
            raise

    # ---- what the engine asks (headrace.sources.Source) --------------------------------------------------------------

    async def stream(self, resume: Resume) -> AsyncGenerator[Captured]:
        if self._state is not None:
            raise RuntimeError(f"the source {self.name} is being read already")
        memory = await Memory.load(resume.state, self._options.keep_us)
        unsettled = set(await resume.state.scan("r:"))
        tables = await load_tables(resume.state)
        frontier = self._frontier = max(resume.position, self._frontier or START)
        clock = HybridClock(frontier.major)
        self._state = resume.state
        taken: list[Delivery] = []
        try:
            yield Captured(frontier)
            self._begun.set()
            while not self._closed:
                await self._wake(memory.period_s)
                taken = self._take()
                batch = await self._batch(taken, clock, unsettled, tables)
                state = await memory.forget(now_us())
                state |= memory.remember(batch.names, now_us(), Position(clock.next())) | batch.state
                if taken or state:
                    yield Captured(batch.frontier, batch.changes, state, batch.rejected, batch.settled)
                self._frontier = batch.frontier
                self._count(batch)
                _answer(taken)
                taken = []
        finally:
            self._state = None
            self._fail(taken)

    async def ack(self, position: Position) -> None:
        """Nothing to do: whoever pushes waits for the disk itself."""

    async def head(self) -> Position:
        """What was accepted last."""
        if self._closed:
            raise self._ended()
        await self._begun.wait()
        assert self._frontier is not None
        return self._frontier

    async def retry(self, topic: str, key: str) -> bool:
        """Records are kept by their dead letters: see `again`."""
        return False

    async def close(self) -> None:
        self._closed = True
        self._fail([])
        self._woken.set()

    # ---- inside ------------------------------------------------------------------------------------------------------

    async def _batch(
        self, taken: Sequence[Delivery], clock: HybridClock, unsettled: set[str], tables: set[str]
    ) -> Batch:
        assert self._state is not None
        assert self._frontier is not None
        ids = [id_name(item.id) for d in taken for item in d.items if item.id]
        known = set(await self._state.get(ids)) if ids else set[str]()
        kept = await fetch(self._state, tables, (draft for d in taken for i in d.items for draft in i.drafts))
        builder = Builder(self.name, self._frontier, clock.next, known, unsettled, kept, now_us())
        for delivery in taken:
            builder.take(delivery)
        return builder.batch

    def _count(self, batch: Batch) -> None:
        before = self._counts
        self._counts = Counts(
            before.accepted + batch.accepted,
            before.duplicates + batch.duplicates,
            before.ignored + batch.ignored,
            before.rejected + len(batch.rejected),
        )

    def _take(self) -> list[Delivery]:
        taken: list[Delivery] = []
        items = 0
        while self._waiting and items < APPEND_ITEMS:
            taken.append(self._waiting.popleft())
            items += len(taken[-1].items)
        return taken

    def _less(self, items: int, taken: asyncio.Future[Receipt]) -> None:
        self._waiting_items -= items
        if not taken.cancelled():
            taken.exception()  # seen, also when whoever pushed has gone

    async def _wake(self, timeout_s: float) -> None:
        """Until something waits, or it is time to look for what may be forgotten."""
        if not self._waiting and not self._closed:
            self._woken.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._woken.wait()

    @contextlib.asynccontextmanager
    async def _turn(self, key: str) -> AsyncGenerator[None]:
        if not key:
            yield
            return
        held = self._keys.setdefault(key, _Key())
        held.users += 1
        try:
            async with held.lock:
                yield
        finally:
            held.users -= 1
            if not held.users:
                del self._keys[key]

    def _open(self) -> State:
        if not self.taking:
            raise self._ended()
        assert self._state is not None
        return self._state

    def _fail(self, taken: Sequence[Delivery]) -> None:
        waiting = list(self._waiting)
        self._waiting.clear()
        for delivery in (*taken, *waiting):
            if not delivery.taken.done():
                delivery.taken.set_exception(self._ended())

    def _full(self) -> InboxFull:
        return InboxFull(
            step=f"push to {self.name}",
            expected=f"fewer than {self._options.inbox} changes waiting, and fewer than {MOST_PUSHES} pushes at once",
            got=f"{self._waiting_items} waiting, {self._pushes} pushes",
            remedy="Send it again after Retry-After, with the same Idempotency-Key.",
        )

    def _ended(self) -> SourceError:
        return SourceError(
            step=f"push to {self.name}",
            expected="a Headrace that takes changes in",
            got="one that is starting, stopping, or does not run",
            remedy="Send it again in a moment, with the same Idempotency-Key: what came in already is not taken twice.",
        )


class _Push:
    """Implements `headrace.inbox.Push`."""

    def __init__(self, source: PushSource, key: str, known: Known | None) -> None:
        self._source = source
        self._key = key
        self._tally = Tally()
        self.receipt = known.receipt if known is not None and known.whole else None
        self.done = known.receipt.records if known is not None else 0
        self.digest = known.digest if known is not None else b""
        if known is not None:
            r = known.receipt
            self._tally = Tally(r.accepted, r.duplicates, r.ignored, r.rejections, list(r.rejected))

    async def put(self, items: Sequence[Item], digest: bytes, *, last: bool) -> Receipt:
        return await self._source.put(Delivery(self._key, self._tally, items, digest, last, _future()))


def _answer(taken: Sequence[Delivery]) -> None:
    for delivery in taken:
        if not delivery.taken.done() and delivery.receipt is not None:
            delivery.taken.set_result(delivery.receipt)


def _future() -> asyncio.Future[Receipt]:
    return asyncio.get_running_loop().create_future()
