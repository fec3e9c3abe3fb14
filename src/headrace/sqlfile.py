"""Named SQL statements from a file, so that SQL stands as SQL and every statement says what it is for.

A file reads::

    -- name: close_version
    -- Ends the present version of one document.
    update documents set closed_at = %(at)s where id = %(id)s and closed_at is null;
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace.errors import HeadraceError

_NAME = re.compile(r"^--\s*name:\s*(?P<name>.*?)\s*$")
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")


class SqlFileError(HeadraceError):
    """A file of named statements cannot be read as one, or lacks a statement that the code asks for."""

    title = "A file of SQL statements is not as expected"


@dataclass(frozen=True, slots=True)
class Statement:
    """`sql` is UTF-8 as psycopg takes it; `line` is where its name stands in the file, from 1."""

    name: str
    about: str
    sql: bytes
    line: int


class Statements(Mapping[str, bytes]):
    """A file's statements by name, in the order of the file. A name that is not there raises `SqlFileError`."""

    def __init__(self, source: str, statements: Mapping[str, Statement]) -> None:
        self._source = source
        self._statements = dict(statements)

    def __getitem__(self, name: str) -> bytes:
        return self.statement(name).sql

    def __iter__(self) -> Iterator[str]:
        return iter(self._statements)

    def __len__(self) -> int:
        return len(self._statements)

    # Mapping's own would swallow only KeyError, and a missing statement is an error that names itself.
    def __contains__(self, name: object) -> bool:
        return name in self._statements

    def statement(self, name: str) -> Statement:
        """The statement with what it is for and where it stands."""
        found = self._statements.get(name)
        if found is None:
            near = difflib.get_close_matches(name, self._statements, n=1)
            raise SqlFileError(
                step="looking up an SQL statement",
                expected=f"a statement named {name!r} in {self._source}",
                got="one named " + repr(near[0]) if near else "none of that name",
                remedy=f"Add `-- name: {name}` with its statement to {self._source}, or correct the name in the code.",
            )
        return found


def load(path: Path) -> Statements:
    """Reads the statements of one file. Raises `SqlFileError` with the line for anything that is not as described."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise SqlFileError(
            step="reading SQL statements",
            expected=f"a UTF-8 file at {path}",
            got=str(problem),
            remedy="Reinstall Headrace: the file belongs to its package.",
        ) from problem
    return parse(text, source=path.name)


def parse(text: str, *, source: str) -> Statements:
    """The statements of a file's text; `source` names the file in errors."""
    statements: dict[str, Statement] = {}
    for start, lines in _sections(text, source):
        statement = _statement(start, lines, source)
        earlier = statements.get(statement.name)
        if earlier is not None:
            raise _malformed(source, start, "each name once", f"{statement.name!r} again, first on line {earlier.line}")
        statements[statement.name] = statement
    return Statements(source, statements)


def _sections(text: str, source: str) -> Iterator[tuple[int, list[str]]]:
    """Cuts a file at its `-- name:` lines; yields the line number and lines of each part."""
    start, lines = 0, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        if _NAME.match(line):
            if start:
                yield start, lines
            start, lines = number, [line]
        elif start:
            lines.append(line)
        elif line.strip() and not line.startswith("--"):
            raise _malformed(source, number, "a `-- name:` line before the first statement", repr(line))
    if start:
        yield start, lines


def _statement(start: int, lines: list[str], source: str) -> Statement:
    header, *rest = lines
    matched = _NAME.match(header)
    name = matched["name"] if matched else ""
    if not _IDENTIFIER.fullmatch(name):
        raise _malformed(source, start, "a name of lower-case letters, digits and underscores", repr(name))
    comment = 0
    while comment < len(rest) and rest[comment].startswith("--"):
        comment += 1
    about = " ".join(line.lstrip("-").strip() for line in rest[:comment]).strip()
    sql = "\n".join(rest[comment:]).strip()
    if not about:
        raise _malformed(source, start, f"a comment line after the name of {name!r} that says what it is for", "none")
    if not sql:
        raise _malformed(source, start, f"a statement after the name {name!r}", "none")
    return Statement(name, about, sql.encode(), start)


def _malformed(source: str, line: int, expected: str, got: str) -> SqlFileError:
    return SqlFileError(
        step=f"reading SQL statements from {source}, line {line}",
        expected=expected,
        got=got,
        remedy=f"Correct {source} there.",
    )
