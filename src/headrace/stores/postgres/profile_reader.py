"""Reads profiles with their facts and aggregates in one snapshot."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from headrace.change import Position, Stamp
from headrace.link import Answer, Link
from headrace.sqlfile import load
from headrace.stores import AsOf
from headrace.stores.postgres.profiles import OPERATOR
from headrace.stores.postgres.valid import Validity, validity
from headrace.stores.profiles import Aggregate, Fact, FactRule, Profile
from headrace.stores.values import DEFAULT_TENANT, JSON

SQL = load(Path(__file__).with_name("profiles.sql"))

# A column that is null stands as JSON's null; exact numbers stand as text, and are compared as numbers.
_VALUE = "nullif(v.fields -> %({p})s, 'null')"
_NUMBER = "case when v.fields ->> %({p})s ~ '^[-+]?[0-9]+([.][0-9]+)?$' then (v.fields ->> %({p})s)::numeric end"
PAGE = 500

_EXPRESSIONS = {
    "count": f"count({_VALUE})",
    "sum": f"sum({_NUMBER})",
    "avg": f"trim_scale(avg({_NUMBER}))",
    "min": f"(array_agg({_VALUE} order by {_NUMBER}, {_VALUE}) filter (where {_VALUE} is not null))[1]",
    "max": f"(array_agg({_VALUE} order by {_NUMBER} desc nulls last, {_VALUE} desc) "
    f"filter (where {_VALUE} is not null))[1]",
}


class PostgresProfileReader:
    """Implements `headrace.stores.profiles.ProfileReader` on a link that holds a snapshot."""

    def __init__(self, link: Link, at: AsOf, rules: Sequence[FactRule]) -> None:
        self._link = link
        self._rules = rules
        self._past = at.token is not None or at.time is not None
        self._profiles = validity(at, OPERATOR, closer="v.closed_source", overtaken="false")
        self._facts = validity(at, OPERATOR, overtaken="false")

    async def profile(self, id_or_identifier: str) -> Profile | None:
        args = {"tenant": DEFAULT_TENANT, "id": id_or_identifier, **self._profiles.args}
        name = "past_profile" if self._past else "profile"
        row = await (await self._link.execute(_valid(SQL[name], self._profiles), args)).fetchone()
        return await self._complete(row) if row else None

    async def profiles(self) -> AsyncIterator[Profile]:
        args: dict[str, Any] = {"tenant": DEFAULT_TENANT, "limit": PAGE, **self._profiles.args}
        statement, after, rows = _valid(SQL["profiles"], self._profiles), "", [()] * PAGE
        while len(rows) == PAGE:
            rows = await (await self._link.execute(statement, {**args, "after": after})).fetchall()
            for row in rows:
                yield await self._complete(row)
                after = row[0]

    async def _complete(self, row: Sequence[Any]) -> Profile:
        id, source, major, minor, at, identifiers, records, fields = row
        facts, aggregates = await self._children(identifiers)
        stamp = Stamp(source, Position(major, minor), at)
        return Profile(id, tuple(identifiers), fields, aggregates, facts, tuple(records), stamp)

    async def _children(self, identifiers: Sequence[str]) -> tuple[list[Fact], dict[str, JSON]]:
        facts: list[Fact] = []
        aggregates: dict[str, JSON] = {}
        if not self._rules:
            return facts, aggregates
        base = {"tenant": DEFAULT_TENANT, "owners": list(identifiers), **self._facts.args}
        answers = [(rule, *await self._ask(rule, base)) for rule in self._rules]
        for rule, rows, sums in answers:
            facts += [_fact(rule, row) for row in await rows.fetchall()]
            if sums is not None:
                values = await sums.fetchone()
                aggregates |= dict(zip((a.name for a in rule.aggregates), map(_plain, values or ()), strict=True))
        return facts, aggregates

    async def _ask(self, rule: FactRule, base: Mapping[str, Any]) -> tuple[Answer, Answer | None]:
        args = {**base, "topic": rule.topic, "keep": rule.keep}
        rows = await self._link.execute(_valid(SQL["facts"], self._facts), args)
        if not rule.aggregates:
            return rows, None
        columns = ", ".join(_expression(a, f"c{n}") for n, a in enumerate(rule.aggregates)).encode()
        args |= {f"c{n}": a.column for n, a in enumerate(rule.aggregates)}
        statement = _valid(SQL["aggregates"].replace(b"{columns}", columns), self._facts)
        return rows, await self._link.execute(statement, args)


def _expression(aggregate: Aggregate, parameter: str) -> str:
    if aggregate.column == "*":
        return "count(*)"
    return _EXPRESSIONS[aggregate.function].replace("{p}", parameter)


def _valid(sql: bytes, condition: Validity) -> bytes:
    return sql.replace(b"{valid}", condition.sql.encode())


def _fact(rule: FactRule, row: Sequence[Any]) -> Fact:
    id, source, major, minor, at, fields, text, happens = row
    table, _, key = id.partition("/")[2].partition("/")
    return Fact(rule.topic, table, key, rule.name, fields, text, happens, Stamp(source, Position(major, minor), at))


def _plain(value: Decimal | JSON) -> JSON:
    """Sums and averages are exact numbers: whole ones as integers, others as text, to the digit."""
    if not isinstance(value, Decimal):
        return value
    return int(value) if value.is_finite() and value == value.to_integral_value() else str(value)
