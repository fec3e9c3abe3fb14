"""One operator on one source: its appends in order, each group prepared, then applied in one transaction."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import structlog

from headrace.change import Change, Op, key_name, runs
from headrace.codec import encode
from headrace.engines.meter import Meter
from headrace.engines.tracker import Tracker
from headrace.errors import HeadraceError, StoreError
from headrace.log import Append, Log
from headrace.operators import OVERTAKING, Operator
from headrace.stores import Applied, Store
from headrace.stores.dead_letters import DeadLetterDraft
from headrace.stores.values import Failure

SLICE = 128
"""Changes applied in one transaction: bounds how long a large batch keeps its first row waiting."""
LIVE = 16
"""Up to so many changes at once count as live: their embeddings overtake a backlog's."""

logger = structlog.get_logger("headrace.engine")


class Lane:
    """Follows one source for one operator. `lock` is the operator's: it applies one batch at a time."""

    def __init__(
        self, operator: Operator[Any], source: str, log: Log, store: Store, tracker: Tracker, lock: asyncio.Lock
    ) -> None:
        self.operator = operator
        self.source = source
        self.meter = Meter()
        self._log = log
        self._store = store
        self._tracker = tracker
        self._lock = lock
        self.busy = False
        self._unsaved: Applied | None = None

    # ---- in order ----------------------------------------------------------------------------------------------------

    async def process(self) -> None:
        """Applies appends as they come. Raises StoreError; a change that fails alone becomes a dead letter."""
        after = self._tracker.applied(self.operator.name, self.source).number
        async with contextlib.aclosing(self._log.follow(self.source, after)) as stream:
            async for appends in stream:
                for group in grouped(appends, SLICE):
                    await self._apply(group)

    async def _apply(self, group: Sequence[Append]) -> None:
        """Appends as one step; a single append of many changes in slices, each with how far it goes."""
        wanted = [c for a in group for c in self._wanted(a)]
        done = applied(self.operator.name, group[-1])
        if not wanted:
            self._unsaved = done
            self._tracker.advance(done)
            return
        self.busy = True
        try:
            await self._slices(wanted, done)
        finally:
            self.busy = False
        self._unsaved = None
        self._tracker.advance(done)

    async def _slices(self, wanted: Sequence[Change], done: Applied) -> None:
        """While one slice is applied the next one is prepared."""
        before = self._tracker.applied(self.operator.name, self.source)
        parts = sliced(wanted, SLICE, whole=self.operator.whole_transactions)
        background = len(wanted) > LIVE
        count = 0
        ahead: asyncio.Task[Any] | None = None
        try:
            for n, part in enumerate(parts):
                count += len(part)
                progress = done if n == len(parts) - 1 else within(before, part[-1], count)
                try:
                    prepared = await (ahead or self.operator.prepare(part, background=background))
                    following = parts[n + 1] if n + 1 < len(parts) else None
                    ahead = None
                    if following is not None:
                        ahead = asyncio.create_task(_prepare(self.operator, following, background))
                    await self._commit(prepared, progress)
                except StoreError:
                    raise
                except Exception as error:  # noqa: BLE001 - one change must not stop the others, whatever it does
                    await self._one_by_one(part, progress, error)
                self.meter.changes += len(part)
                self._tracker.advance(progress)  # a large batch's lag is seen to shrink
        finally:
            if ahead is not None:
                ahead.cancel()

    async def _commit(self, prepared: object, progress: Applied) -> None:
        async with self._lock, self._store.transaction() as transaction:
            await self.operator.apply(prepared, transaction)
            await transaction.progress(progress)

    async def _one_by_one(self, part: Sequence[Change], progress: Applied, error: Exception) -> None:
        """Of a failing batch, only what fails alone goes to the dead letters."""
        before = self._tracker.applied(self.operator.name, self.source)
        logger.warning("a batch failed and is applied one by one", changes=len(part), error=repr(error))
        for change in part:
            try:
                await self._commit(await self.operator.prepare([change], background=False), within(before, change, 0))
            except StoreError:
                raise
            except Exception as failure:
                self.meter.errors += 1
                logger.exception("a change cannot be applied", topic=change.schema.topic)
                await self._bury(change, failure)
        async with self._store.transaction() as transaction:
            await transaction.progress(progress)

    async def _bury(self, change: Change, error: Exception) -> None:
        failure = error.failure if isinstance(error, HeadraceError) else _unexpected(self.operator.name, error)
        topic, key = change.schema.topic, key_name(change.schema, change.key)
        letter = DeadLetterDraft(self.operator.name, topic, key, change.stamp, Failure(*failure), encode([change]))
        async with self._store.transaction() as transaction:
            await transaction.dead_letters.put([letter])

    async def retry(self, changes: Sequence[Change]) -> None:
        """A dead letter's changes once more."""
        prepared = await self.operator.prepare(changes, background=False)
        async with self._lock, self._store.transaction() as transaction:
            await self.operator.apply(prepared, transaction)

    async def save(self) -> None:
        """Remembers progress over changes that nobody wanted."""
        unsaved, self._unsaved = self._unsaved, None
        if unsaved is not None:
            async with self._store.transaction() as transaction:
                await transaction.progress(unsaved)

    # ---- out of turn -------------------------------------------------------------------------------------------------

    async def overtake(self) -> None:
        """Deletes do not wait behind work that is still being prepared."""
        name = self.operator.name
        known = [self._tracker.applied(n, self.source) for n in (name, name + OVERTAKING)]
        furthest = max(known, key=lambda a: (a.number, a.position))
        # What the operator itself has applied need not be overtaken: where that is further, go on from there.
        self._tracker.advance(replace(furthest, operator=name + OVERTAKING))
        async with contextlib.aclosing(self._log.follow(self.source, furthest.number)) as stream:
            async for appends in stream:
                for append in appends:
                    await self._hide(append, applied(name + OVERTAKING, append))

    async def _hide(self, append: Append, done: Applied) -> None:
        ends = [c for c in self._wanted(append) if self.operator.overtakes(c)]
        if ends and not self._at_once(append):
            # Not beside `apply`: both close versions, and two transactions that do could wait for each other.
            async with self._lock:
                if not self._has_applied(append):  # it may have been this very append that was waited for
                    async with self._store.transaction() as transaction:
                        await self.operator.overtake(ends, transaction)
                        await transaction.progress(done)
        self._tracker.advance(done)

    def _has_applied(self, append: Append) -> bool:
        return self._tracker.applied(self.operator.name, self.source).number >= append.number

    def _at_once(self, append: Append) -> bool:
        """Whether the operator itself gets to this append's ends without waiting for slow work."""
        up_to_date = self._tracker.applied(self.operator.name, self.source).number >= append.number - 1
        quick = all(c.op in (Op.DELETE, Op.TRUNCATE) for c in self._wanted(append))
        return up_to_date and quick and not self.busy

    def _wanted(self, append: Append) -> list[Change]:
        return [c for schema, run in runs(append.changes) if self.operator.wants(schema.topic) for c in run]


