"""What a statement of the log does to tables as a whole. Pure.

Only what moves or removes rows without an event for each is of interest: row events say everything else. The text may
be anything that the server took, so words are read only as far as they are needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    TRUNCATE = "truncate"
    DROP = "drop"
    RENAME = "rename"
    CREATE = "create"
    REPLACE = "replace"
    """Created, after dropping the one of that name."""
    ALTER = "alter"
    REFILL = "refill"
    """Rows came or went with a partition or a tablespace."""
    DROP_DATABASE = "drop database"


class Effect(NamedTuple):
    """`table` is `database.table` (a database with DROP_DATABASE), `to` a table's new name."""

    kind: Kind
    table: str
    to: str = ""


_TOKEN = re.compile(
    r"""\s+ | /\*(?![!M]).*?\*/ | (?:--(?=\s|$)|\#)[^\n]*
      | (?P<open>/\*M?!\d*) | (?P<close>\*/)
      | `(?P<quoted>(?:[^`]|``)*)` | "(?P<double>(?:[^"]|"")*)"
      | '(?:[^'\\]|\\.|'')*' | (?P<word>[^\W]+[\w$]*|[\w$]+) | (?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)


class _Token(NamedTuple):
    text: str
    quoted: bool = False


def _tokens(statement: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(statement):
        kind = match.lastgroup
        if kind == "quoted":
            yield _Token(match["quoted"].replace("``", "`"), quoted=True)
        elif kind == "double":
            yield _Token(match["double"].replace('""', '"'), quoted=True)
        elif kind in ("word", "mark"):
            yield _Token(match[0])


class _Reader:
    """Words one after another."""

    def __init__(self, statement: str, database: str) -> None:
        self._tokens = list(_tokens(statement))
        self._at = 0
        self._database = database

    @property
    def more(self) -> bool:
        return self._at < len(self._tokens)

    def peek(self, ahead: int = 0) -> str:
        """The next word, upper case; empty for a quoted name and at the end."""
        at = self._at + ahead
        token = self._tokens[at] if at < len(self._tokens) else _Token("")
        return "" if token.quoted else token.text.upper()

    def skip(self, *words: str) -> bool:
        """Goes over these words, all of them or none."""
        if any(self.peek(i) != word for i, word in enumerate(words)):
            return False
        self._at += len(words)
        return True

    def word(self) -> str:
        word = self.peek()
        self._at += 1
        return word

    def name(self) -> str:
        """`database.table`."""
        first = self.identifier()
        if self.peek() == ".":
            self._at += 1
            return f"{first}.{self.identifier()}"
        return f"{self._database}.{first}"

    def identifier(self) -> str:
        if not self.more:
            return ""
        self._at += 1
        return self._tokens[self._at - 1].text


def effects(statement: str, database: str) -> tuple[Effect, ...]:
    """Nothing for a statement that leaves rows to their own events. `database` is the default one."""
    reader = _Reader(statement, database)
    if reader.skip("SET", "STATEMENT"):
        while reader.more and reader.word() != "FOR":
            pass
    return tuple(_effects(reader))


def _effects(reader: _Reader) -> Iterator[Effect]:
    match reader.word():
        case "TRUNCATE":
            reader.skip("TABLE")
            yield Effect(Kind.TRUNCATE, reader.name())
        case "DROP":
            yield from _drop(reader)
        case "RENAME":
            if reader.skip("TABLE") or reader.skip("TABLES"):
                reader.skip("IF", "EXISTS")
                yield from _rename(reader)
        case "CREATE":
            yield from _create(reader)
        case "ALTER":
            yield from _alter(reader)
        case _:
            return


def _drop(reader: _Reader) -> Iterator[Effect]:
    kind = reader.word()
    if kind in ("DATABASE", "SCHEMA"):
        reader.skip("IF", "EXISTS")
        yield Effect(Kind.DROP_DATABASE, reader.identifier())
    elif kind in ("TABLE", "TABLES"):
        reader.skip("IF", "EXISTS")
        yield Effect(Kind.DROP, reader.name())
        while reader.skip(","):
            yield Effect(Kind.DROP, reader.name())
    elif kind in ("INDEX", "KEY"):
        yield from _index(reader)


def _index(reader: _Reader) -> Iterator[Effect]:
    while reader.more and reader.word() != "ON":
        pass
    if reader.more:
        yield Effect(Kind.ALTER, reader.name())


def _rename(reader: _Reader) -> Iterator[Effect]:
    while reader.more:
        old = reader.name()
        while reader.more and reader.word() != "TO":
            pass
        yield Effect(Kind.RENAME, old, reader.name())
        if not reader.skip(","):
            return


def _create(reader: _Reader) -> Iterator[Effect]:
    replace = reader.skip("OR", "REPLACE")
    kind = reader.word()
    if kind == "TABLE":
        reader.skip("IF", "NOT", "EXISTS")
        yield Effect(Kind.REPLACE if replace else Kind.CREATE, reader.name())
    elif kind in ("UNIQUE", "FULLTEXT", "SPATIAL", "INDEX", "ONLINE", "OFFLINE"):
        yield from _index(reader)


_REFILLS = {"DROP", "TRUNCATE", "EXCHANGE", "IMPORT", "DISCARD", "CONVERT"}


def _alter(reader: _Reader) -> Iterator[Effect]:
    while reader.peek() in ("ONLINE", "OFFLINE", "IGNORE"):
        reader.word()
    if not reader.skip("TABLE"):
        return
    reader.skip("IF", "EXISTS")
    table = reader.name()
    yield Effect(Kind.ALTER, table)
    depth = 0
    while reader.more:
        word = reader.word()
        depth += {"(": 1, ")": -1}.get(word, 0)
        if depth:
            continue
        if word in _REFILLS and reader.peek() in ("PARTITION", "TABLESPACE", "TABLE"):
            yield Effect(Kind.REFILL, table)
            if word in ("EXCHANGE", "CONVERT"):
                yield from _exchanged(reader)
        elif word == "RENAME" and reader.peek() not in ("COLUMN", "INDEX", "KEY"):
            if not (reader.skip("TO") or reader.skip("AS")):
                reader.skip("=")
            yield Effect(Kind.RENAME, table, reader.name())


def _exchanged(reader: _Reader) -> Iterator[Effect]:
    """The other table of an exchange."""
    while reader.more:
        if reader.word() == "TABLE":
            yield Effect(Kind.REFILL, reader.name())
            return


_WRITES = {"INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "WITH"}


def writes(statement: str, tables: frozenset[str], database: str) -> list[str]:
    """Those of these tables (`database.table`) that the statement of a log that is not of rows may write to."""
    words = [t.text for t in _tokens(statement)]
    if not words or words[0].upper() not in _WRITES:
        return []
    found = set(words)
    named = [(table, *table.split(".", 1)) for table in sorted(tables)]
    return [table for table, of, name in named if name in found and (of == database or of in found)]
