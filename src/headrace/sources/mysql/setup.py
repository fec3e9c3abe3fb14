"""What stands at the server: its log, the tables that match and can be captured. Blocks: call it in a thread."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from headrace.change import Column
from headrace.errors import SourceError
from headrace.sources.mysql import positions
from headrace.sources.mysql.charsets import BINARY, Charsets
from headrace.sources.mysql.result import Cells, Failed
from headrace.sources.mysql.session import Session
from headrace.sources.mysql.shapes import Catalogued
from headrace.sources.mysql.tables import matches
from headrace.sources.mysql.values import TextType, text_type
from headrace.sqlfile import load

_statements = load(Path(__file__).with_name("statements.sql"))
SQL = {name: text.decode() for name, text in _statements.items()}
_NO_TABLE = 1146
_NO_PRIVILEGE = frozenset({1044, 1142, 1143})
_SYNTAX = 1064

Reason = tuple[str, str, str]
"""Expected, got, remedy."""


@dataclass(frozen=True, slots=True)
class Server:
    """`base` is the log's name without the files' numbers, `identity` names the server."""

    mariadb: bool
    base: str
    identity: str


@dataclass(frozen=True, slots=True)
class Head:
    """Where the log ends, and which databases are left out of it (or the only ones in it)."""

    file: str
    offset: int
    only: frozenset[str]
    without: frozenset[str]

    @property
    def major(self) -> int:
        return positions.major(positions.number_of(self.file), self.offset)

    def leaves_out(self, database: str) -> bool:
        return database in self.without or (bool(self.only) and database not in self.only)


@dataclass(frozen=True, slots=True)
class Found:
    """A table that matches. `refused` says why it cannot be captured. `types` are its columns', as a query gives
    them. `size`: bytes, as the statistics know."""

    table: str
    rows: int
    columns: tuple[Column, ...]
    types: tuple[TextType, ...]
    key: tuple[str, ...]
    refused: Reason | None
    size: int = 0

    @property
    def catalogued(self) -> Catalogued:
        return Catalogued(self.table, self.columns, self.key)


def server_id(id: str, source: str) -> int:
    """Ours among the server's replicas: no two may have the same. In the upper half, where people choose none."""
    return 0x80000000 | zlib.crc32(f"{id}/{source}".encode()) & 0x7FFFFFFF


def quoted(table: str) -> str:
    database, _, name = table.partition(".")
    return f"{quoted_name(database)}.{quoted_name(name)}"


def quoted_name(name: str) -> str:
    """One identifier."""
    return "`" + name.replace("`", "``") + "`"


def patterns(given: Sequence[str], database: str) -> tuple[str, ...]:
    """As `database.table`; one without a point is of the URL's database, or of all where it names none."""
    return tuple(p if "." in p else f"{database or '*'}.{p}" for p in given)


# ---- the server ------------------------------------------------------------------------------------------------------


def check_server(session: Session, shown: str) -> Server:
    """Raises SourceError when the server's log cannot be captured from; Failed."""
    found = settings(session)
    for problem in server_problems(session, shown, found):
        raise problem
    base = found.get("log_bin_basename", "").replace("\\", "/").rpartition("/")[2]
    return Server(_is_mariadb(found), base, found.get("server_uuid") or found.get("server_uid") or found["server_id"])


def settings(session: Session) -> dict[str, str]:
    """The server's, as far as they are of interest here. Raises Failed."""
    return {row["variable_name"].lower(): row["value"] for row in session.named(SQL["variables"])}


def _is_mariadb(found: Mapping[str, str]) -> bool:
    return "mariadb" in found.get("version", "").lower()


_ALSO = "and in the server's configuration"
_WANTED: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("log_bin", ("ON", "1"), "Set log_bin in the server's configuration and restart it."),
    ("binlog_format", ("ROW",), f"SET GLOBAL binlog_format = 'ROW', {_ALSO}."),
    ("binlog_row_metadata", ("FULL",), f"SET GLOBAL binlog_row_metadata = 'FULL', {_ALSO}: it puts the columns' names "
     "into the log."),
    ("binlog_row_image", ("FULL", "FULL_NODUP"), f"SET GLOBAL binlog_row_image = 'FULL', {_ALSO}: otherwise the log "
     "lacks values."),
    ("binlog_row_value_options", ("",), "SET GLOBAL binlog_row_value_options = ''."),
    ("binlog_transaction_compression", ("OFF", "0"), "SET GLOBAL binlog_transaction_compression = OFF."),
)  # fmt: skip
"""What settings must be, where the server has them."""


