"""What a search demands of documents' own metadata."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import msgspec

from headrace.errors import BadRequest
from headrace.metadata import Single, distinct, field_name, single

Bound = Literal["gt", "gte", "lt", "lte"]
Demand = Literal["any", "all", "none", "exists", "absent"] | Bound
_BOUNDS: tuple[Bound, ...] = get_args(Bound)
_OPERATORS = ("eq", "ne", "any", "all", *_BOUNDS, "exists")
MOST_CONDITIONS = 32
MOST_VALUES = 100


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold of one field. A field with several values has each of them, one with one value that.

    - `any`: it has one of `values`; `all`: every one of them; `none`: not one of them, also without the field.
    - `gt`, `gte`, `lt`, `lte`: its one value is beyond (or at) `values[0]`; numbers with numbers, texts with texts, by
      their code points.
    - `exists`, `absent`: whether the field is there.

    `true` is not 1, and "1" is not 1.
    """

    field: str
    demand: Demand
    values: tuple[Single, ...] = ()


def conditions_of(said: Mapping[str, object], within: str = "filter.metadata") -> tuple[Condition, ...]:
    """`{"category": "bags", "dept": ["a", "b"], "price": {"gte": 10, "lt": 20}}`: all of them must hold. Raises
    BadRequest that names the field, as one of what it is said `within`."""
    found = tuple(c for name, wanted in said.items() for c in _of_field(f"{within}.{name[:60]}", name, wanted))
    if len(found) > MOST_CONDITIONS:
        raise _bad(within, f"at most {MOST_CONDITIONS} conditions", str(len(found)))
    return found


def conditions_in(text: str, within: str) -> tuple[Condition, ...]:
    """The same of JSON. Raises BadRequest."""
    try:
        said = msgspec.json.decode(text, type=dict[str, object])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _bad(within, "a JSON object", str(error)) from None
    return conditions_of(said, within)


def _of_field(where: str, name: str, wanted: object) -> Iterator[Condition]:
    field = field_name(name)
    if not field:
        raise _bad(where, "a field's name, of at most 100 characters", "none" if not name.strip() else "a longer one")
    if not isinstance(wanted, dict):
        yield Condition(field, "any", _values(where, wanted))
        return
    if not wanted:
        raise _bad(where, "a value, a list of values, or " + ", ".join(_OPERATORS), "nothing")
    for operator, given in cast("dict[str, object]", wanted).items():
        yield _condition(f"{where}.{operator[:60]}", field, operator, given)


def _condition(where: str, field: str, operator: str, given: object) -> Condition:
    match operator:
        case "eq":
            return Condition(field, "any", (_one(where, given),))
        case "any" | "all":
            return Condition(field, operator, _values(where, given))
        case "ne":
            return Condition(field, "none", _values(where, given))
        case "exists":
            if not isinstance(given, bool):
                raise _bad(where, "true or false", _shown(given))
            return Condition(field, "exists" if given else "absent")
        case "gt" | "gte" | "lt" | "lte":
            value = _one(where, given)
            if isinstance(value, bool):
                raise _bad(where, "a number or a text", _shown(given))
            return Condition(field, operator, (value,))
        case _:
            near = difflib.get_close_matches(operator, _OPERATORS, n=1)
            raise _bad(
                where, "one of " + ", ".join(_OPERATORS), operator[:60], f"Did you mean `{near[0]}`?" if near else ""
            )


def _values(where: str, given: object) -> tuple[Single, ...]:
    if not isinstance(given, list):
        return (_one(where, given),)
    several = cast("Sequence[object]", given)
    if not 0 < len(several) <= MOST_VALUES:
        raise _bad(where, f"1 to {MOST_VALUES} values", str(len(several)))
    return distinct(_one(where, one) for one in several)


def _one(where: str, given: object) -> Single:
    value = single(given) if isinstance(given, str | int | float) else None
    if value is None:
        raise _bad(where, "a text of 1 to 1000 characters, a number, true or false", _shown(given))
    return value


def _shown(given: object) -> str:
    match given:
        case None:
            return "null"
        case dict() | list():
            return "an object" if isinstance(given, dict) else "a list"
        case str():
            return f"a text of {len(given)} characters" if len(given) > 60 else repr(given)
        case _:
            return str(given)[:60]


def _bad(where: str, expected: str, got: str, remedy: str = "") -> BadRequest:
    return BadRequest(
        step=f"read {where}",
        expected=expected,
        got=got,
        remedy=remedy or 'Write it as {"price": {"gte": 10}} or {"category": ["bags", "cases"]}.',
    )
