"""What applications do to the PostgreSQL in memory: transactions at once, savepoints, changed keys, DDL."""

from __future__ import annotations

import itertools
import random

from headrace.sources.postgres.values import TEXT
from tests.simulation.postgres_model import LARGE, Cell, Event, Server, Transaction


class Application:
    """Writes at random: several transactions at once, each on rows of its own."""

    def __init__(self, server: Server, rng: random.Random) -> None:
        self._server = server
        self._rng = rng
        self._tables = [server.create(f"t{i}") for i in range(rng.randint(1, 3))]
        self._working: dict[int, dict[int, dict[int, tuple[Cell, ...] | None]]] = {}
        self._levels: dict[int, list[int]] = {}
        self._locked: dict[int, int] = {}
        self._unseen: dict[int, dict[int, dict[int, tuple[Cell, ...] | None]]] = {}
        """What those hold whose commit nobody sees yet: their locks too."""
        self._columns = itertools.count(10)
        first = server.begin()
        self._start(first)
        for _ in range(rng.randrange(12)):
            self._write(first)
        self._end(first, commit=True)

    def step(self) -> None:
        """One thing that an application does."""
        rng, server = self._rng, self._server
        for xid in [x for x in self._unseen if rng.random() < 0.1]:
            self._see(xid)
        transactions = [server.open[xid] for xid in self._working]
        if not transactions or (len(transactions) < 3 and rng.random() < 0.3):
            made = server.begin()
            self._start(made)
            return
        transaction = rng.choice(transactions)
        levels = self._levels[transaction.xid]
        match rng.randrange(20):
            case 0 | 1 | 2 | 3:
                self._end(transaction, commit=True)
            case 4 if rng.random() < 0.4:
                self._end(transaction, commit=False)
            case 5 | 6 if transaction.events:
                server.sent(transaction)
            case 7 if len(levels) < 3:
                levels.append(server.next_number())
            case 8 if len(levels) > 1:
                self._rollback_to(transaction)
            case 9 if rng.random() < 0.3:
                self._alter()
            case _:
                self._write(transaction)

    def add_table(self) -> None:
        self._tables.append(self._server.create(f"t{len(self._tables)}"))

    def finish(self) -> None:
        """Ends what is open, then touches every row: each comes once more, in its last shape, large values left out."""
        for xid in list(self._working):
            self._end(self._server.open[xid], commit=self._rng.random() < 0.8)
        for xid in list(self._unseen):
            self._see(xid)
        last = self._server.begin()
        for table in self._server.tables.values():
            for row in table.rows.values():
                self._record(last, Event(last.xid, table.shape, row, (row[0], int(row[1] or 0) + 1, *row[2:])))
        self._server.commit(last)

    def _start(self, transaction: Transaction) -> None:
        self._working[transaction.xid] = {}
        self._levels[transaction.xid] = [transaction.xid]

    def _end(self, transaction: Transaction, *, commit: bool) -> None:
        view = self._working.pop(transaction.xid)
        del self._levels[transaction.xid]
        if commit and self._rng.random() < 0.3:
            self._unseen[transaction.xid] = view
            self._server.commit(transaction, unseen=True)
            return
        self._locked = {oid: xid for oid, xid in self._locked.items() if xid != transaction.xid}
        (self._server.commit if commit else self._server.abort)(transaction)

    def _see(self, xid: int) -> None:
        del self._unseen[xid], self._server.unseen[xid]
        self._locked = {oid: by for oid, by in self._locked.items() if by != xid}

    def _rollback_to(self, transaction: Transaction) -> None:
        """Undoes the last savepoint: what it wrote is as it was before."""
        undone = self._levels[transaction.xid].pop()
        self._server.undo(transaction, undone)
        view: dict[int, dict[int, tuple[Cell, ...] | None]] = {}
        for event in transaction.done:
            seen = view.setdefault(event.shape.oid, {})
            if event.old is None and event.new is None:
                seen.update(dict.fromkeys(self._server.tables[event.shape.oid].rows))
                seen.update(dict.fromkeys(seen))
            if event.old is not None:
                seen[int(event.old[0] or 0)] = None
            if event.new is not None:
                seen[int(event.new[0] or 0)] = event.new
        # Rows that were touched and undone stay locked.
        for oid, seen in self._working[transaction.xid].items():
            for key in seen:
                view.setdefault(oid, {}).setdefault(key, self._server.tables[oid].rows.get(key))
        self._working[transaction.xid] = view

    def _free(self, transaction: Transaction, oid: int, key: int) -> bool:
        """No other transaction has touched the row."""
        others = [view for xid, view in self._working.items() if xid != transaction.xid] + [*self._unseen.values()]
        return not any(key in view.get(oid, {}) for view in others)

    def _value(self) -> Cell:
        rng = self._rng
        letter = rng.choice("abcdef")
        return rng.choice([None, letter, letter * (LARGE + 100), letter * (LARGE + 500)])

    def _write(self, transaction: Transaction) -> None:
        rng = self._rng
        oid = rng.choice(self._tables)
        if self._locked.get(oid, transaction.xid) != transaction.xid:
            return
        table = self._server.tables[oid]
        view = self._working[transaction.xid].setdefault(oid, {})
        now = {**table.rows, **view}
        present = [k for k, row in now.items() if row is not None and self._free(transaction, oid, k)]
        level = self._levels[transaction.xid][-1]
        what = rng.randrange(10)
        if what == 0 and rng.random() < 0.2 and len(present) == sum(r is not None for r in now.values()):
            users = [v for v in (*self._working.values(), *self._unseen.values()) if oid in v]
            if len(users) <= 1 and not self._server.locked(oid):
                self._record(transaction, Event(level, table.shape))
                self._locked[oid] = transaction.xid
                view.update(dict.fromkeys(now))
            return
        if what < 4 or not present:
            key = rng.randrange(1, 30)
            if now.get(key) is None and self._free(transaction, oid, key):
                row = (key, 0, *(self._value() for _ in table.shape.columns[2:]))
                self._record(transaction, Event(level, table.shape, None, row))
                view[key] = row
            return
        key = rng.choice(present)
        old = now[key]
        assert old is not None
        if what == 4:
            self._record(transaction, Event(level, table.shape, old))
            view[key] = None
        elif what == 5:
            other = rng.randrange(1, 30)
            if now.get(other) is None and self._free(transaction, oid, other):
                new = (other, *old[1:])
                self._record(transaction, Event(level, table.shape, old, new))
                view.update({key: None, other: new})
        else:
            new = (key, int(old[1] or 0) + 1, *(c if rng.random() < 0.7 else self._value() for c in old[2:]))
            self._record(transaction, Event(level, table.shape, old, new))
            view[key] = new

    def _record(self, transaction: Transaction, event: Event) -> None:
        transaction.events.append(event)

    def _alter(self) -> None:
        """Of a table that no transaction has touched: a lock keeps the others off."""
        rng = self._rng
        oid = rng.choice(self._tables)
        if any(oid in view for view in (*self._working.values(), *self._unseen.values())) or self._server.locked(oid):
            return
        columns = list(self._server.tables[oid].shape.columns)
        match rng.randrange(3):
            case 0:
                at = rng.randrange(2, len(columns)) if len(columns) > 2 else None
                if at is not None:
                    columns[at] = (columns[at][0], f"c{next(self._columns)}", columns[at][2])
            case 1 if len(columns) < 6:
                number = next(self._columns)
                columns.append((number, f"c{number}", TEXT))
            case 2 if len(columns) > 3:
                del columns[rng.randrange(2, len(columns))]
            case _:
                return
        self._server.alter(oid, tuple(columns))
