"""The airline desk: what a person may look up and change by hand in the airline's rows and policies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import as_file, files
from pathlib import Path

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import TupleRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from headrace.clock import now_us, rfc3339
from headrace.demo.errors import AirlineAway, Refused, UnknownPlace
from headrace.demo.personas import PERSONAS
from headrace.demo.policies import Policy, list_policies, read_policy, write_policy
from headrace.sqlfile import Statements, load

Pool = AsyncConnectionPool[AsyncConnection[TupleRow]]
Cell = str | int | float | bool | None | list[object] | dict[str, object]
"""A value as JSON has it."""

MAX_ROWS = 200

_SEATS_AND_PRICES = {
    f"{cabin}_{what}": () for what in ("seats", "price") for cabin in ("basic_economy", "economy", "business")
}
EDITABLE: Mapping[str, Mapping[str, Sequence[str]]] = {
    "flight_dates": {
        "status": ("available", "on time", "delayed", "flying", "landed", "cancelled"),
        **_SEATS_AND_PRICES,
        "estimated_departure": (),
        "estimated_arrival": (),
        "actual_departure": (),
        "actual_arrival": (),
    },
    "users": {"name": (), "email": (), "membership": ("regular", "silver", "gold")},
    "reservations": {
        "cabin": ("basic economy", "economy", "business"),
        "insurance": (),
        "total_bags": (),
        "extra_bags": (),
    },
    "reservation_flights": {"price": ()},
    "flights": {"departs": (), "arrives": ()},
}
"""The desk's tables and the columns that it changes, with what a column may be where that is a choice."""


def _read_sql() -> Statements:
    with as_file(files("headrace.demo").joinpath("desk.sql")) as path:
        return load(path)


SQL = _read_sql()


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `type` is Postgres' name of it."""

    name: str
    type: str
    editable: bool
    choices: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the desk; `key` are the columns of its primary key."""

    name: str
    key: Sequence[str]
    columns: Sequence[Column]


@dataclass(frozen=True, slots=True)
class Rows:
    """A page of rows, by column, and how many there are in all."""

    rows: Sequence[Mapping[str, Cell]]
    total: int


@dataclass(frozen=True, slots=True)
class Member:
    """A persona as the airline has it now."""

    user: str
    name: str
    membership: str
    about: str


class Desk:
    """Reads and writes the airline's database and its policy folder.

    Raises UnknownPlace for what is not there, Refused for values that the airline does not take, and AirlineAway
    while its database cannot be reached.
    """

    def __init__(self, pool: Pool, policies: Path) -> None:
        self._pool = pool
        self._policies = policies

    async def tables(self) -> list[Table]:
        """The desk's tables."""
        async with self._connection() as connection:
            return [await _table(connection, name) for name in EDITABLE]

    async def rows(self, table: str, *, q: str = "", limit: int = 50, offset: int = 0) -> Rows:
        """Rows in the order of their key in which every word of `q` occurs, at most MAX_ROWS at once."""
        async with self._connection() as connection:
            described = await _table(connection, table)
            names = [sql.Identifier(column.name) for column in described.columns]
            text = sql.SQL("concat_ws(' ', {})").format(
                sql.SQL(", ").join(sql.SQL("{}::text").format(name) for name in names)
            )
            words = [f"%{_escaped(word)}%" for word in q.split()[:10]]
            where = sql.SQL(" and ").join([sql.SQL("true"), *(sql.SQL("{} ilike %s").format(text) for _ in words)])
            parts = {
                "columns": sql.SQL(", ").join(map(_as_json, described.columns)),
                "table": sql.Identifier("public", table),
                "where": where,
                "key": sql.SQL(", ").join(map(sql.Identifier, described.key)),
            }
            count = sql.SQL("select count(*) from {table} where {where}").format(**parts)
            page = sql.SQL("select {columns} from {table} where {where} order by {key} limit %s offset %s")
            found = await (await connection.execute(count, words)).fetchone()
            async with connection.cursor(row_factory=dict_row) as cursor:
                bounds = [min(max(limit, 0), MAX_ROWS), max(offset, 0)]
                await cursor.execute(page.format(**parts), [*words, *bounds])
                rows: list[dict[str, Cell]] = await cursor.fetchall()
        return Rows(rows, int(found[0]) if found else 0)

    async def update(self, table: str, key: Mapping[str, object], values: Mapping[str, object]) -> str:
        """Changes one row; returns the log's position after its commit, as `0/16B3748`."""
        async with self._connection() as connection:
            described = await _table(connection, table)
            _check_names(described, key, values)
            statement = sql.SQL("update {table} set {values} where {key}").format(
                table=sql.Identifier("public", table),
                values=sql.SQL(", ").join(map(_assignment, values)),
                key=sql.SQL(" and ").join(map(_assignment, described.key)),
            )
            given = [*map(_given, values.values()), *(_given(key[name]) for name in described.key)]
            # Without autocommit the look-up has begun a transaction, and what follows would be a savepoint in it: the
            # position would be one from before the commit.
            await connection.rollback()
            try:
                async with connection.transaction():
                    # The position is handed to clients as a promise: it must not be lost in a crash.
                    await connection.execute("set local synchronous_commit = on")
                    done = await connection.execute(statement, given)
            except (psycopg.DataError, psycopg.IntegrityError) as error:
                raise _refused(table, error) from None
            if done.rowcount != 1:
                raise UnknownPlace(
                    step=f"change a row of {table}",
                    expected=f"a row with this {', '.join(described.key)}",
                    got=", ".join(str(value)[:60] for value in key.values()),
                    remedy=f"GET /demo/desk/rows/{table} finds rows.",
                )
            head = await (await connection.execute(SQL["head"])).fetchone()
        assert head is not None
        return str(head[0])

    async def members(self) -> list[Member]:
        """The personas with the name and tier that they have now; one who was removed is left out."""
        async with self._connection() as connection:
            values = {"users": [persona.user_id for persona in PERSONAS]}
            found = {row[0]: row[1:] for row in await (await connection.execute(SQL["memberships"], values)).fetchall()}
        return [Member(p.user, *found[p.user_id], about=p.about) for p in PERSONAS if p.user_id in found]

    async def policies(self) -> list[Policy]:
        """The policies by name."""
        return await asyncio.to_thread(list_policies, self._policies)

    async def policy(self, name: str) -> str:
        """A policy's text."""
        return await asyncio.to_thread(read_policy, self._policies, name)

    async def save_policy(self, name: str, text: str) -> str:
        """Replaces a policy's text in one step; returns when, in RFC 3339."""
        await asyncio.to_thread(write_policy, self._policies, name, text)
        return rfc3339(now_us())

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[AsyncConnection[TupleRow]]:
        try:
            async with self._pool.connection() as connection:
                yield connection
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise _away(error) from error


