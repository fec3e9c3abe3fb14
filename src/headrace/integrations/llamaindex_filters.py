"""LlamaIndex's `MetadataFilters` as the filter of a search; what a search cannot demand is refused by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from llama_index.core.vector_stores.types import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters

from headrace.errors import BadRequest
from headrace.integrations.http import OURS
from headrace.metadata import distinct

Value = str | int | float
Operator = Literal["any", "all", "ne", "gt", "gte", "lt", "lte", "exists", "source", "title"]

_BOUNDS: Mapping[FilterOperator, Operator] = {
    FilterOperator.GT: "gt", FilterOperator.GTE: "gte", FilterOperator.LT: "lt", FilterOperator.LTE: "lte",
}  # fmt: skip
_ONE: Mapping[FilterOperator, tuple[Operator, Operator]] = {
    FilterOperator.EQ: ("any", "ne"), FilterOperator.CONTAINS: ("any", "ne"), FilterOperator.NE: ("ne", "any"),
}  # fmt: skip
"""Of one value: what it is, and what it is negated."""
_SEVERAL: Mapping[FilterOperator, tuple[Operator, Operator]] = {
    FilterOperator.IN: ("any", "ne"), FilterOperator.ANY: ("any", "ne"), FilterOperator.NIN: ("ne", "any"),
    FilterOperator.ALL: ("all", "ne"),
}  # fmt: skip
_OPERATORS = "one of == != > >= < <= in nin any all contains is_empty"
_NEGATED = "under `not` one of == != in nin any contains is_empty, or all of one value"


@dataclass(frozen=True, slots=True)
class _Demand:
    """What must hold of a field: of a document's own metadata, or (`source`, `title`) of what Headrace says of it.
    `exists` has one value, true or false."""

    field: str
    operator: Operator
    values: tuple[Value, ...]


def limited(given: Mapping[str, Any] | None, filters: MetadataFilters | None) -> dict[str, Any] | None:
    """The filter of a search that demands both. Raises BadRequest, which names what cannot be demanded."""
    if filters is None:
        return None if given is None else dict(given)
    found: dict[str, Any] = dict(given or {})
    metadata: dict[str, Any] = dict(found.get("metadata") or {})
    read: dict[str, dict[str, Any]] = {}
    for demand in _read(filters, negated=False):
        if demand.operator in ("source", "title"):
            if found.setdefault(demand.operator, demand.values[0]) != demand.values[0]:
                raise _refused(f"`{demand.field}` twice", "one value of it")
        elif demand.field in metadata:
            raise _refused(f"`{demand.field}` in `filter` and in `filters`", "each key in one of the two")
        else:
            _add(read.setdefault(demand.field, {}), demand)
    return {**found, "metadata": {**metadata, **read}} if metadata or read else found or None


def _read(node: MetadataFilter | MetadataFilters, *, negated: bool) -> list[_Demand]:
    """Demands, all of which must hold. A negation goes down to what is compared."""
    if isinstance(node, MetadataFilter):
        return [_demand(node, negated=negated)]
    condition = node.condition or FilterCondition.AND
    if any(isinstance(n, MetadataFilters) and not n.filters for n in node.filters):
        raise _refused("a group of no filters", "filters in every group")
    inside = [_read(n, negated=negated != (condition == FilterCondition.NOT)) for n in node.filters]
    alternatives = negated != (condition == FilterCondition.OR)
    if not alternatives or len(inside) < 2:
        return [demand for demands in inside for demand in demands]
    return [_either(inside)]


def _either(alternatives: Sequence[Sequence[_Demand]]) -> _Demand:
    """One of several is one of several values, where all are about the same field."""
    demands = [demand for demands in alternatives for demand in demands]
    fields = list(dict.fromkeys(demand.field for demand in demands))
    if len(fields) > 1 or len(demands) > len(alternatives) or any(demand.operator != "any" for demand in demands):
        keys = " and ".join(f"`{field}`" for field in fields)
        raise _refused(f"alternatives (or) over {keys}", "alternatives that are values of one key")
    return _Demand(fields[0], "any", _distinct(v for demand in demands for v in demand.values))


def _demand(said: MetadataFilter, *, negated: bool) -> _Demand:
    operator = said.operator
    if said.key in OURS:
        return _of_ours(said, negated=negated)
    if operator == FilterOperator.IS_EMPTY:
        return _Demand(said.key, "exists", (negated,))
    if operator in _ONE:
        return _Demand(said.key, _ONE[operator][negated], (_one(said),))
    if operator in _BOUNDS and not negated:
        return _Demand(said.key, _BOUNDS[operator], (_one(said),))
    if operator in _SEVERAL:
        values = _several(said)
        if not (negated and operator == FilterOperator.ALL and len(values) > 1):
            return _Demand(said.key, _SEVERAL[operator][negated], values)
    raise _refused(("not " if negated else "") + _shown(said), _NEGATED if negated else _OPERATORS)


def _of_ours(said: MetadataFilter, *, negated: bool) -> _Demand:
    """Names that Headrace gives to what it knows of every passage: what nodes show under them is not metadata."""
    if said.key == "source" and said.operator == FilterOperator.EQ and not negated:
        return _Demand(said.key, "source", (_one(said),))
    if said.key == "title" and said.operator == FilterOperator.TEXT_MATCH_INSENSITIVE and not negated:
        return _Demand(said.key, "title", (_one(said),))
    raise _refused(
        ("not " if negated else "") + _shown(said),
        "of what Headrace itself says of a passage, `source` == or `title` text_match_insensitive",
        "Limit it by filter={…}: see docs/search.md; a document's own field of this name is "
        f'filter={{"metadata": {{"{said.key}": …}}}}.',
    )


def _one(said: MetadataFilter) -> Value:
    if said.value is None or isinstance(said.value, list):
        raise _refused(_shown(said), "one value")
    return said.value


def _several(said: MetadataFilter) -> tuple[Value, ...]:
    if not isinstance(said.value, list) or not said.value:
        raise _refused(_shown(said), "a list of values")
    return _distinct(iter(cast("list[Value]", said.value)))


def _add(of_field: dict[str, Any], demand: _Demand) -> None:
    """Puts it together with what is demanded of the field already."""
    field, operator, values = demand.field, demand.operator, demand.values
    match operator:
        case "any" | "all" if operator == "all" or len(values) == 1:
            of_field["all"] = list(_distinct(iter([*of_field.get("all", ()), *values])))
        case "ne":
            of_field["ne"] = list(_distinct(iter([*of_field.get("ne", ()), *values])))
        case "any":
            if set(of_field.setdefault("any", list(values))) != set(values):
                raise _refused(f"two lists of values for `{field}`", "one list of alternatives for each key")
        case "exists":
            if of_field.setdefault("exists", values[0]) != values[0]:
                raise _refused(f"`{field}` is empty and is not", "one of the two")
        case bound:
            _narrow(of_field, field, bound, values[0])


def _narrow(of_field: dict[str, Any], field: str, bound: str, value: Value) -> None:
    """The tighter of two bounds."""
    there: Any = of_field.setdefault(bound, value)
    if isinstance(there, str) != isinstance(value, str):
        raise _refused(f"`{field}` beyond a number and beyond a text", "bounds of one kind for each key")
    of_field[bound] = max(there, value) if bound.startswith("g") else min(there, value)


def _distinct(values: Iterator[Value]) -> tuple[Value, ...]:
    return cast("tuple[Value, ...]", distinct(values))


def _shown(said: MetadataFilter) -> str:
    return f"`{said.key[:60]}` {said.operator.value} {said.value!r:.60}"


def _refused(got: str, expected: str, remedy: str = "") -> BadRequest:
    return BadRequest(
        step="translate MetadataFilters",
        expected=expected,
        got=got,
        remedy=remedy or "See docs/search.md for what a search can demand; alternatives over keys are two searches.",
    )