def server_problems(session: Session, shown: str, found: Mapping[str, str]) -> Iterator[SourceError]:
    """What keeps the log from being captured from, one for each thing to mend. Raises Failed."""
    if "binlog_row_metadata" not in found:
        version = found.get("version", "")
        yield _refuse(shown, "MariaDB 10.5, MySQL 8.0 or newer", version, "Upgrade the source's server.")
    for name, values, remedy in _WANTED:
        got = found.get(name)
        if got is not None and got.upper() not in values:
            yield _refuse(shown, f"{name} = {values[0] or 'nothing'}", f"{name} = {got}", remedy)
    if found.get("server_id", "0") == "0":
        yield _refuse(shown, "a server_id", "server_id = 0", "SET GLOBAL server_id to a number of its own.")
    logs_all = (found.get("log_slave_updates") or found.get("log_replica_updates") or "ON").upper() in ("ON", "1")
    if not logs_all and _is_replica(session, _is_mariadb(found)):
        yield _refuse(
            shown,
            "a primary server, or a replica that logs what it replicates",
            "a replica with log_slave_updates = OFF",
            "Give the address of the primary, or set log_slave_updates in the replica's configuration.",
        )


def _refuse(shown: str, expected: str, got: str, remedy: str) -> SourceError:
    return SourceError(step=f"check {shown}", expected=expected, got=got, remedy=remedy)


def _is_replica(session: Session, mariadb: bool) -> bool:
    try:
        return bool(session.named(SQL["replica" if mariadb else "replica_mysql"]))
    except Failed:
        return False  # it may not be asked by this user: then it is not known to be one


def head(session: Session, shown: str) -> Head:
    """Raises SourceError, Failed."""
    try:
        rows = session.named(SQL["head"])
    except Failed as failed:
        if failed.code != _SYNTAX:
            raise
        rows = session.named(SQL["head_84"])
    if not rows:
        raise _refuse(shown, "a binary log", "none", "Set log_bin in the server's configuration and restart it.")
    row = rows[0]
    only, without = _names(row.get("binlog_do_db", "")), _names(row.get("binlog_ignore_db", ""))
    return Head(row["file"], int(row["position"]), only, without)


def _names(text: str) -> frozenset[str]:
    return frozenset(n.strip() for n in text.split(",") if n.strip())


def log_files(session: Session) -> list[str]:
    """Raises Failed."""
    return [row["log_name"] for row in session.named(SQL["logs"])]


def charsets(session: Session, mariadb: bool) -> Charsets:
    """Raises Failed."""
    try:
        rows = session.rows(SQL["collations_mariadb" if mariadb else "collations"])
    except Failed as failed:
        if not mariadb or failed.code in (0, 2006, 2013):
            raise
        rows = session.rows(SQL["collations"])
    collations = {int(row[0] or b"0"): _text(row[1]) for row in rows}
    tables: dict[str, str] = {}
    every = bytes(range(256)).hex()
    for (name,) in session.rows(SQL["single_byte"]):
        ((characters,),) = session.rows(SQL["characters"].format(_text(name)), every)
        table = bytes.fromhex(_text(characters)).decode("utf-32-be")
        if len(table) == 256:
            tables[_text(name)] = table
    return Charsets(collations, tables)


def _text(cell: bytes | None) -> str:
    return (cell or b"").decode()


# ---- tables ----------------------------------------------------------------------------------------------------------


def discover(
    session: Session, shown: str, wanted: Sequence[str], known: Charsets, at: Head, *, empty: bool = False
) -> list[Found]:
    """The tables that match, and whether they can be captured. Raises SourceError when there are none, unless that may
    be; Failed."""
    rows = session.rows(SQL["tables"])
    matched = [row for row in rows if matches(_name(row), wanted)]
    if not matched and not empty:
        raise SourceError(
            step=f"find the tables of {shown}",
            expected=f"at least one table that matches {', '.join(wanted)}",
            got=f"none among the {len(rows)} tables that this user can see",
            remedy="Correct `tables` of the source: patterns of database.table, such as shop.*",
        )
    return _found(session, matched, known, at)


def look(session: Session, tables: Iterable[str], known: Charsets, at: Head, *, readable: bool = True) -> list[Found]:
    """Some tables as they are now; those that are not there are left out. `readable`: also whether this user may read
    them, which waits for whoever has one locked. Raises Failed."""
    names = set(tables)
    rows = [row for row in session.rows(SQL["tables"]) if _name(row) in names]
    return _found(session, rows, known, at, readable=readable)


def one(session: Session, table: str, known: Charsets, at: Head) -> tuple[Found, tuple[str, ...]] | None:
    """A table as it is now, and the columns of its primary key in the index's order: none of them where the index has
    only the beginnings of values. None when it is not there. Raises Failed."""
    database, _, name = table.partition(".")
    rows = session.rows(SQL["table"].format(_literal(database), _literal(name)))
    if not rows:
        return None
    columns = session.rows(SQL["table_columns"].format(_literal(database), _literal(name)))
    cascades = {_text(t): _text(c) for t, c in session.rows(SQL["cascades"], database)}
    return _one(None, rows[0], columns, cascades.get(name), known, at), key_order(session, table)


