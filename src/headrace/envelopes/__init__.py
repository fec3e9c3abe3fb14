"""Reads change records of other systems: Debezium, DMS, CloudEvents, plain JSON. Pure: bytes in, drafts of changes out.

A record is recognised by its content, or read as the format that the sender names. Values keep what the record has:
numbers that no float writes the same way, and integers beyond 64 bits, stay text to the digit; nested JSON stays its
text. What cannot be read is a BadInput that says why; what changes no row (a tombstone behind its delete, a heartbeat,
a schema change, a logical message) gives no draft.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.change import START, Change, Column, Op, Position, Row, Schema
from headrace.errors import BadInput

FORMATS = ("debezium", "flattened", "dms", "cloudevents", "plain")
"""What a sender may name; without a name the content decides."""

LONGEST_TABLE = 200


@dataclass(frozen=True, slots=True)
class Hints:
    """What the sender says beside its records. `table` wins over what a record says; `key` names the key's columns."""

    format: str = ""
    table: str = ""
    key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangeDraft:
    """A change as a record tells it, without a place in a source of ours.

    `committed_at` is in microseconds, None when the record states no time. `missing`: columns of the row after the
    change whose values the record leaves out; they are None in `after`. `partial`: records of this kind may do that
    with large values that did not change. `other_key`: of a row whose key changed, the key on the other side of the
    change. `origin` and `position` are the source's name and the place in it, as far as stated.
    """

    table: str
    op: Op
    columns: tuple[Column, ...]
    key_columns: tuple[str, ...]
    key: Row
    before: Row | None
    after: Row | None
    committed_at: int | None = None
    transaction: int = 0
    missing: frozenset[str] = frozenset()
    origin: str = ""
    position: Position = START
    partial: bool = False
    other_key: Row = ()

    def change(self, source: str, position: Position, received_at: int) -> Change:
        """The change as one of `source`. Nothing is committed after it was received: a clock that says so is wrong."""
        at = received_at if self.committed_at is None else min(self.committed_at, received_at)
        schema = Schema(source, self.table, self.columns, self.key_columns)
        return Change(schema, self.op, position, at, self.transaction, self.key, self.before, self.after)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one record says: its changes in order (two for a changed key, none when it changes no row).

    `id`: what tells the record from every other one of its sender; empty when it has none.
    """

    drafts: Sequence[ChangeDraft] = ()
    id: str = ""


NOTHING = Decoded()


def bad(expected: str, got: str, remedy: str = "Correct the record and send it again.") -> BadInput:
    return BadInput(step="read a change record", expected=expected, got=got or "nothing", remedy=remedy)
