"""Reads a source's log as it grows, and holds every change to what came before it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby

import psycopg

from headrace.change import START, Change, Op, Position, Row, Value
from headrace.codec import decode
from headrace.log.partition import once
from tests.memory_log import Table


@dataclass(slots=True)
class Lineage:
    """What the log told of one table, whose rows carry who they are (`uid`, which no update changes) and how often
    they were changed (`n`): with that a lost, repeated or misplaced change shows, not only a wrong end."""

    rows: Table = field(default_factory=Table)
    last: dict[Value, int] = field(default_factory=dict[Value, int])
    """How often each row that was ever seen had been changed."""
    there: dict[Value, Row] = field(default_factory=dict[Value, Row])
    """The key under which each row stands now."""
    deleted: set[Value] = field(default_factory=set[Value])

    def take(self, change: Change, *, whole: bool) -> None:
        """`whole`: all rows that were there at the start have been told."""
        match change.op:
            case Op.TRUNCATE:
                self.rows.clear()
                self.there.clear()
            case Op.DELETE:
                row = self.rows.pop(change.key, None)
                # A snapshot that found a row gone may tell what the stream told meanwhile: it has no transaction.
                assert row is not None or not whole or not change.transaction, f"{change}: there is no such row"
                if row is not None:
                    uid = row[change.schema.index("uid")]
                    del self.there[uid]
                    self.deleted.add(uid)
            case Op.CREATE | Op.UPDATE | Op.READ:
                self._put(change, whole=whole)

    def _put(self, change: Change, *, whole: bool) -> None:
        row = change.after
        assert row is not None
        uid, n = row[change.schema.index("uid")], row[change.schema.index("n")]
        assert isinstance(n, int)
        had, last = self.rows.get(change.key), self.last.get(uid)
        if change.op is Op.READ:
            assert had is None or had == row, f"{change}: a row that was read is not {had}"
            assert uid not in self.deleted, f"{change}: that row was deleted"
            if uid in self.there:
                assert (self.there[uid], last) == (change.key, n), (
                    f"{change}: stands under {self.there[uid]}, as {last}"
                )
            else:
                assert last is None or not whole, f"{change}: that row went with a truncate"
        else:
            assert last is None or n == last + 1, f"{change}: follows {last}"
            assert last is not None or n == 0 or not whole, f"{change}: its row was never told"
            if change.op is Op.CREATE:
                assert had is None, f"{change}: it is there already, as {had}"
                assert uid not in self.there, f"{change}: also under {self.there[uid]}"
            else:
                assert had is not None or not whole, f"{change}: there is no such row"
                assert self.there.get(uid, change.key) == change.key, f"{change}: stands under {self.there[uid]}"
        self.deleted.discard(uid)
        self.rows[change.key], self.last[uid], self.there[uid] = row, n, change.key


class Replay:
    """`read` takes in what was appended since; `due` are positions at which to stop on the way (see `pause`)."""

    def __init__(self, dsn: str, source: str) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True)
        self._source = source
        self._number = 0
        self._offsets: dict[tuple[int, int], int] = {}
        self._in_partition: dict[tuple[int, int], Position] = {}
        self._held: list[Change] = []
        self.position = START
        self.whole_from = 0
        """The append from which on the first copy is behind us; 0: not known yet."""
        self.tables: dict[str, Lineage] = {}
        self.changes = 0

    def close(self) -> None:
        self._connection.close()

    def lineage(self, table: str) -> Lineage:
        return self.tables.setdefault(table, Lineage())

    def fetch(self) -> list[tuple[int, list[Change]]]:
        """New appends, each checked in itself: offsets without gaps, positions that only grow in each partition."""
        found = self._connection.execute(
            "select number, topic_id, partition, base_offset, payload from log_batches"
            " where source = %s and number > %s order by number, ordinal",
            [self._source, self._number],
        ).fetchall()
        appends: list[tuple[int, list[Change]]] = []
        for number, batches in groupby(found, key=lambda b: b[0]):
            changes: list[Change] = []
            for _, topic, partition, offset, payload in batches:
                part = decode(payload)
                self._check(part, (topic, partition), offset)
                changes += part
            appends.append((number, once(sorted(changes, key=lambda c: c.position))))
            self._number = number
        return appends

    def _check(self, part: list[Change], at: tuple[int, int], offset: int) -> None:
        assert offset == self._offsets.get(at, 0), f"offset {offset} after {self._offsets.get(at, 0)} in {at}"
        self._offsets[at] = offset + len(part)
        for change in part:
            assert change.position > self._in_partition.get(at, START), f"{change} after {self._in_partition[at]}"
            self._in_partition[at] = change.position

    def take(self, change: Change, number: int) -> None:
        assert change.position > self.position, f"{change} after {self.position}"
        self.position = change.position
        self.changes += 1
        self.lineage(change.schema.table).take(change, whole=0 < self.whole_from < number)
