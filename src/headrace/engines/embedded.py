"""Engine: captures and applies in one asyncio process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from headrace.change import Change, Position, Stamp, Style, key_text
from headrace.clock import now_us
from headrace.codec import decode, encode
from headrace.engines.tracker import Tracker
from headrace.errors import BadRequest, HeadraceError, NotFound, SourceError, StoreError
from headrace.log import Append, Log
from headrace.operators import OVERTAKING, Lag, Marks, Operator
from headrace.sources import Captured, Rejected, Resume, Source
from headrace.stores import Applied, DeadLetter, DeadLetterDraft, Failure, Store

CAPTURE = "capture"
SLICE = 128
"""Changes applied in one transaction: bounds how long a large batch keeps its first row waiting."""
LIVE = 16
"""Up to so many changes at once count as live: their embeddings overtake a backlog's."""
SYNC_S = 0.2
PROBE_S = 0.1
SAVE_S = 1.0
REREAD_S = 10.0
REREAD_CHECKS = 500
"""How long a retry waits for a source to read its input again, and how often it looks."""

logger = structlog.get_logger("headrace.engine")


@dataclass(slots=True)
class Meter:
    """Counts for the status and metrics."""

    changes: int = 0
    errors: int = 0
    last_error: str | None = None
    rate: float = 0.0
    _seen: int = 0

    def tick(self, seconds: float) -> None:
        """Updates the rate (changes per second, smoothed); called about every second."""
        fresh = (self.changes - self._seen) / seconds
        self.rate = fresh if self.rate == 0 else 0.7 * self.rate + 0.3 * fresh
        if self.rate < 0.05:
            self.rate = 0.0
        self._seen = self.changes


@dataclass(slots=True)
class _Lane:
    """One operator on one source."""

    operator: Operator[Any]
    source: str
    meter: Meter = field(default_factory=Meter)
    unsaved: Applied | None = None
    busy: bool = False


