"""Which metadata meet which conditions, in plain Python: what the store must find."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.metadata import Metadata, Single, values_of
from headrace.stores.conditions import Condition


def holds(conditions: Sequence[Condition], metadata: Metadata) -> bool:
    return all(_holds(condition, metadata) for condition in conditions)


def _holds(condition: Condition, metadata: Metadata) -> bool:
    said = metadata.get(condition.field)
    if condition.demand in ("exists", "absent"):
        return (said is not None) == (condition.demand == "exists")
    has = {_kind(v): None for v in values_of(said)} if said is not None else {}
    wanted = [_kind(v) for v in condition.values]
    match condition.demand:
        case "any":
            return any(v in has for v in wanted)
        case "none":
            return not any(v in has for v in wanted)
        case "all":
            return all(v in has for v in wanted)
        case _:
            return said is not None and not isinstance(said, tuple) and _beyond(condition, said)


def _beyond(condition: Condition, said: Single) -> bool:
    bound = condition.values[0]
    if isinstance(said, bool) or isinstance(said, str) != isinstance(bound, str):
        return False
    if isinstance(said, str):
        order = (said.encode() > str(bound).encode()) - (said.encode() < str(bound).encode())
    else:
        assert not isinstance(bound, str)
        order = (said > bound) - (said < bound)
    return {"gt": order > 0, "gte": order >= 0, "lt": order < 0, "lte": order <= 0}[condition.demand]


def _kind(value: Single) -> tuple[bool, Single]:
    """`true` is not 1."""
    return isinstance(value, bool), value
