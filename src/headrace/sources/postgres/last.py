"""Whether the server's WAL is still the one that was read. Pure.

A server that was set back to an image of its disks is on the same timeline, and once it has written enough its WAL goes
past every position that was read before. But its slot was set back too: so it sends the last transaction that was given
once more, if it has it, and otherwise another one in its place.
"""

from __future__ import annotations

from dataclasses import dataclass

from headrace.sources.postgres.pgoutput import Begin
from headrace.sources.postgres.replication import format_lsn


class Forked(Exception):
    """The server's history is another one than that which was read."""


@dataclass(frozen=True, slots=True)
class LastGiven:
    """A transaction that is to come again. `lsn`: where its commit record starts; `committed_at`: 0 if not known."""

    lsn: int
    committed_at: int

    def meets(self, begin: Begin) -> bool:
        """Whether this is it. Raises Forked when it is another one, or it should have come before."""
        if begin.lsn < self.lsn:
            return False
        if begin.lsn > self.lsn:
            raise Forked(f"{self._gone}; the next transaction is at {format_lsn(begin.lsn)}")
        if self.committed_at and begin.committed_at != self.committed_at:
            raise Forked(f"{self._gone}, but another one of another time")
        return True

    def passed(self, end: int) -> None:
        """Everything before `end` was sent. Raises Forked when that should have had it."""
        if end > self.lsn:
            raise Forked(self._gone)

    @property
    def _gone(self) -> str:
        return f"no longer the transaction at {format_lsn(self.lsn)}, which was captured: it was restored from a backup"