def _away(error: Exception) -> AirlineAway:
    return AirlineAway(
        step="ask the airline's database",
        expected="a connection to it",
        got=type(error).__name__,
        remedy="It is connected to again by itself: try once more in a moment.",
    )


async def _table(connection: AsyncConnection[TupleRow], name: str) -> Table:
    editable = EDITABLE.get(name)
    if editable is None:
        raise UnknownPlace(
            step="find a table of the desk",
            expected=f"one of {', '.join(EDITABLE)}",
            got=repr(name[:60]),
            remedy="GET /demo/desk lists the tables.",
        )
    rows = await (await connection.execute(SQL["columns"], {"table": name})).fetchall()
    columns = [Column(column, kind, column in editable, editable.get(column, ())) for column, kind, _ in rows]
    return Table(name, [column for column, _, is_key in rows if is_key], columns)


def _as_json(column: Column) -> sql.Composable:
    name = sql.Identifier(column.name)
    plain = column.type in ("integer", "boolean", "jsonb")
    return name if plain else sql.SQL("{0}::text as {0}").format(name)


def _assignment(name: str) -> sql.Composed:
    # psycopg sends text without a type: the column's own reads it.
    return sql.SQL("{} = %s").format(sql.Identifier(name))


def _check_names(table: Table, key: Mapping[str, object], values: Mapping[str, object]) -> None:
    editable = [column.name for column in table.columns if column.editable]
    if set(key) != set(table.key):
        raise _bad_names("the key", table, table.key, key)
    if not values or not set(values) <= set(editable):
        raise _bad_names("the columns to set", table, editable, values)


def _bad_names(what: str, table: Table, expected: Sequence[str], got: Mapping[str, object]) -> Refused:
    return Refused(
        step=f"read {what} of a change to {table.name}",
        expected=", ".join(expected),
        got=", ".join(name[:60] for name in got) or "nothing",
        remedy="GET /demo/desk lists the keys and the editable columns.",
    )


def _given(value: object) -> str | None:
    """A value in the text form that Postgres reads as any type."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise Refused(
        step="read a value",
        expected="text, a number, true, false or null",
        got=type(value).__name__,
        remedy="Change one plain column at a time.",
    )


def _refused(table: str, error: psycopg.Error) -> Refused:
    constraint = error.diag.constraint_name
    return Refused(
        step=f"change a row of {table}",
        expected=f"values that {constraint} allows" if constraint else "values of the columns' types",
        got=error.diag.message_primary or type(error).__name__,
        remedy="Choose another value; the row is unchanged.",
    )


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
