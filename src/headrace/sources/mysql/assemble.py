"""Turns the log's events into changes with positions. Pure: bytes in, changes out."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from sys import maxsize
from typing import cast

from headrace.change import BINLOG_FIRST, Change, Op, Position, Row, Schema
from headrace.codec import decode, encode
from headrace.errors import BadInput
from headrace.sources import Rejected
from headrace.sources.mysql import binlog as wire
from headrace.sources.mysql import ddl, positions
from headrace.sources.mysql.binlog import Begin, Header, ProtocolError, RowsKind
from headrace.sources.mysql.ddl import Effect, Kind
from headrace.sources.mysql.partial import Owed, owed, partial_rows
from headrace.sources.mysql.problems import lost
from headrace.sources.mysql.progress import PLACE, PREPARED, Place
from headrace.sources.mysql.shapes import Shape, Shapes, read_cells
from headrace.sources.mysql.tables import Tables
from headrace.sources.mysql.transaction import Pending, Taken, Transaction, savepoint_name, went_back, xid_of
from headrace.sources.mysql.values import Unreadable

_CREATE, _UPDATE, _DELETE, _TRUNCATE = Op.CREATE, Op.UPDATE, Op.DELETE, Op.TRUNCATE
_GTIDS = frozenset({wire.GTID, wire.ANONYMOUS_GTID, wire.TAGGED_GTID})
_HEARTBEATS = frozenset({wire.HEARTBEAT, wire.HEARTBEAT_V2})
_QUERIES = frozenset({wire.QUERY, wire.QUERY_COMPRESSED, wire.LOAD_QUERY})
_NAMELESS = "no names of its columns in the log: binlog_row_metadata was not FULL, and the table was altered"
_UNREADABLE = {
    wire.INCIDENT: "an incident: the server lost events",
    wire.PAYLOAD: "a compressed transaction (binlog_transaction_compression must be OFF)",
}


class Assembler:
    """Collects changes until they are taken. `feed` raises SourceError for what a person must mend, ProtocolError for
    what the log does not allow."""

    def __init__(
        self,
        shown: str,
        base: str,
        shapes: Shapes,
        tables: Tables,
        given: Position,
        place: Place,
        max_rows: int,
        max_bytes: int,
    ) -> None:
        self.pending: Pending | None = None
        self.caught_up = False
        """The last event was a heartbeat: the server has nothing more."""
        self._shown, self._base = shown, base
        self._shapes, self._tables = shapes, tables
        self._given, self._expected = given, place
        self._max_rows, self._max_bytes = max_rows, max_bytes
        self._file, self._offset = place.file, place.offset
        self._created = self._server = 0
        self._gtid = place.gtid
        self._frontier = self._held = place.major
        self.committed = place.committed
        """Where the last transaction ends that was seen whole."""
        self._from = place.major
        self._changes: list[Change] = []
        self._rejected: list[Rejected] = []
        self._state: dict[str, bytes | None] = {}
        self._places: dict[int, Place] = {}
        self._whole = self._bytes = 0
        self._open: Transaction | None = None
        self._readers: dict[bytes, Shape] = {}
        self._mapped: dict[int, Shape | None] = {}
        self._counting: set[int] = set()
        self._unresolved: bytes | None = None
        self._stop_at: int | None = None
        self._unchecked = True
        self._last: Transaction | None = None

    # ---- what is there -----------------------------------------------------------------------------------------------

    @property
    def frontier(self) -> int:
        """Every transaction that starts before this was seen whole. It stands still up to a stop: what is given there
        belongs to it."""
        return self._frontier if self._stop_at is None else self._held

    @property
    def between(self) -> bool:
        """No transaction is open: everything that was fed is whole."""
        return self._open is None

    @property
    def parted(self) -> bool:
        """A transaction is open of which a part was given."""
        return self._open is not None and self._open.parted

    @property
    def full(self) -> bool:
        return len(self._changes) >= self._max_rows or self._bytes >= self._max_bytes

    @property
    def place(self) -> Place:
        """Where a restart may read on when all that was seen whole has been given."""
        frontier = self._frontier
        same = positions.file_of(frontier) == self._file
        return Place(
            positions.file_of(frontier),
            positions.offset_of(frontier),
            self._created if same else 0,
            self._server if same else 0,
            gtid=self._gtid,
            committed=self.committed,
        )

    @property
    def seen(self) -> int:
        """As the frontier, also while that stands still."""
        return self._frontier

    @property
    def identified(self) -> bool:
        """The file that is read has told which one it is, and it is the expected one."""
        return self._created != 0

    @property
    def beginning(self) -> Place:
        """Where it was begun, now that the file is known."""
        place = self._expected
        return Place(place.file, place.offset, self._created, self._server, gtid=place.gtid, committed=place.committed)

    @property
    def ready(self) -> bool:
        """Enough is collected, or something must be dealt with before the next event."""
        return self.pending is not None or self.stopped or (self.full and self._takable())

    def kept(self, name: str) -> bytes | None:
        """State that is still to be given."""
        return self._state.get(name)

    def stop_at(self, point: int) -> None:
        """Stop before the first transaction that starts at or after `point`. The frontier stays before the statement
        that made it necessary."""
        if self._stop_at is None:
            last = self._last
            self._held = self._frontier if last is None or self._open is not None else last.start
        self._stop_at = point

    @property
    def stopped(self) -> bool:
        """Everything before the stop was seen; `go_on` after dealing with it."""
        return self._stop_at is not None and (
            self._frontier >= self._stop_at or (self._open is not None and self._open.start >= self._stop_at)
        )

    def go_on(self) -> None:
        self._stop_at = None

    def take(self) -> Taken | None:
        """Whole transactions, or a part of one that is too large to wait for its end; None when there is nothing."""
        if self._whole:
            return self._cut(self._whole)
        if self._changes and self._open is not None and self.full and self._may_part(self._open):
            self._open.parted = True
            return self._cut(len(self._changes))
        if (self._rejected or self._state) and not self._changes:
            return self._cut(0)
        return None

    def _may_part(self, transaction: Transaction) -> bool:
        """Not where it may still be undone, or is kept until another statement commits it."""
        return not transaction.kept and (transaction.begin.fixed or not transaction.savepoints)

    def _cut(self, count: int) -> Taken:
        changes, self._changes = self._changes[:count], self._changes[count:]
        state, self._state = self._state, {}
        if changes:
            last = changes[-1].position.major
            place = self._places[last]
            is_whole = self._open is None or self._open.start != last
            state[PLACE] = Place(
                place.file,
                place.offset,
                place.created,
                place.server,
                place.first,
                is_whole,
                place.gtid,
                place.committed,
            ).encode()
            self._places = {k: v for k, v in self._places.items() if k > last or (k == last and not is_whole)}
        rejected, self._rejected = self._rejected, []
        if self._open is not None:
            self._open.at = max(0, self._open.at - count)
        self._whole = self._bytes = 0
        return Taken(changes, rejected, state)

    # ---- events ------------------------------------------------------------------------------------------------------

    def feed(self, event: bytes) -> bool:
        """Takes one event without its checksum; True when enough is collected or `pending` must be answered."""
        head = wire.read_header(event)
        kind = head.kind
        self.caught_up = kind in _HEARTBEATS
        if head.end and not head.flags & wire.ARTIFICIAL:
            self._move(head.end)
        rows = wire.ROWS.get(kind)
        if rows is not None:
            self._rows(event, rows)
        elif kind == wire.TABLE_MAP:
            self._table_map(event)
        elif kind == wire.MARIADB_GTID:
            self._begin(event, head, wire.read_mariadb_gtid(event, head))
        elif kind in _GTIDS:
            self._begin(event, head, wire.read_gtid(event, head))
        elif kind == wire.XID:
            self._commit()
        elif kind in _QUERIES:
            self._query(wire.read_query(event, kind))
        elif kind == wire.ROTATE:
            self._rotate(wire.read_rotate(event))
        elif kind == wire.FORMAT:
            self._format(head)
        elif kind == wire.XA_PREPARE:
            self._xa_prepare(wire.read_xa_prepare(event))
        elif kind == wire.PARTIAL_UPDATE:
            self._unseen_rows(event)
        elif kind in _UNREADABLE:
            raise ProtocolError(f"{_UNREADABLE[kind]} at {positions.shown(self._base, self._at)}")
        if self._open is None and self._file:
            self._frontier = max(self._frontier, self._at)
        return self.ready

    def _takable(self) -> bool:
        return bool(self._whole) or (bool(self._changes) and self._open is not None and self._may_part(self._open))

    @property
    def _at(self) -> int:
        return positions.major(self._file, self._offset)

    def _move(self, low: int) -> None:
        """The header has 32 bits of where an event ends: a huge transaction may take a file past them."""
        offset = (self._offset & ~0xFFFFFFFF) | low
        self._offset = offset if offset >= self._offset else offset + (1 << 32)

    def _rotate(self, rotate: wire.Rotate) -> None:
        if (base := rotate.file.rpartition(".")[0]) != self._base:
            raise lost(self._shown, f"the log {self._base}", f"a log named {base}")
        self._file, self._offset = positions.number_of(rotate.file), rotate.offset
        if self._offset >> 40 or self._file >> 23:
            raise ProtocolError(f"a log of {rotate.file} at {rotate.offset}, which is further than positions reach")

    def _format(self, head: Header) -> None:
        place = self._expected
        # A file that was begun anew under its old name tells another time; what it holds is not what it held.
        if place.created and place.file == self._file and (place.created, place.server) != (head.at, head.server):
            raise lost(
                self._shown,
                positions.shown(self._base, place.major),
                "another file of that name: the log was reset, or this is another server",
            )
        self._created, self._server = head.at, head.server
        self._mapped.clear()
        if self._open is not None:
            # A server that crashed has begun a new file: what it had not finished in the old one was rolled back.
            self._roll_back(self._open, 0)
            self._open = None

    def _begin(self, event: bytes, head: Header, begin: Begin) -> None:
        start = self._at - head.size
        first = zlib.crc32(event)
        if self._unchecked and start >= self._from:
            self._check_first(start, first, begin)
        # A transaction is a group in MariaDB unless it says otherwise; in MySQL from BEGIN on.
        grouped = head.kind == wire.MARIADB_GTID and not begin.alone
        transaction = Transaction(start, begin, first, len(self._changes), grouped, bool(begin.prepared))
        given = self._given
        if start < self._from or start < given.major:
            transaction.skip = maxsize
        elif start == given.major:
            done = self._expected.whole and start == self._expected.major
            transaction.skip = maxsize if done else max(0, given.minor - BINLOG_FIRST)
        self._open = transaction

    def _check_first(self, start: int, first: int, begin: Begin) -> None:
        """Whether the log goes on as the one did that was read before."""
        self._unchecked = False
        place = self._expected
        shown = positions.shown(self._base, place.major)
        if place.first is not None and (start != place.major or first != place.first):
            raise lost(self._shown, shown, "another transaction there: the log was reset, or this is another server")
        if place.first is None and went_back(place.gtid, begin.gtid):
            raise lost(self._shown, f"what follows the transaction {place.gtid}", f"the transaction {begin.gtid}")

    def _query(self, query: wire.Query) -> None:
        transaction = self._open
        text = query.text.strip()
        words = text[:60].upper().split()
        if transaction is None or not words:
            return
        match words[0]:
            case "BEGIN":
                transaction.grouped = True
            case "COMMIT":
                self._commit()
            case "ROLLBACK" if len(words) > 1 and words[1] == "TO":
                self._roll_back(transaction, transaction.savepoints.get(savepoint_name(text), 0))
            case "ROLLBACK":
                self._roll_back(transaction, 0)
                self._commit()
            case "SAVEPOINT":
                transaction.savepoints[savepoint_name(text)] = len(self._changes) - transaction.at
            case "XA":
                self._xa(transaction, text, words)
            case _:
                self._statement(transaction, query)

    def _statement(self, transaction: Transaction, query: wire.Query) -> None:
        effects = ddl.effects(query.text, query.database)
        if not effects and transaction.skip < maxsize:
            for table in ddl.writes(query.text, frozenset(self._tables.captured), query.database):
                transaction.owes(Owed(table, unseen=True))
        mine = tuple(e for e in effects if self._tables.concerned(e))
        for effect in mine:
            if effect.kind is Kind.TRUNCATE and effect.table in self._tables.captured:
                self._truncate(effect.table)
        rest = tuple(e for e in mine if e.kind is not Kind.TRUNCATE)
        if not transaction.grouped:
            self._commit()
        if rest and transaction.skip < maxsize:
            self.pending = Pending(effects=rest)

    def changed(self, truncated: Sequence[str], state: dict[str, bytes | None], rejected: Sequence[Rejected]) -> None:
        """The answer to what was pending: as a part of the statement that was just seen."""
        for table in truncated:
            self._truncate(table)
        if self._open is None:
            self._whole = len(self._changes)
        self._state.update(state)
        self._rejected.extend(rejected)

    def _truncate(self, table: str) -> None:
        self._add(self._shapes.schema(table), _TRUNCATE, (), None, None)

    def _commit(self) -> None:
        if self._open is None:
            return
        self._last = self._open
        self._gtid = self._open.begin.gtid or self._gtid
        self._open = None
        self._whole = len(self._changes)
        self._frontier = self.committed = max(self._frontier, self._at)
        if self._last.owed:
            # Not before the commit: what is read from here on shows at least what this transaction left.
            self.pending = Pending(owed=tuple(self._last.owed.values()))

    def _roll_back(self, transaction: Transaction, to: int) -> None:
        """Changes up to `to` of this transaction stay. Their numbers are not used again."""
        if transaction.parted:
            raise ProtocolError(f"a transaction of tables that cannot roll back, {transaction.begin.gtid}, rolled back")
        del self._changes[transaction.at + to :]

    # ---- prepared transactions ---------------------------------------------------------------------------------------

    def _xa(self, transaction: Transaction, text: str, words: Sequence[str]) -> None:
        match words[1] if len(words) > 1 else "":
            case "COMMIT" | "ROLLBACK":
                name = xid_of(text)
                back = words[1] == "ROLLBACK"
                if words[-2:] == ["ONE", "PHASE"] or transaction.skip == maxsize:
                    self._commit()
                else:
                    self.pending = Pending(prepared=name, back=back)
            case "START" | "BEGIN":
                transaction.grouped = transaction.kept = True
            case _:
                pass

    def _xa_prepare(self, prepare: wire.XaPrepare) -> None:
        transaction = self._open
        if transaction is None or prepare.one_phase:
            self._commit()
            return
        changes = self._changes[transaction.at :]
        del self._changes[transaction.at :]
        if transaction.owed:
            # Kept is only what is whole: when it is committed, all tables are copied, as after one that nobody saw.
            transaction.owed.clear()
        elif transaction.skip < maxsize:
            self._state[PREPARED + prepare.xid] = encode(changes)
        self._places.pop(transaction.start, None)
        self._commit()

    def settle(self, name: str, kept: bytes | None, *, back: bool) -> None:
        """A prepared transaction is over: its changes count from here."""
        transaction = self._open
        assert transaction is not None
        if kept is not None:
            for c in [] if back else decode(kept):
                if c.schema.table in self._tables.captured:
                    self._add(c.schema, c.op, c.key, c.before, c.after)
            self._state[PREPARED + name] = None
        self.pending = None
        self._commit()

    # ---- rows --------------------------------------------------------------------------------------------------------

    def _table_map(self, event: bytes) -> None:
        number = wire.table_id(event)
        table = ".".join(wire.table_name(event))
        transaction = self._open
        self._mapped[number] = None
        self._counting.discard(number)
        if transaction is None or transaction.skip == maxsize:
            return
        tables = self._tables
        follows = table in tables.captured or (transaction.kept and tables.muted(table))
        # A transaction that was given in part is numbered as it was then: a table that was taken out of the
        # configuration still counts in it, one that was taken in does not.
        again = transaction.start == self._given.major and transaction.skip > 0
        counts = again and table in tables.counted
        if again and follows and not counts:
            return
        if follows or counts:
            if (shape := self._shape(table, event)) is not None:
                self._mapped[number] = shape
                if not follows:
                    self._counting.add(number)
        elif tables.wanted(table) and table not in tables.refused and not tables.muted(table):
            # Nothing that was understood made it: what it is, the catalog must tell.
            self.pending, self._unresolved = Pending(effects=(Effect(Kind.ALTER, table),)), event

    def _shape(self, table: str, event: bytes) -> Shape | None:
        described = event[wire.HEADER + 6 :]
        shape = self._readers.get(described)
        if shape is None:
            try:
                shape = self._shapes.of(wire.read_table_map(event))
            except Unreadable as problem:
                self.pending, self._unresolved = Pending(refused=(table, str(problem))), event
                return None
            except LookupError:
                self.pending, self._unresolved = Pending(refused=(table, _NAMELESS)), event
                return None
            if shape.bare:
                self.pending, self._unresolved = Pending(refused=(table, "no primary key")), event
                return None
            self._readers[described] = shape
        return shape

    def forget_shapes(self) -> None:
        """The catalog was read anew."""
        self._readers.clear()

    def resume(self) -> None:
        """What was pending has been answered."""
        self.pending = None
        event, self._unresolved = self._unresolved, None
        if event is not None:
            self._table_map(event)

    def _rows(self, event: bytes, kind: RowsKind) -> None:
        number = wire.table_id(event)
        shape = self._mapped.get(number)
        transaction = self._open
        if shape is None or transaction is None:
            return
        skip = transaction.skip
        if number in self._counting:
            transaction.skip = maxsize
        rows = wire.read_rows(event, kind)
        if rows.before != shape.full or rows.after != shape.full:
            self._partial(transaction, shape, rows, kind.does)
        elif kind.does == wire.UPDATE:
            self._updates(shape, rows)
        else:
            self._each(shape, rows, _CREATE if kind.does == wire.INSERT else _DELETE)
        transaction.skip = skip
        self._bytes += len(rows.data)

    def _each(self, shape: Shape, rows: wire.Rows, op: Op) -> None:
        data, at, end, read = rows.data, rows.at, len(rows.data), shape.read
        schema, pick, add = shape.schema, shape.key, self._add
        while at < end:
            try:
                row, after = read(data, at)
            except (ValueError, LookupError) as problem:
                at = self._skip_row(shape, data, at)
                self._reject(shape, problem)
                continue
            at = after
            if op is _CREATE:
                add(schema, op, pick(row), None, row)
            else:
                add(schema, op, pick(row), row, None)

    def _updates(self, shape: Shape, rows: wire.Rows) -> None:
        data, at, end, read = rows.data, rows.at, len(rows.data), shape.read
        while at < end:
            try:
                before, middle = read(data, at)
                after, next_at = read(data, middle)
            except (ValueError, LookupError) as problem:
                at = self._skip_row(shape, data, self._skip_row(shape, data, at))
                self._reject(shape, problem)
                continue
            at = next_at
            self._update(shape, before, after)

    def _update(self, shape: Shape, before: Row, after: Row) -> None:
        schema, key, old_key = shape.schema, shape.key(after), shape.key(before)
        if key == old_key:
            self._add(schema, _UPDATE, key, before, after)
        else:
            self._add(schema, _DELETE, old_key, before, None)
            self._add(schema, _CREATE, key, None, after)

    def _partial(self, transaction: Transaction, shape: Shape, rows: wire.Rows, does: str) -> None:
        """What is told is taken; the rest is owed."""
        for row in partial_rows(shape, rows, does):
            if does == wire.DELETE and row.before is not None:
                self._add(shape.schema, _DELETE, shape.key(row.before), row.before, None)
            elif does == wire.INSERT and row.after is not None:
                self._add(shape.schema, _CREATE, shape.key(row.after), None, row.after)
            elif row.before is not None and row.after is not None:
                self._update(shape, row.before, row.after)
            else:
                if row.before is not None and row.key != shape.key(row.before):
                    self._add(shape.schema, _DELETE, shape.key(row.before), row.before, None)
                transaction.owes(owed(shape, row.key, unseen=does != wire.INSERT and row.before is None))

    def _unseen_rows(self, event: bytes) -> None:
        """Parts of values, which the log has not whole."""
        transaction, shape = self._open, self._mapped.get(wire.table_id(event))
        if transaction is not None and shape is not None and wire.table_id(event) not in self._counting:
            transaction.owes(Owed(shape.schema.table, unseen=True))

    def _skip_row(self, shape: Shape, data: bytes, at: int) -> int:
        """Where a row ends that cannot be read."""
        raw = [t.raw for t in shape.types]
        _, at = read_cells(raw, shape.full, data, at)
        return at

    def _add(self, schema: Schema, op: Op, key: Row, before: Row | None, after: Row | None) -> None:
        transaction = cast("Transaction", self._open or self._last)
        sequence = transaction.sequence = transaction.sequence + 1
        if sequence > transaction.skip:
            start, begin = transaction.start, transaction.begin
            if start not in self._places:
                self._places[start] = self._place_of(transaction)
            position = Position(start, BINLOG_FIRST + sequence)
            self._changes.append(
                Change(schema, op, position, begin.committed_at, begin.number or start, key, before, after)
            )

    def _place_of(self, transaction: Transaction) -> Place:
        start = transaction.start
        return Place(
            positions.file_of(start),
            positions.offset_of(start),
            self._created,
            self._server,
            transaction.first,
            gtid=transaction.begin.gtid,
            committed=self.committed,
        )

    def _reject(self, shape: Shape, problem: Exception) -> None:
        transaction = cast("Transaction", self._open)
        transaction.sequence += 1
        if transaction.sequence > transaction.skip:
            error = BadInput(
                step=f"read a row of {shape.schema.topic}",
                expected="values that their types allow",
                got=str(problem),
                remedy="Correct the row at the source: its next change is captured again.",
            )
            position = Position(transaction.start, BINLOG_FIRST + transaction.sequence)
            self._rejected.append(Rejected(shape.schema.topic, "", position, transaction.begin.committed_at, error))
