"""What the stream changed while a chunk was read. Pure.

After Netflix's DBLog (Andreakis, Papapanagiotou, "DBLog: A Watermark Based Change-Data-Capture Framework", 2020): a row
that the stream changed between the two watermarks around a chunk's reading is left out of the chunk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from headrace.change import Change, Op, Row

_MOST_KEYS = 200_000
"""More than this between two watermarks are not remembered: the chunk is read again then."""


@dataclass(slots=True)
class Touched:
    """What the stream changed of one table since a watermark."""

    table: str
    since: int = 0
    """Transactions that stand before this (`Position.major`) need not be remembered."""
    keys: set[Row] = field(default_factory=set[Row])
    truncated: bool = False
    overflow: bool = False

    def see(self, changes: Iterable[Change]) -> None:
        for c in changes:
            if c.schema.table == self.table and c.position.major >= self.since:
                if c.op is Op.TRUNCATE:
                    self.truncated = True
                else:
                    self.keys.add(c.key)
        if len(self.keys) > _MOST_KEYS:
            self.overflow = True
            self.keys.clear()

    def start(self) -> None:
        self.keys.clear()
        self.since = 0
        self.truncated = self.overflow = False


def left_out(keys: Sequence[Row], touched: Touched) -> set[int]:
    """The places of a chunk's rows that the stream has told newer things of. A truncate emptied the table in between:
    every row that is there now was inserted after it, which the stream has told too."""
    if touched.truncated:
        return set(range(len(keys)))
    if not touched.keys:
        return set()
    return {i for i, key in enumerate(keys) if key in touched.keys}
