"""A transaction of the log while it is read, and what is said of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from headrace.change import Change
from headrace.sources import Rejected
from headrace.sources.mysql.binlog import Begin
from headrace.sources.mysql.ddl import Effect
from headrace.sources.mysql.partial import Owed


@dataclass(frozen=True, slots=True)
class Pending:
    """What must be answered before the next event: what DDL did to tables; a table whose columns cannot be read; the
    name of a prepared transaction that is committed or (`back`) rolled back; rows that the log does not tell, of a
    transaction that was committed by now."""

    effects: tuple[Effect, ...] = ()
    owed: tuple[Owed, ...] = ()
    refused: tuple[str, str] | None = None
    prepared: str = ""
    back: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """Changes to give now, with the state that belongs to them."""

    changes: list[Change]
    rejected: list[Rejected]
    state: dict[str, bytes | None] = field(default_factory=dict[str, bytes | None])


@dataclass(slots=True)
class Transaction:
    """The one that is open. `at`: how many changes were collected before it. `kept`: an XA one, which another statement
    commits. `parted`: some of it was given."""

    start: int
    begin: Begin
    first: int
    at: int
    grouped: bool
    kept: bool
    savepoints: dict[str, int] = field(default_factory=dict[str, int])
    sequence: int = 0
    skip: int = 0
    parted: bool = False
    owed: dict[str, Owed] = field(default_factory=dict[str, Owed])

    def owes(self, rows: Owed) -> None:
        self.owed[rows.table] = rows.and_also(self.owed.get(rows.table))


def savepoint_name(text: str) -> str:
    return text.split()[-1].strip("`;").lower()


def xid_of(text: str) -> str:
    """`XA COMMIT X'6162',X'',1` as `xid_name` has it."""
    parts = text.split(maxsplit=2)[2].split(",")
    first = parts[0].strip()[2:].strip("'")
    second = parts[1].strip()[2:].strip("'") if len(parts) > 1 else ""
    return f"{first.lower()},{second.lower()},{int(parts[2]) if len(parts) > 2 else 1}"


def went_back(before: str, now: str) -> bool:
    """Whether a MariaDB transaction does not follow one of the same domain and server."""
    a, b = before.split("-"), now.split("-")
    return len(a) == 3 and len(b) == 3 and a[:2] == b[:2] and int(b[2]) <= int(a[2])
