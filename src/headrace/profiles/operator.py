"""Operator: changes of records and child rows to profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite

import msgspec

from headrace.change import Change, Column, Op, Row, Value, document_id, key_name, value_text
from headrace.clock import to_us
from headrace.codec import encode
from headrace.errors import BadInput
from headrace.knowledge.rows import JSON_TYPES, render
from headrace.profiles.identifiers import identifier
from headrace.profiles.rules import ChildRule, RecordRule
from headrace.stores import Transaction
from headrace.stores.dead_letters import DeadLetterDraft
from headrace.stores.profiles import Cleared, FactDraft, ProfileChange, RecordDraft
from headrace.stores.values import JSON, Failure

PROFILES = "profiles"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a batch does to records and facts, in order."""

    effects: Sequence[ProfileChange]
    letters: Sequence[DeadLetterDraft]
    settled: Sequence[tuple[str, str | None]]
    changes: Sequence[Change]


class Profiles:
    """Implements `headrace.operators.Operator` for tables of records and of child rows."""

    name = PROFILES
    whole_transactions = True

    def __init__(self, records: Mapping[str, RecordRule], children: Mapping[str, ChildRule]) -> None:
        self._records = records
        self._children = children

    def wants(self, topic: str) -> bool:
        return topic in self._records or topic in self._children

    def overtakes(self, change: Change) -> bool:
        """Nothing here is slow to prepare: a delete's turn comes at once."""
        return False

    async def overtake(self, changes: Sequence[Change], transaction: Transaction) -> None:
        raise AssertionError("profiles never overtake")

    async def prepare(self, changes: Sequence[Change], *, background: bool) -> Prepared:
        effects: list[ProfileChange] = []
        letters: dict[tuple[str, str], DeadLetterDraft] = {}  # of each row what its last change came to
        settled: dict[tuple[str, str | None], None] = {}
        for change in changes:
            if change.op is Op.TRUNCATE:
                letters = {place: x for place, x in letters.items() if x.topic != change.schema.topic}
                settled[change.schema.topic, None] = None
            topic, key = change.schema.topic, key_name(change.schema, change.key)
            try:
                made = self._effects(change)
                settled[topic, key] = None
                letters.pop((topic, key), None)
            except BadInput as error:
                failure = Failure(error.step, error.expected, error.got, error.remedy)
                letters[topic, key] = DeadLetterDraft(self.name, topic, key, change.stamp, failure, encode([change]))
                settled.pop((topic, key), None)
                made = self._gone(change)  # what it said before is no longer true
            effects += made
        return Prepared(effects, list(letters.values()), list(settled), changes)

    async def apply(self, prepared: Prepared, transaction: Transaction) -> None:
        await transaction.profiles.apply(prepared.effects)
        if prepared.changes:
            await transaction.dead_letters.settle(self.name, prepared.settled, prepared.changes[-1].position)
        await transaction.dead_letters.put(prepared.letters)

    def _effects(self, change: Change) -> list[ProfileChange]:
        if change.op is Op.TRUNCATE:
            return [Cleared(change.schema.topic, change.stamp)]
        if change.after is None:
            return self._gone(change)
        made: list[ProfileChange] = []
        record, child = self._records.get(change.schema.topic), self._children.get(change.schema.topic)
        if record:
            made.append(_record(record, change, change.after))
        if child:
            made.append(_fact(child, change, change.after))
        return made

    def _gone(self, change: Change) -> list[ProfileChange]:
        id, topic = document_id(change.schema, change.key), change.schema.topic
        made: list[ProfileChange] = []
        if topic in self._records:
            made.append(RecordDraft(id, topic, change.stamp, (), None))
        if topic in self._children:
            made.append(FactDraft(id, topic, change.key, change.stamp, (), None, None, None, ""))
        return made


def _record(rule: RecordRule, change: Change, row: Row) -> RecordDraft:
    identifiers = _identifiers(rule.identifiers, change, row)
    fields = {name: plain(*_column(change, row, column)) for name, column in rule.fields.items()}
    return RecordDraft(document_id(change.schema, change.key), rule.topic, change.stamp, identifiers, fields)


def _fact(rule: ChildRule, change: Change, row: Row) -> FactDraft:
    fields = {c.name: plain(c, v) for c, v in zip(change.schema.columns, row, strict=True)}
    order = _sortable(*_column(change, row, rule.order_by)) if rule.order_by else None
    happens = _moment(*_column(change, row, rule.time)) if rule.time else None
    topic = rule.show.topic
    text = (
        render(rule.text, change.schema, row, f"{topic} {key_name(change.schema, change.key)}")
        if rule.text
        else _listed(fields)
    )
    owners = _identifiers(rule.belongs_to, change, row)
    id = document_id(change.schema, change.key)
    return FactDraft(id, topic, change.key, change.stamp, owners, order, happens, fields, text)


def _identifiers(columns: Mapping[str, str], change: Change, row: Row) -> tuple[str, ...]:
    found = [identifier(kind, value_text(_column(change, row, column)[1])) for kind, column in columns.items()]
    return tuple(sorted({i for i in found if i}))


def _column(change: Change, row: Row, name: str) -> tuple[Column, Value]:
    try:
        at = change.schema.index(name)
    except KeyError:
        raise BadInput(
            step=f"read a row of {change.schema.topic}",
            expected=f"a column {name}",
            got="columns " + ", ".join(c.name for c in change.schema.columns),
            remedy="Name an existing column in headrace.toml, then retry.",
        ) from None
    return change.schema.columns[at], row[at]


def plain(column: Column, value: Value) -> JSON:
    """A value as JSON: JSON columns parsed, bytes as `\\x` text, everything else as the log has it."""
    if isinstance(value, str) and column.type in JSON_TYPES:
        return msgspec.json.decode(value)
    return value_text(value) if isinstance(value, bytes) else value


_EXACT = frozenset({"numeric", "decimal", "decimal unsigned"})
"""Types of exact numbers, of PostgreSQL and of MySQL: the log has them as text."""


def _sortable(column: Column, value: Value) -> JSON:
    """A value as facts are ordered by it: exact numbers, which are text, as numbers; what is no number comes last."""
    if column.type not in _EXACT or not isinstance(value, str):
        return plain(column, value)
    number = float(value)
    return number if isfinite(number) else None


def _moment(column: Column, value: Value) -> int | None:
    """Microseconds since the epoch of a date or time column; None for NULL, infinity and what is no time."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return to_us(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _listed(fields: Mapping[str, JSON]) -> str:
    """How a fact reads without a template."""
    shown = [f"{n.replace('_', ' ')}: {v}" for n, v in fields.items() if isinstance(v, (str, int, float))]
    return "; ".join(shown)
