"""Turns the stream's messages into changes with positions. Pure: bytes in, changes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from sys import maxsize
from typing import NamedTuple, cast

from headrace.change import Change, Op, Position, Row, Schema
from headrace.errors import BadInput
from headrace.sources import Rejected
from headrace.sources.postgres import pgoutput as wire
from headrace.sources.postgres.pgoutput import UNCHANGED, Cell, Relation
from headrace.sources.postgres.shapes import Shape, Shapes
from headrace.sources.postgres.watermarks import PREFIX, Mark

_CREATE, _UPDATE, _DELETE, _TRUNCATE = Op.CREATE, Op.UPDATE, Op.DELETE, Op.TRUNCATE
_INSERT_KIND, _UPDATE_KIND, _DELETE_KIND = wire.INSERT, wire.UPDATE, wire.DELETE
_NEW = wire.NEW
_ROW_KINDS = frozenset({_INSERT_KIND, _UPDATE_KIND, _DELETE_KIND})
relation_of = wire.relation_of


class Note(NamedTuple):
    """The change at `place` may hold large values (`large`) or lack them (`incomplete`), or its row's kept ones are to
    be dropped. `old_key`: the key that the row had before."""

    place: int
    shape: Shape
    old_key: Row | None = None
    large: bool = False
    incomplete: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """Changes to give now. `whole`: the last of them ends its transaction."""

    changes: list[Change]
    notes: list[Note]
    rejected: list[Rejected]
    whole: bool


class Assembler:
    """Collects changes until they are taken.

    A change's position is (start of its transaction's commit record, sequence from 1). The start of the record is
    known from the transaction's first message on, so parts of a huge one can be given before its end. Sequences
    start at 1 because the next commit record may start where the last ended: a frontier of (that end, 0) is then
    still before it. Changes at or before `given` are dropped: they were given before a restart.
    """

    def __init__(
        self, shapes: Shapes, given: Position, frontier: int, keeping: set[str], max_rows: int, max_bytes: int
    ) -> None:
        self._frontier = frontier
        self.pending: Relation | None = None
        """A relation with types that are still to be looked up; `resume` after that."""
        self._shapes = shapes
        self._given = given
        self._keeping = keeping
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._relations: dict[int, Shape] = {}
        self._changes: list[Change] = []
        self._notes: list[Note] = []
        self._rejected: list[Rejected] = []
        self._whole = self._whole_notes = self._whole_bytes = 0
        self._bytes = 0
        self._open = False
        self._lsn = self._sequence = self._skip = 0
        self._at = self._transaction = 0
        self.mark: Mark | None = None
        """A watermark that the stream stands at: everything before it is fed; set it to None to go on."""

    @property
    def frontier(self) -> int:
        """Every transaction whose commit record starts before this was seen whole."""
        return self._frontier

    @property
    def between(self) -> bool:
        """No transaction is open: everything that was fed is whole."""
        return not self._open

    @property
    def full(self) -> bool:
        return len(self._changes) >= self._max_rows or self._bytes >= self._max_bytes

    def feed(self, message: bytes) -> bool:
        """Takes one message of pgoutput; True when enough is collected, or `pending` or `mark` must be answered.

        Raises ProtocolError for what the protocol does not allow.
        """
        kind = message[0]
        if kind in _ROW_KINDS:
            self._row(kind, self._relations[relation_of(message)], message)
            self._bytes += len(message)
            return len(self._changes) >= self._max_rows or self._bytes >= self._max_bytes
        if kind == wire.BEGIN:
            self._begin(message)
        elif kind == wire.COMMIT:
            self._commit(message)
        elif kind == wire.RELATION:
            return self._relation(wire.read_relation(message))
        elif kind == wire.TRUNCATE:
            self._truncate(message)
        elif kind == wire.MESSAGE:
            return self._message(wire.read_message(message))
        elif kind not in (wire.TYPE, wire.ORIGIN):
            raise wire.ProtocolError(f"a message of kind {chr(kind)!r}")
        return False

    def _row(self, kind: int, shape: Shape, message: bytes) -> None:
        try:
            if kind == _INSERT_KIND:
                self._insert(shape, message)
            elif kind == _UPDATE_KIND:
                self._update(shape, message)
            else:
                self._delete(shape, message)
        except ValueError as problem:
            self._reject(shape, problem)

    def _message(self, message: wire.Message) -> bool:
        if not (message.transactional and message.prefix == PREFIX and message.content):
            return False
        self.mark = Mark(message.content.decode("utf-8", "replace"), self._lsn, self._sequence, self._at)
        return True

    def keepalive(self, end: int) -> None:
        """While a transaction is being sent this is at most where its commit record starts."""
        self._frontier = max(self._frontier, end)

    def resume(self) -> None:
        """The types of the pending relation are known now."""
        assert self.pending is not None
        relation, self.pending = self.pending, None
        self._relation(relation)

    def take(self) -> Taken | None:
        """Whole transactions, or a part of one that is too large to wait for its end; None when there is nothing."""
        if self._whole:
            return self._cut(self._whole, self._whole_notes, whole=True)
        if self._changes and self.full:
            return self._cut(len(self._changes), len(self._notes), whole=False)
        if self._rejected and not self._changes:
            return self._cut(0, 0, whole=not self._open)
        return None

    def _cut(self, count: int, notes: int, *, whole: bool) -> Taken:
        taken = Taken(self._changes[:count], self._notes[:notes], self._rejected, whole)
        self._changes = self._changes[count:]
        self._notes = [n._replace(place=n.place - count) for n in self._notes[notes:]]
        self._rejected = []
        self._bytes = self._bytes - self._whole_bytes if whole else 0
        self._whole = self._whole_notes = self._whole_bytes = 0
        return taken

    def _begin(self, message: bytes) -> None:
        begin = wire.read_begin(message)
        self._lsn, self._at, self._transaction = begin.lsn, begin.committed_at, begin.transaction
        self._sequence = 0
        self._open = True
        given = self._given
        self._skip = maxsize if begin.lsn < given.major else given.minor if begin.lsn == given.major else 0

    def _commit(self, message: bytes) -> None:
        self._frontier = max(self._frontier, wire.read_commit(message).end)
        self._open = False
        self._whole, self._whole_notes, self._whole_bytes = len(self._changes), len(self._notes), self._bytes

    def _relation(self, relation: Relation) -> bool:
        if self._shapes.missing([relation]):
            self.pending = relation
            return True
        self._relations[relation.oid] = self._shapes.of(relation)
        return False

    def _insert(self, shape: Shape, message: bytes) -> None:
        row, _, _ = shape.read(message, 6)
        after = cast("Row", row)
        if len(message) > shape.small:
            self._note(shape, large=True)
        self._add(shape.schema, _CREATE, shape.key(after), None, after)

    def _update(self, shape: Shape, message: bytes) -> None:
        if message[5] != _NEW:
            self._update_with_old(shape, message)
            return
        row, _, incomplete = shape.read(message, 6)
        after = cast("Row", row)
        key = shape.key(after)
        large = len(message) > shape.small
        if incomplete or large or (self._keeping and shape.schema.table in self._keeping):
            self._note(shape, key, large=large, incomplete=incomplete)
        self._add(shape.schema, _UPDATE, key, None, after)

    def _update_with_old(self, shape: Shape, message: bytes) -> None:
        """An update that may have changed the key, or of a table whose old rows come whole."""
        old, at, _ = shape.read(message, 6)
        before = cast("Row", old)
        row, _, incomplete = shape.read(message, at + 1)
        if incomplete:
            row, incomplete = _fill(row, before, shape)
        after = cast("Row", row)
        key, old_key = shape.key(after), shape.key(before)
        large = len(message) > shape.small
        if incomplete or large or shape.schema.table in self._keeping:
            self._note(shape, old_key, large=large, incomplete=incomplete, ahead=key != old_key)
        if key == old_key:
            self._add(shape.schema, _UPDATE, key, before, after)
        else:
            self._add(shape.schema, _DELETE, old_key, before, None)
            self._add(shape.schema, _CREATE, key, None, after)

    def _delete(self, shape: Shape, message: bytes) -> None:
        row, _, _ = shape.read(message, 6)
        before = cast("Row", row)
        if shape.schema.table in self._keeping:
            self._note(shape)
        self._add(shape.schema, _DELETE, shape.key(before), before, None)

    def _truncate(self, message: bytes) -> None:
        for oid in wire.read_truncate(message).relations:
            shape = self._relations[oid]
            if shape.schema.table in self._keeping:
                self._note(shape)
            self._add(shape.schema, _TRUNCATE, (), None, None)

    def _note(
        self,
        shape: Shape,
        old_key: Row | None = None,
        *,
        large: bool = False,
        incomplete: bool = False,
        ahead: bool = False,
    ) -> None:
        """Notes the change that is added next (the one after it, with `ahead`)."""
        further = 1 if ahead else 0
        if self._sequence + further >= self._skip:
            self._notes.append(Note(len(self._changes) + further, shape, old_key, large, incomplete))
            if shape.large:
                self._keeping.add(shape.schema.table)

    def _add(self, schema: Schema, op: Op, key: Row, before: Row | None, after: Row | None) -> None:
        sequence = self._sequence = self._sequence + 1
        if sequence > self._skip:
            position = Position(self._lsn, sequence)
            self._changes.append(Change(schema, op, position, self._at, self._transaction, key, before, after))

    def _reject(self, shape: Shape, problem: ValueError) -> None:
        self._sequence += 1
        if self._sequence > self._skip:
            error = BadInput(
                step=f"read a row of {shape.schema.topic}",
                expected="values that their types allow, as UTF-8 text",
                got=str(problem),
                remedy="Correct the row at the source: its next change is captured again.",
            )
            position = Position(self._lsn, self._sequence)
            self._rejected.append(Rejected(shape.schema.topic, "", position, self._at, error))


def _fill(row: Sequence[Cell], before: Sequence[Cell], shape: Shape) -> tuple[tuple[Cell, ...], bool]:
    """Completes unchanged values from the old row, as far as it is there; tells whether some are still missing."""
    filled = tuple(
        before[i] if cell is UNCHANGED and (shape.whole or i in shape.key_at) else cell for i, cell in enumerate(row)
    )
    return filled, any(cell is UNCHANGED for cell in filled)