def key_order(session: Session, table: str) -> tuple[str, ...]:
    """The columns of a table's primary key in the index's order; none where the index has only beginnings of values.

    Raises Failed.
    """
    database, _, name = table.partition(".")
    order = session.rows(SQL["key_order"].format(_literal(database), _literal(name)))
    return tuple(_text(column) for column, _ in order) if all(part is None for _, part in order) else ()


def _literal(name: str) -> str:
    return f"_utf8mb4 x'{name.encode().hex()}'"


def _name(row: Cells) -> str:
    return f"{_text(row[0])}.{_text(row[1])}"


def _found(session: Session, rows: Sequence[Cells], known: Charsets, at: Head, *, readable: bool = True) -> list[Found]:
    columns: dict[str, list[Cells]] = {}
    cascades: dict[str, str] = {}
    for database in {_text(row[0]) for row in rows}:
        for row in session.rows(SQL["columns"], database):
            columns.setdefault(f"{database}.{_text(row[0])}", []).append(row)
        for table, constraint in session.rows(SQL["cascades"], database):
            cascades[f"{database}.{_text(table)}"] = _text(constraint)
    reader = session if readable else None
    found: list[Found] = []
    for row in rows:
        table = _name(row)
        try:  # one that has gone since it was listed is left out: the log tells what became of it
            if reader is not None and table not in columns:
                _unreadable(reader, table)
            found.append(_one(reader, row, columns.get(table, []), cascades.get(table), known, at))
        except Failed as failed:
            if failed.code != _NO_TABLE:
                raise
    return found


def _one(
    session: Session | None, row: Cells, columns: Sequence[Cells], cascade: str | None, known: Charsets, at: Head
) -> Found:
    """`session`: to try whether the table may be read."""
    table = _name(row)
    key = tuple(_text(c[1]) for c in columns if c[5] == b"PRI")
    read = [text_type(_text(c[2]), _text(c[3])) for c in columns]
    types = tuple(t for t in read if t is not None)
    refused = (
        _refused_table(row, table, key, cascade, at)
        or _refused_column(table, columns, read, known)
        or (_unreadable(session, table) if session is not None else None)
    )
    named = tuple(Column(_text(c[1]), t.name) for c, t in zip(columns, read, strict=True) if t is not None)
    return Found(table, int(row[4] or b"0"), named, types, key, refused, int(row[6] or b"0"))


def _refused_table(row: Cells, table: str, key: tuple[str, ...], cascade: str | None, at: Head) -> Reason | None:
    database, name = table.partition(".")[0], quoted(table)
    if _text(row[2]) == "SYSTEM VERSIONED":
        return ("a table without versions of its own", "a system-versioned table", "Leave it out of `tables`.")
    if row[5] != b"YES":
        return (
            "a table of an engine with transactions",
            f"one of {_text(row[3]) or 'no engine'}: a copy of it has no place in the log",
            f"ALTER TABLE {name} ENGINE = InnoDB.",
        )
    if not key:
        return (
            "a primary key",
            "none: an update or a delete cannot say which row it means",
            f"ALTER TABLE {name} ADD PRIMARY KEY (...).",
        )
    if cascade is not None:
        return (
            "rows that only statements change",
            f"the foreign key {cascade} with ON DELETE or ON UPDATE other than RESTRICT: what it does to rows is not "
            "in the binary log",
            f"ALTER TABLE {name} DROP FOREIGN KEY {quoted_name(cascade)}, ADD it with RESTRICT, and let the "
            "application (or a trigger) change these rows.",
        )
    if at.leaves_out(database):
        return (
            "a database whose changes are in the binary log",
            f"{database}, which binlog_do_db or binlog_ignore_db leaves out",
            "Correct these settings of the server.",
        )
    return None


def _refused_column(
    table: str, columns: Sequence[Cells], read: Sequence[TextType | None], known: Charsets
) -> Reason | None:
    for column, kind in zip(columns, read, strict=True):
        charset = _text(column[4]) or BINARY
        if kind is None or b"compressed" in (column[3] or b"").lower():
            return (
                "columns of types that can be carried",
                f"{_text(column[1])} of type {_text(column[3])}",
                f"Change the column of {table}, or leave the table out of `tables`.",
            )
        if not known.readable(charset):
            return (
                "text in a character set that can be carried",
                f"{_text(column[1])} in {charset}",
                f"ALTER TABLE {quoted(table)} CONVERT TO CHARACTER SET utf8mb4, or leave it out of `tables`.",
            )
    return None


def _unreadable(session: Session, table: str) -> Reason | None:
    try:
        session.rows(SQL["readable"].format(quoted(table)))
    except Failed as failed:
        if failed.code not in _NO_PRIVILEGE:
            raise
        return ("the privilege to read the table", "no SELECT", f"GRANT SELECT ON {quoted(table)} to this user.")
    return None