def grouped(appends: Sequence[Append], limit: int) -> list[list[Append]]:
    """Consecutive appends in groups of at most `limit` changes; a larger append stands alone."""
    groups: list[list[Append]] = []
    size = 0
    for append in appends:
        if not groups or size + len(append.changes) > limit:
            groups.append([])
            size = 0
        groups[-1].append(append)
        size += len(append.changes)
    return groups


def sliced(changes: Sequence[Change], limit: int, *, whole: bool) -> list[list[Change]]:
    """Consecutive changes in parts of at most `limit`, cut between a source's transactions.

    Within one only where it is larger than that and need not be seen `whole`, and in a first copy, which is no
    transaction of the source.
    """
    parts: list[list[Change]] = [[]]
    for (_, read), run in groupby(changes, key=lambda c: (c.position.major, c.op is Op.READ)):
        one = list(run)
        step = limit if read or not whole else len(one)
        for piece in (one[n : n + step] for n in range(0, len(one), step)):
            if parts[-1] and len(parts[-1]) + len(piece) > limit:
                parts.append([])
            parts[-1] += piece
    return parts


def applied(operator: str, append: Append) -> Applied:
    """Progress up to and with an append."""
    return Applied(
        operator,
        append.source,
        append.number,
        append.position,
        append.committed_at,
        append.changes_total,
        append.bytes_total,
    )


def within(before: Applied, last: Change, changes: int) -> Applied:
    """Progress inside an append: its number comes with its end, its positions as they are applied."""
    return replace(
        before,
        position=last.position,
        committed_at=last.committed_at,
        changes_total=before.changes_total + changes,
    )


async def _prepare(operator: Operator[Any], changes: Sequence[Change], background: bool) -> Any:
    return await operator.prepare(changes, background=background)


def _unexpected(operator: str, error: Exception) -> tuple[str, str, str, str]:
    return (
        f"apply a change ({operator})",
        "no failure",
        f"{type(error).__name__}: {str(error)[:300]}",
        "See the log for where it failed; retry it after an update, and report it.",
    )
