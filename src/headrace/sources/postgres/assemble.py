"""Turns the stream's messages into changes with positions. Pure: bytes in, changes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from sys import maxsize
from typing import NamedTuple, cast

from headrace.change import Change, Op, Position, Row, Schema, position_of
from headrace.errors import BadInput
from headrace.sources import Rejected
from headrace.sources.postgres import pgoutput as wire
from headrace.sources.postgres.last import LastGiven
from headrace.sources.postgres.pgoutput import UNCHANGED, Cell, Relation
from headrace.sources.postgres.shapes import Shape, Shapes
from headrace.sources.postgres.spool import Held, Spool
from headrace.sources.postgres.watermarks import PREFIX, Mark

_CREATE, _UPDATE, _DELETE, _TRUNCATE = Op.CREATE, Op.UPDATE, Op.DELETE, Op.TRUNCATE
_INSERT_KIND, _UPDATE_KIND, _DELETE_KIND = wire.INSERT, wire.UPDATE, wire.DELETE
_NEW = wire.NEW
_ROW_KINDS = frozenset({_INSERT_KIND, _UPDATE_KIND, _DELETE_KIND})
_PLAIN_KINDS = frozenset({_INSERT_KIND, _UPDATE_KIND})
_HELD_KINDS = _ROW_KINDS | {wire.TRUNCATE, wire.RELATION}
_WITHOUT_ROWS = frozenset({wire.TYPE, wire.ORIGIN})
relation_of = wire.relation_of


class Note(NamedTuple):
    """The change at `place` may hold large values (`large`) or lack them (`incomplete`), or its row's kept ones are to
    be dropped. `old_key`: the key that the row had before. A `place` below 0: the table's shape is told anew."""

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
    still before it. Changes at or before `given` are dropped: they were given before a restart; so is what comes before
    the `frontier` to begin with. `last`: a transaction that must be among these.
    """

    def __init__(
        self,
        shapes: Shapes,
        given: Position,
        frontier: int,
        keeping: set[str],
        max_rows: int,
        max_bytes: int,
        spool: Spool | None = None,
        last: LastGiven | None = None,
    ) -> None:
        self._frontier = self._start = frontier
        self._last = last
        self.spool = spool or Spool()
        """Holds transactions in progress, which come in parts (`streaming`), until they commit."""
        self.replaying: Held | None = None
        """A transaction that came in parts and has committed: feed nothing else before `replay` gave all of it."""
        self.pending: Relation | None = None
        """A relation that is told (anew): whether it is captured must be seen to, and types that are not known yet be
        looked up; `resume` after that."""
        self._shapes = shapes
        self._given = given
        self._keeping = keeping
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._relations: dict[int, Shape] = {}
        """Of the stream, or of the transaction that is replayed: the server tells shapes for each of these anew."""
        self._outside = self._relations
        self._told: dict[int, int] = {}
        self._tellings = 0
        self._within = self._end = 0
        self._changes: list[Change] = []
        self._notes: list[Note] = []
        self._rejected: list[Rejected] = []
        self._whole = self._whole_notes = self._whole_bytes = 0
        self._bytes = 0
        self._open = False
        self._lsn = self._sequence = self._skip = 0
        self._at = self._transaction = 0
        self._ignored: frozenset[int] = frozenset()
        self.mark: Mark | None = None
        """A watermark that the stream stands at: everything before it was fed. Set it to None to go on."""

    @property
    def frontier(self) -> int:
        """Every transaction whose commit record starts before this was seen whole."""
        return self._frontier

    @property
    def proved(self) -> bool:
        """The transaction that was to come again has come."""
        return self._last is None

    @property
    def between(self) -> bool:
        """No transaction is open: everything that was fed is whole."""
        return not self._open

    @property
    def ready(self) -> bool:
        """More may be fed: nothing that was fed must be dealt with before."""
        return self.pending is None and self.replaying is None and self.mark is None

    @property
    def commit(self) -> int:
        """Where the commit record of the transaction starts that was fed last."""
        return self._lsn

    @property
    def full(self) -> bool:
        return len(self._changes) >= self._max_rows or self._bytes >= self._max_bytes

    def ignore(self, table: int) -> None:
        """Drop all changes of a table from here on: it is published, but not to be captured."""
        self._ignored |= {table}

    def feed_all(self, messages: Iterator[bytes]) -> bool:
        """Does what `feed` does with one message after another, until that is True or there are no more."""
        return self._feed_all(messages, self.feed)

    def _feed_all(self, messages: Iterator[bytes], feed: Callable[[bytes], bool]) -> bool:
        for message in messages:
            rest = self._rows(message, messages) if message[0] in _PLAIN_KINDS and not self._within else message
            if self.full if rest is None else feed(rest):
                return True
        return False

    def _rows(self, first: bytes, messages: Iterator[bytes]) -> bytes | None:
        """Takes a run of inserts and updates of one table, as long as none must be noted, left out or refused:
        in under two thirds of the time that `feed` takes. Returns the message that ends the run, if one does."""
        shape = self._relations.get(relation_of(first))
        if shape is None or self._sequence < self._skip or shape.schema.table in self._keeping:
            return first
        if shape.relation.oid in self._ignored:
            return first
        schema, read, key, small = shape.schema, shape.read_row, shape.key, shape.small
        insert, update = _heads(first)
        lsn, at, transaction, sequence = self._lsn, self._at, self._transaction, self._sequence
        add = self._changes.append
        last, room, size = sequence + self._max_rows - len(self._changes), self._max_bytes - self._bytes, 0
        rest = None
        for message in chain((first,), messages):
            head = message[:6]
            row = None
            if head in (update, insert) and len(message) <= small:
                try:
                    row = read(message)
                except ValueError:
                    row = None  # `feed` tells what is wrong with it
            if row is None:
                rest = message
                break
            sequence += 1
            size += len(message)
            op = _UPDATE if head == update else _CREATE
            add(Change(schema, op, position_of((lsn, sequence)), at, transaction, key(row), None, row))
            if sequence >= last or size >= room:
                break
        self._sequence = sequence
        self._bytes += size
        return rest

    def feed(self, message: bytes) -> bool:
        """Takes one message of pgoutput; True when enough is collected, `pending` or `mark` must be answered, the spool
        is heavy, or a transaction is to be replayed.

        Raises ProtocolError for what the protocol does not allow, and Forked.
        """
        if self._within:
            return self._hold(message)
        kind = message[0]
        if kind in _ROW_KINDS or kind == wire.TRUNCATE:
            return self._change(kind, message)
        if kind == wire.BEGIN:
            self._begin(wire.read_begin(message))
        elif kind == wire.COMMIT:
            self._committed(wire.read_commit(message).end)
        elif kind == wire.RELATION:
            relation = wire.read_relation(message)
            self._told[relation.oid] = self._tellings = self._tellings + 1
            return self._relation(relation)
        elif kind == wire.STREAM_START:
            self._within = wire.read_stream_start(message).transaction
            self.spool.start(self._within)
        elif kind == wire.STREAM_ABORT:
            undone = wire.read_stream_abort(message)
            self.spool.abort(undone.transaction, undone.subtransaction)
        elif kind == wire.STREAM_COMMIT:
            return self._stream_commit(wire.read_stream_commit(message))
        elif kind == wire.MESSAGE:
            return self._message(wire.read_message(message))
        elif kind not in _WITHOUT_ROWS:
            raise wire.ProtocolError(f"a message of kind {chr(kind)!r}")
        return False

    def _message(self, message: wire.Message) -> bool:
        if not _is_mark(message):
            return False
        self.mark = Mark(message.content.decode("utf-8", "replace"), self._lsn, self._sequence, self._at)
        return True

    def _change(self, kind: int, message: bytes) -> bool:
        if kind == wire.TRUNCATE:
            self._truncate(message)
        else:
            shape = self._relations[relation_of(message)]
            if self._ignored and shape.relation.oid in self._ignored:
                self._unheard(kind, shape, message)
            else:
                self._row(kind, shape, message)
            self._bytes += len(message)
        return len(self._changes) >= self._max_rows or self._bytes >= self._max_bytes

    def _hold(self, message: bytes) -> bool:
        """A message of a transaction in progress: kept as it would come otherwise, without its transaction."""
        kind = message[0]
        if kind in _HELD_KINDS:
            plain = message[:1] + message[5:]
            if kind == wire.RELATION:
                self._tellings += 1
                self.spool.shaped(self._within, relation_of(plain), self._tellings)
            self.spool.add(self._within, relation_of(message), plain)
        elif kind == wire.STREAM_STOP:
            self._within = 0
        elif kind == wire.MESSAGE:
            # However small: a server that runs out of memory in the middle of a large value sends what else there is.
            plain = message[:1] + message[5:]
            if _is_mark(wire.read_message(plain)):
                self.spool.add(self._within, relation_of(message), plain)
        elif kind not in _WITHOUT_ROWS:
            raise wire.ProtocolError(f"a message of kind {chr(kind)!r} in a transaction in progress")
        return self.spool.heavy

    def _stream_commit(self, commit: wire.StreamCommit) -> bool:
        self.replaying = self.spool.take(commit.transaction)
        self._relations = {}
        self._end = commit.end
        self._begin(wire.Begin(commit.lsn, commit.committed_at, commit.transaction))
        return True

    async def replay(self) -> None:
        """Goes through a part of the transaction that is replayed, until enough is collected, or `pending` or `mark` is
        set."""
        held = self.replaying
        assert held is not None
        if await held.load():
            self._feed_all(iter(held), self._again)
        else:
            self._replayed(held)

    def _again(self, message: bytes) -> bool:
        kind = message[0]
        if kind == wire.RELATION:
            return self._relation(wire.read_relation(message))
        if kind == wire.MESSAGE:
            return self._message(wire.read_message(message))
        return self._change(kind, message)

    def _replayed(self, held: Held) -> None:
        """The server takes shapes that it told in the transaction for told, unless newer ones were told outside."""
        for table, telling in held.relations.items():
            if telling > self._told.get(table, 0) and table in self._relations:
                self._told[table] = telling
                self._outside[table] = self._relations[table]
        self._relations = self._outside
        self.replaying = None
        held.close()
        self._committed(self._end)

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

    def _unheard(self, kind: int, shape: Shape, message: bytes) -> None:
        """Counts the change, so that positions are the same whether or not it is dropped."""
        skip, self._skip = self._skip, maxsize
        self._row(kind, shape, message)
        self._skip = skip

    def close(self) -> None:
        """Lets go of what is held of transactions in progress."""
        if self.replaying is not None:
            self.replaying.close()
        self.spool.close()

    def keepalive(self, end: int) -> None:
        """While a transaction is being sent this is at most where its commit record starts. Raises Forked."""
        if self._last is not None:
            self._last.passed(end)
        self._frontier = max(self._frontier, end)

    def resume(self) -> None:
        """The types of the pending relation are known now."""
        assert self.pending is not None
        relation, self.pending = self.pending, None
        shape = self._relations[relation.oid] = self._shapes.of(relation)
        if shape.schema.table in self._keeping:
            self._notes.append(Note(-1, shape))

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

    def _begin(self, begin: wire.Begin) -> None:
        self._lsn, self._at, self._transaction = begin.lsn, begin.committed_at, begin.transaction
        self._sequence = 0
        self._open = True
        given = self._given
        if self._last is not None and self._last.meets(begin):
            self._last = None
        if begin.lsn == given.major:
            self._skip = given.minor
        else:
            self._skip = maxsize if begin.lsn < max(given.major, self._start) else 0

    def _committed(self, end: int) -> None:
        self._frontier = max(self._frontier, end)
        self._open = False
        self._whole, self._whole_notes, self._whole_bytes = len(self._changes), len(self._notes), self._bytes

    def _relation(self, relation: Relation) -> bool:
        self.pending = relation
        return True

    def _insert(self, shape: Shape, message: bytes) -> None:
        row, _, incomplete = shape.read(message, 6)
        after = cast("Row", row)
        if incomplete or len(message) > shape.small:
            # Incomplete: an update that brought the row into a publication's row filter.
            self._note(shape, large=True, incomplete=incomplete)
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
            if oid in self._ignored:
                self._sequence += 1
                continue
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
            # The log may end between the two changes of a new key: where the second was left out as incomplete.
            place = len(self._changes) + (further if self._sequence >= self._skip else 0)
            self._notes.append(Note(place, shape, old_key, large, incomplete))
            if shape.large:
                self._keeping.add(shape.schema.table)

    def _add(self, schema: Schema, op: Op, key: Row, before: Row | None, after: Row | None) -> None:
        sequence = self._sequence = self._sequence + 1
        if sequence > self._skip:
            position = position_of((self._lsn, sequence))
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


def _is_mark(message: wire.Message) -> bool:
    return message.transactional and message.prefix == PREFIX and bool(message.content)


def _heads(message: bytes) -> tuple[bytes, bytes]:
    """How an insert into the message's table, and an update of one of its rows that tells nothing of the old row,
    begin."""
    return bytes((_INSERT_KIND, *message[1:5], _NEW)), bytes((_UPDATE_KIND, *message[1:5], _NEW))


def _fill(row: Sequence[Cell], before: Sequence[Cell], shape: Shape) -> tuple[tuple[Cell, ...], bool]:
    """Completes unchanged values from the old row, as far as it is there; tells whether some are still missing."""
    filled = tuple(
        before[i] if cell is UNCHANGED and (shape.whole or i in shape.key_at) else cell for i, cell in enumerate(row)
    )
    return filled, any(cell is UNCHANGED for cell in filled)