class EmbeddedEngine:
    """Runs sources and operators until it is cancelled or the store fails."""

    def __init__(self, sources: Sequence[Source], operators: Sequence[Operator[Any]], log: Log, store: Store) -> None:
        self.sources = {s.name: s for s in sources}
        self._operators = {o.name: o for o in operators}
        self.operators = tuple(o.name for o in operators)
        self.tracker = Tracker([o.name for o in operators] + [o.name + OVERTAKING for o in operators])
        self.captured = {s.name: Meter() for s in sources}
        self._log = log
        self._store = store
        self._locks = {o.name: asyncio.Lock() for o in operators}
        self._lanes = [_Lane(o, s.name) for s in sources for o in operators]
        self.started = asyncio.Event()

    def meter(self, operator: str, source: str) -> Meter:
        return next(x.meter for x in self._lanes if x.operator.name == operator and x.source == source)

    # ---- what those who answer ask (headrace.operators.Progress) ----------------------------------------------------

    @property
    def styles(self) -> Mapping[str, Style]:
        return {s.name: s.style for s in self.sources.values()}

    def marks(self) -> Marks:
        return self.tracker.marks()

    async def wait(self, wanted: Mapping[str, Mapping[str, Position]], timeout_ms: float) -> Sequence[Lag]:
        return await self.tracker.wait(wanted, timeout_ms)

    async def heads(self) -> Mapping[str, Position]:
        found = await asyncio.gather(*(s.head() for s in self.sources.values()))
        return dict(zip(self.sources, found, strict=True))

    # ---- the loops ---------------------------------------------------------------------------------------------------

    async def stand_still(self) -> None:
        """Answers from what is applied, without reading sources or log."""
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
            resume[source.name] = Resume(head.position, self._log.state(source.name))
            self.tracker.add(source.name, head.number, [a for a in applied if a.source == source.name])
        async with asyncio.TaskGroup() as tasks:
            for lane in self._lanes:
                tasks.create_task(self._process(lane))
                tasks.create_task(self._overtake(lane))
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
            resume = Resume(head.position, self._log.state(source.name))

    async def _append(self, source: Source, captured: Captured) -> None:
        appended = await self._log.append(source.name, captured.changes, captured.state)
        if captured.rejected or captured.settled:
            await self._reject(source, captured)
        number = appended.number if appended else self.tracker.sources[source.name].number
        self.captured[source.name].changes += len(captured.changes)
        self.tracker.captured(source.name, number, captured.frontier)

    async def _reject(self, source: Source, captured: Captured) -> None:
        letters = [
            DeadLetterDraft(CAPTURE, r.topic, r.key, _stamp(source.name, r), _failure(r.error))
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
                await self._log.sync()
            for name, (number, frontier) in now.items():
                synced[name] = number
                if acked.get(name) != frontier:
                    await self.sources[name].ack(frontier)
                    acked[name] = frontier

    # ---- process -----------------------------------------------------------------------------------------------------

    async def _process(self, lane: _Lane) -> None:
        name = lane.operator.name
        after = self.tracker.applied(name, lane.source).number
        async for appends in _follow(self._log, lane.source, after):
            for append in appends:
                await self._apply(lane, append)

    async def _apply(self, lane: _Lane, append: Append) -> None:
        """One append: prepared and applied in slices, each in one transaction with how far it goes."""
        wanted = [c for c in append.changes if lane.operator.wants(c.schema.topic)]
        done = _applied(lane.operator.name, append)
        if not wanted:
            lane.unsaved = done
            self.tracker.advance(done)
            return
        lane.busy = True
        before = self.tracker.applied(lane.operator.name, lane.source)
        for start in range(0, len(wanted), SLICE):
            part = wanted[start : start + SLICE]
            last = start + SLICE >= len(wanted)
            await self._apply_part(lane, part, done if last else _within(before, part[-1]), len(wanted) > LIVE)
        lane.busy = False
        lane.unsaved = None
        self.tracker.advance(done)

    async def _apply_part(self, lane: _Lane, part: Sequence[Change], progress: Applied, background: bool) -> None:
        try:
            await self._apply_changes(lane.operator, part, progress, background)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - one change must not stop the others, whatever it does
            await self._isolate(lane, part, progress, error)
        lane.meter.changes += len(part)

    async def _apply_changes(
        self, operator: Operator[Any], part: Sequence[Change], progress: Applied, background: bool
    ) -> None:
        prepared = await operator.prepare(part, background=background)
        async with self._locks[operator.name], self._store.transaction() as transaction:
            await operator.apply(prepared, transaction)
            await transaction.progress(progress)

    async def _isolate(self, lane: _Lane, part: Sequence[Change], progress: Applied, error: Exception) -> None:
        """Applies a failing batch change by change, so that only what fails alone goes to the dead letters."""
        before = self.tracker.applied(lane.operator.name, lane.source)
        logger.warning("a batch failed and is applied one by one", changes=len(part), error=repr(error))
        for change in part:
            try:
                await self._apply_changes(lane.operator, [change], _within(before, change), False)
            except StoreError:
                raise
            except Exception as failure:
                lane.meter.errors += 1
                logger.exception("a change cannot be applied", topic=change.schema.topic)
                await self._bury(lane.operator, change, failure)
        async with self._store.transaction() as transaction:
            await transaction.progress(progress)

    async def _bury(self, operator: Operator[Any], change: Change, error: Exception) -> None:
        failure = _failure(error) if isinstance(error, HeadraceError) else _unexpected(operator.name, error)
        letter = DeadLetterDraft(
            operator.name, change.schema.topic, key_text(change.key), change.stamp, failure, encode([change])
        )
        async with self._store.transaction() as transaction:
            await transaction.dead_letters.put([letter])

    async def _overtake(self, lane: _Lane) -> None:
        """Deletes do not wait behind work that is still being prepared."""
        name = lane.operator.name
        after = max(self.tracker.applied(n, lane.source).number for n in (name, name + OVERTAKING))
        async for appends in _follow(self._log, lane.source, after):
            for append in appends:
                ends = [c for c in append.changes if lane.operator.wants(c.schema.topic) and lane.operator.overtakes(c)]
                done = _applied(name + OVERTAKING, append)
                if ends and not self._at_once(lane, append):
                    async with self._store.transaction() as transaction:
                        await lane.operator.overtake(ends, transaction)
                        await transaction.progress(done)
                self.tracker.advance(done)

    def _at_once(self, lane: _Lane, append: Append) -> bool:
        """Whether the operator itself gets to this append's ends without waiting for slow work."""
        up_to_date = self.tracker.applied(lane.operator.name, lane.source).number >= append.number - 1
        quick = all(lane.operator.overtakes(c) for c in append.changes if lane.operator.wants(c.schema.topic))
        return up_to_date and quick and not lane.busy

    async def _save(self) -> None:
        """Remembers progress over changes that nobody wanted, and measures rates."""
        while True:
            await asyncio.sleep(SAVE_S)
            for meter in [*self.captured.values(), *(x.meter for x in self._lanes)]:
                meter.tick(SAVE_S)
            for lane in self._lanes:
                unsaved, lane.unsaved = lane.unsaved, None
                if unsaved is not None:
                    async with self._store.transaction() as transaction:
                        await transaction.progress(unsaved)

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
        elif letter.change is not None:
            await self._retry_change(letter, decode(letter.change))
        return not await self._store.letters(id=id)

    async def _read_again(self, letter: DeadLetter) -> None:
        """A source reads the input in its own time: then it is settled, or another attempt counted."""
        source = self.sources.get(letter.source)
        if source is None or not await source.retry(letter.topic, letter.key):
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

    async def _retry_change(self, letter: DeadLetter, changes: Sequence[Change]) -> None:
        operator = self._operators[letter.operator]
        prepared = await operator.prepare(changes, background=False)
        async with self._locks[operator.name], self._store.transaction() as transaction:
            await operator.apply(prepared, transaction)


async def _follow(log: Log, source: str, after: int) -> AsyncGenerator[Sequence[Append]]:
    async with contextlib.aclosing(log.follow(source, after)) as stream:
        async for appends in stream:
            yield appends


def _applied(operator: str, append: Append) -> Applied:
    return Applied(
        operator, append.source, append.number, append.position, append.committed_at, append.changes_total,
        append.bytes_total,
    )  # fmt: skip


def _within(before: Applied, last: Change) -> Applied:
    """Progress inside an append: its number comes with its end, its positions as they are applied."""
    return Applied(
        before.operator, before.source, before.number, last.position, last.committed_at, before.changes_total,
        before.bytes_total,
    )  # fmt: skip


def _unexpected(operator: str, error: Exception) -> Failure:
    return Failure(
        f"apply a change ({operator})",
        "no failure",
        f"{type(error).__name__}: {str(error)[:300]}",
        "See the log for where it failed; retry it after an update, and report it.",
    )


def _failure(error: HeadraceError) -> Failure:
    return Failure(error.step, error.expected, error.got, error.remedy)


def _stamp(source: str, rejected: Rejected) -> Stamp:
    return Stamp(source, rejected.position, rejected.committed_at)
