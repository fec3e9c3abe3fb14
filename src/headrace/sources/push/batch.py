"""Pushes' items to changes, dead letters and state: what one append takes in. Pure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from headrace.change import Change, Op, Position, Schema
from headrace.change import key_name as shown_key
from headrace.envelopes import ChangeDraft
from headrace.errors import BadInput, HeadraceError
from headrace.inbox import LISTED, Item, Receipt, RejectedItem
from headrace.sources import Rejected
from headrace.sources.push.kept import Kept
from headrace.sources.push.remembered import encode_known, id_name, key_name, unsettled_name


@dataclass(slots=True)
class Tally:
    """What a push has come to so far."""

    accepted: int = 0
    duplicates: int = 0
    ignored: int = 0
    rejections: int = 0
    rejected: list[RejectedItem] = field(default_factory=list[RejectedItem])

    def reject(self, index: int, error: HeadraceError) -> None:
        self.rejections += 1
        if len(self.rejected) < LISTED:
            self.rejected.append(RejectedItem(index, *error.failure))

    def receipt(self, position: Position) -> Receipt:
        return Receipt(
            self.accepted, self.duplicates, self.ignored, self.rejections, tuple(self.rejected), position
        )  # fmt: skip


@dataclass(slots=True, eq=False)
class Delivery:
    """Some items of one push, waiting. `settles`: the dead letter that they were."""

    key: str
    tally: Tally
    items: Sequence[Item]
    digest: bytes
    last: bool
    taken: asyncio.Future[Receipt]
    settles: tuple[str, str] | None = None
    receipt: Receipt | None = None


@dataclass(slots=True)
class Batch:
    """What an append is made of."""

    frontier: Position
    changes: list[Change] = field(default_factory=list[Change])
    rejected: list[Rejected] = field(default_factory=list[Rejected])
    settled: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    state: dict[str, bytes | None] = field(default_factory=dict[str, bytes | None])
    names: list[str] = field(default_factory=list[str])
    """Of the state: what is to be remembered for a time only."""
    accepted: int = 0
    duplicates: int = 0
    ignored: int = 0


class Builder:
    """Takes deliveries one after the other. `known` are names of ids that came before, `unsettled` of dead letters."""

    def __init__(
        self,
        source: str,
        frontier: Position,
        clock: Callable[[], int],
        known: set[str],
        unsettled: set[str],
        kept: Kept,
        now: int,
    ) -> None:
        self.batch = Batch(frontier, state=kept.state)
        self._kept = kept
        self._source = source
        self._clock = clock
        self._known = known
        self._unsettled = unsettled
        self._now = now

    def take(self, delivery: Delivery) -> None:
        major, minor = self._clock(), 0
        label = delivery.key or str(major)
        for item in delivery.items:
            before = len(self.batch.changes)
            self._item(delivery, item, label, Position(major, minor))
            minor += max(1, len(self.batch.changes) - before)
        if self.batch.changes:
            self.batch.frontier = self.batch.changes[-1].position
        delivery.receipt = delivery.tally.receipt(self.batch.frontier)
        if delivery.key:
            name = key_name(delivery.key)
            self.batch.state[name] = encode_known(delivery.digest, delivery.receipt, whole=delivery.last)
            self.batch.names.append(name)

    def _item(self, delivery: Delivery, item: Item, label: str, position: Position) -> None:
        tally = delivery.tally
        name = id_name(item.id) if item.id else ""
        if name in self._known:
            tally.duplicates += 1
            self.batch.duplicates += 1
            return
        drafts = self._whole(item.drafts)
        error = item.error or _incomplete(drafts)
        if error is not None:
            tally.reject(item.index, error)
            self._reject(delivery, item, error, label, position)
            return
        if name:
            self._known.add(name)
            self.batch.state[name] = b""
            self.batch.names.append(name)
        tally.ignored += not drafts
        tally.accepted += bool(drafts)
        self.batch.ignored += not drafts
        self.batch.accepted += bool(drafts)
        for n, draft in enumerate(drafts):
            self._kept.note(draft)
            change = draft.change(self._source, Position(position.major, position.minor + n), self._now)
            self.batch.changes.append(change)
            self._settle(change.schema.topic, shown_key(change.schema, change.key))
        if delivery.settles is not None:
            self.batch.settled.append(delivery.settles)

    def _whole(self, drafts: Sequence[ChangeDraft]) -> Sequence[ChangeDraft]:
        """With the large values that did not change and were not sent again."""
        if not any(d.missing for d in drafts):
            return drafts
        return [self._kept.complete(d) for d in drafts]

    def _reject(self, delivery: Delivery, item: Item, error: HeadraceError, label: str, position: Position) -> None:
        if delivery.settles is not None:
            topic, key = delivery.settles
        elif item.drafts:  # known by its own key: its next whole version settles it
            draft = item.drafts[-1]
            schema = Schema(self._source, draft.table, draft.columns, draft.key_columns)
            topic, key = schema.topic, shown_key(schema, draft.key)
            name = unsettled_name(topic, key)
            self._unsettled.add(name)
            self.batch.state[name] = b""
        else:
            topic, key = self._source, f"{label}#{item.index}"
        self.batch.rejected.append(Rejected(topic, key, position, self._now, error, item.record))

    def _settle(self, topic: str, key: str) -> None:
        if self._unsettled and (name := unsettled_name(topic, key)) in self._unsettled:
            self._unsettled.discard(name)
            self.batch.state[name] = None
            self.batch.settled.append((topic, key))


def _incomplete(drafts: Sequence[ChangeDraft]) -> HeadraceError | None:
    """The log holds whole rows: a value that the sender left out cannot be made up."""
    left_out = sorted({name for d in drafts if d.op is not Op.DELETE for name in d.missing})
    if not left_out:
        return None
    return BadInput(
        step="take in a change record",
        expected="a whole row",
        got="a row without its " + ", ".join(left_out)[:200] + ", which did not come before either",
        remedy="Let the sender send whole rows: on PostgreSQL `alter table … replica identity full`, or Debezium's "
        "ReselectColumnsPostProcessor.",
    )
