"""Watermarks in the stream, and which transactions a chunk shows. Pure.

After Netflix's DBLog (Andreakis, Papapanagiotou, "DBLog: A Watermark Based Change-Data-Capture Framework", 2020): a
chunk's rows are read after a low watermark and before a high one, both stand in the stream, and a row that the stream
changed in between is left out of the chunk.

PostgreSQL asks for more care in one place. A transaction becomes visible to others only a moment after its commit
record stands in the WAL (much later where it waits for a standby). So it may stand in the stream before the low
watermark, and yet be unseen by the read: its rows would go back in time. The chunk tells which transactions its
snapshot shows; when one that passed before is not among them, it is read again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from headrace.change import Change

PREFIX = "headrace"
_XIDS = 1 << 32


class Mark(NamedTuple):
    """A watermark met in the stream: its content, and where its transaction stands."""

    content: str
    lsn: int
    sequence: int
    committed_at: int


@dataclass(frozen=True, slots=True)
class Visible:
    """Which transactions a snapshot shows, by their 32-bit ids as the stream has them."""

    limit: int
    running: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> Visible:
        """`xmin:xmax:xip,xip,...` with 64-bit ids."""
        _, limit, running = text.split(":")
        return cls(int(limit) % _XIDS, frozenset(int(x) % _XIDS for x in running.split(",") if x))

    def shows(self, transaction: int) -> bool:
        """Whether it had ended, as others see it. Only for transactions that are known to have been committed."""
        return transaction not in self.running and (transaction - self.limit) % _XIDS >= _XIDS // 2


@dataclass(slots=True)
class Passed:
    """Transactions that the stream has given and that a snapshot may not show yet, by the tables that they changed."""

    tables: dict[str, set[int]] = field(default_factory=dict[str, set[int]])

    def see(self, changes: Iterable[Change]) -> None:
        for table, transaction in {(c.schema.table, c.transaction) for c in changes}:
            self.tables.setdefault(table, set()).add(transaction)

    def of(self, table: str) -> set[int]:
        return set(self.tables.get(table, ()))

    def forget(self, visible: Visible) -> None:
        """Drops those that every later snapshot shows."""
        for table, transactions in list(self.tables.items()):
            left = {t for t in transactions if not visible.shows(t)}
            if left:
                self.tables[table] = left
            else:
                del self.tables[table]
