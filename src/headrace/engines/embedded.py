"""Engine: captures and applies in one asyncio process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import monotonic
from typing import Any

import structlog

from headrace.change import Position, Stamp, Style
from headrace.clock import now_us
from headrace.codec import decode
from headrace.engines.lane import LIVE, Lane
from headrace.engines.meter import Meter
from headrace.engines.snapshots import LogKnown
from headrace.engines.syncing import Syncing
from headrace.engines.tracker import Tracker
from headrace.errors import BadRequest, HeadraceError, NotFound, SourceError, StoreError
from headrace.inbox import Inbox
from headrace.log import Log, SourceHead
from headrace.operators import OVERTAKING, Lag, Marks, Operator
from headrace.sources import Captured, Hinted, Receiving, Rejected, Resume, Source
from headrace.stores import Applied, Store
from headrace.stores.dead_letters import DeadLetter, DeadLetterDraft
from headrace.stores.values import Failure

CAPTURE = "capture"
SYNC_S = 0.2
PROBE_S = 0.1
SAVE_S = 1.0
REREAD_S = 10.0
REREAD_CHECKS = 500
"""How long a retry waits for a source to read its input again, and how often it looks."""

logger = structlog.get_logger("headrace.engine")


class EmbeddedEngine:
    """Runs sources and operators until it is cancelled or the store fails."""

    def __init__(self, sources: Sequence[Source], operators: Sequence[Operator[Any]], log: Log, store: Store) -> None:
        self.sources = {s.name: s for s in sources}
        self._operators = tuple(operators)
        self._hinted = [s for s in sources if isinstance(s, Hinted)]
        self._receiving = [s for s in sources if isinstance(s, Receiving)]
        self.operators = tuple(o.name for o in operators)
        self.tracker = Tracker([o.name for o in operators] + [o.name + OVERTAKING for o in operators])
        self.captured = {s.name: Meter() for s in sources}
        self.durable = Syncing(log)
        self._log = log
        self._store = store
        self.turns = {o.name: asyncio.Lock() for o in operators}
        """Held by whoever applies something for an operator: one batch at a time."""
        turns = self.turns
        self._lanes = [Lane(o, s.name, log, store, self.tracker, turns[o.name]) for s in sources for o in operators]
        self.retries: dict[str, Callable[[DeadLetter], Awaitable[None]]] = {}
        """What tries dead letters again that are of no operator, by the name that they have in its place."""
        self.started = asyncio.Event()
        self._standing = False

    @property
    def ready(self) -> bool:
        """Whether it runs, and what is pushed or uploaded now is taken."""
        return self.started.is_set() and all(s.taking for s in self._receiving)

    def wanting(self, topic: str) -> Sequence[str]:
        """The operators that do something with a topic's changes."""
        return [o.name for o in self._operators if o.wants(topic)]

    def busy(self, operator: str) -> bool:
        """Whether it prepares or applies changes right now."""
        return any(x.busy for x in self._lanes if x.operator.name == operator)

    def meter(self, operator: str, source: str) -> Meter:
        return self._lane(operator, source).meter

    def _lane(self, operator: str, source: str) -> Lane:
        return next(x for x in self._lanes if x.operator.name == operator and x.source == source)

    # ---- what those who answer ask (headrace.operators.Progress) ----------------------------------------------------

    @property
    def styles(self) -> Mapping[str, Style]:
        return {s.name: s.style for s in self.sources.values()}

    def marks(self) -> Marks:
        return self.tracker.marks()

    async def wait(self, wanted: Mapping[str, Mapping[str, Position]], timeout_ms: float) -> Sequence[Lag]:
        return await self.tracker.wait(wanted, timeout_ms)

    async def settle(self, operators: Sequence[str], timeout_ms: float) -> None:
        ends = monotonic() + timeout_ms / 1000
        for source in self._hinted:
            if not source.calm.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(source.calm.wait(), ends - monotonic())
        await self.tracker.settle(operators, (ends - monotonic()) * 1000)

    async def heads(self) -> Mapping[str, Position]:
        if self._standing:
            raise SourceError(
                step="ask the sources for their heads",
                expected="a Headrace that reads them",
                got="none that is running on this data folder",
                remedy="Start `headrace up`, then ask again.",
            )
        found = await asyncio.gather(*(s.head() for s in self.sources.values()))
        return dict(zip(self.sources, found, strict=True))

    async def settled(self) -> Mapping[str, int]:
        """Source -> the append up to which the store has every operator's effects."""
        numbers = {(a.operator, a.source): a.number for a in await self._store.progress()}
        return {s: min(numbers.get((o, s), 0) for o in self.operators) for s in self.sources}

    # ---- the loops ---------------------------------------------------------------------------------------------------

    async def stand_still(self) -> None:
        """Answers from what is applied, without reading sources or log."""
        self._standing = True
        applied = await self._store.progress()
        for head in await self._log.heads():
            if head.source in self.sources:
                self.tracker.add(head.source, head.number, [a for a in applied if a.source == head.source])
                self.tracker.lost(head.source, "Headrace is not running: this is what it knew when it stopped")

    async def run(self) -> None:
        """Captures and applies. Raises what broke the store; a source's failure stops only that source."""
        applied = await self._store.progress()
        resume: dict[str, Resume] = {}
        for source in self.sources.values():
            head = await self._log.open(source.name, source.style)
            resume[source.name] = self._resume(head)
            of_source = [a for a in applied if a.source == source.name]
            _check_log(head, of_source)
            self.tracker.add(source.name, head.number, of_source)
        async with asyncio.TaskGroup() as tasks:
            for lane in self._lanes:
                tasks.create_task(lane.process())
                tasks.create_task(lane.overtake())
            for source in self.sources.values():
                tasks.create_task(self._capture(source, resume[source.name]))
                tasks.create_task(self._probe(source))
            tasks.create_task(self._sync())
            tasks.create_task(self._save())
            self.started.set()

    # ---- capture -----------------------------------------------------------------------------------------------------

    async def _capture(self, source: Source, resume: Resume) -> None:
        """A source that fails is tried again with growing pauses: what a person mends is picked up."""
        pause_s = 1.0
        while True:
            try:
                async with contextlib.aclosing(source.stream(resume)) as stream:
                    async for captured in stream:
                        await self._append(source, captured)
                        pause_s = 1.0
                raise SourceError(
                    step=f"read {source.name}", expected="changes", got="the end", remedy="It is read again."
                )
            except SourceError as error:
                meter = self.captured[source.name]
                meter.errors += 1
                meter.last_error = str(error)
                self.tracker.lost(source.name, str(error))
                logger.error("source failed", source=source.name, error=str(error), again_in_s=pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 30.0)
            head = next(h for h in await self._log.heads() if h.source == source.name)
            resume = self._resume(head)

    def _resume(self, head: SourceHead) -> Resume:
        return Resume(head.position, self._log.state(head.source), LogKnown(self._log), head.committed_at)

    async def _append(self, source: Source, captured: Captured) -> None:
        # First the dead letters: the state appended next says that they have been told.
        if captured.rejected or captured.settled:
            await self._reject(source, captured)
        if 0 < len(captured.changes) <= LIVE:
            self.tracker.coming(source.name)
        appended = await self._log.append(source.name, captured.changes, captured.state)
        number = appended.number if appended else self.tracker.sources[source.name].number
        self.captured[source.name].changes += len(captured.changes)
        self.tracker.captured(source.name, number, captured.frontier)

    async def _reject(self, source: Source, captured: Captured) -> None:
        letters = [
            DeadLetterDraft(CAPTURE, r.topic, r.key, _stamp(source.name, r), _failure(r), r.record or None)
            for r in captured.rejected
        ]
        self.captured[source.name].errors += len(letters)
        async with self._store.transaction() as transaction:
            await transaction.dead_letters.settle(CAPTURE, captured.settled, captured.frontier)
            await transaction.dead_letters.put(letters)
        for letter in letters:
            logger.warning("input rejected", topic=letter.topic, key=letter.key, got=letter.failure.got)

    async def _probe(self, source: Source) -> None:
        """Asks for the source's head again and again: what freshness is proved by."""
        while True:
            asked_at = now_us()
            try:
                async with asyncio.timeout(10):
                    head = await source.head()
                problem = source.problem
                if problem is None:
                    self.tracker.probe(source.name, asked_at, head)
                else:
                    self.tracker.lost(source.name, str(problem))
            except (HeadraceError, TimeoutError) as error:
                self.tracker.lost(source.name, str(error) or "it does not answer")
            await asyncio.sleep(PROBE_S)

    async def _sync(self) -> None:
        """Acknowledges to sources what the log has on disk."""
        synced: dict[str, int] = {}
        acked: dict[str, object] = {}
        while True:
            await asyncio.sleep(SYNC_S)
            now = {s: (t.number, t.frontier) for s, t in self.tracker.sources.items()}
            if any(synced.get(s) != number for s, (number, _) in now.items()):
                await self.durable()
            for name, (number, frontier) in now.items():
                synced[name] = number
                if acked.get(name) != frontier:
                    await self.sources[name].ack(frontier)
                    acked[name] = frontier

    async def _save(self) -> None:
        """Remembers progress over changes that nobody wanted, and measures rates."""
        while True:
            await asyncio.sleep(SAVE_S)
            for meter in [*self.captured.values(), *(x.meter for x in self._lanes)]:
                meter.tick(SAVE_S)
            for lane in self._lanes:
                await lane.save()

    # ---- dead letters ------------------------------------------------------------------------------------------------

    async def retry(self, id: int) -> bool:
        """Tries a dead letter again; whether it is settled now. Raises NotFound."""
        letter = next(iter(await self._store.letters(id=id)), None)
        if letter is None:
            raise NotFound(
                step="retry a dead letter",
                expected="an open dead letter",
                got=str(id),
                remedy="See /v1/deadletters for those that are open.",
            )
        if letter.operator == CAPTURE:
            await self._read_again(letter)
        elif (retry := self.retries.get(letter.operator)) is not None:
            await retry(letter)
        elif letter.change is not None:
            await self._lane(letter.operator, letter.source).retry(decode(letter.change))
        return not await self._store.letters(id=id)

    async def _read_again(self, letter: DeadLetter) -> None:
        """A source reads the input in its own time: then it is settled, or another attempt counted."""
        source = self.sources.get(letter.source)
        if source is None or not await _retried(source, letter):
            raise BadRequest(
                step="retry a dead letter",
                expected="a source that can read this input again",
                got=f"{letter.source}, which " + ("cannot" if source else "is not configured"),
                remedy="Change the input at its source: a newer version of it settles this.",
            )
        for _ in range(REREAD_CHECKS):
            now = next(iter(await self._store.letters(id=letter.id)), None)
            if now is None or now.attempts != letter.attempts:
                return
            await asyncio.sleep(REREAD_S / REREAD_CHECKS)


async def _retried(source: Source, letter: DeadLetter) -> bool:
    if isinstance(source, Inbox) and letter.change is not None:
        return await source.again(letter.topic, letter.key, letter.change)
    return await source.retry(letter.topic, letter.key)


def _failure(rejected: Rejected) -> Failure:
    """The store's text has no NUL characters; what was rejected may."""
    return Failure(*(text.replace("\0", "\\0") for text in rejected.error.failure))


def _check_log(head: SourceHead, applied: Sequence[Applied]) -> None:
    """A log that ends before what was applied of it has been lost: new appends would be taken for old ones."""
    ahead = next((a for a in applied if a.number > head.number), None)
    if ahead is not None:
        raise StoreError(
            step=f"go on with {head.source}",
            expected=f"a log of at least {ahead.number} appends, as {ahead.operator} has applied",
            got=f"one of {head.number}",
            remedy="Restore the log that belongs to this store, or start with an empty store and an empty log.",
        )


def _stamp(source: str, rejected: Rejected) -> Stamp:
    return Stamp(source, rejected.position, rejected.committed_at)
