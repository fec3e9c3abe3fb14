"""`--where` of the command line: what a search demands of documents' metadata, in few words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from headrace.errors import BadRequest
from headrace.metadata import Single

_WANTED = re.compile(r"(?P<field>[^=!<>]+)(?P<sign>!=|>=|<=|=|>|<)(?P<value>.*)", re.DOTALL)
_PLAIN = re.compile(r"(?P<not>!?)(?P<field>[^=!<>]+)")
_BOUNDS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}


def demands(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`category=bags`, `price>=10`, `author!=ada`, `draft` (it is there), `!draft` (it is not): all of them, as the
    filter `metadata` of a search. Raises BadRequest."""
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        if plain := _PLAIN.fullmatch(text):
            _put(found, text, plain["field"], "exists", not plain["not"])
        elif wanted := _WANTED.fullmatch(text):
            value, sign = value_of(wanted["value"]), wanted["sign"]
            if sign in _BOUNDS:
                _put(found, text, wanted["field"], _BOUNDS[sign], value)
            else:
                several = found.setdefault(wanted["field"].strip(), {})
                several.setdefault("all" if sign == "=" else "ne", []).append(value)
        else:
            raise _bad(text)
    return found


def given(texts: Iterable[str]) -> dict[str, Any]:
    """`category=bags`: metadata of a document; a name that comes again has several values. Raises BadRequest."""
    found: dict[str, list[Single]] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise _bad(text)
        found.setdefault(name.strip(), []).append(value_of(value))
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def value_of(text: str) -> Single:
    """A number, true or false, or a text; one between double quotes is a text in any case."""
    try:
        return msgspec.json.decode(text.strip(), type=bool | int | float | str)
    except msgspec.MsgspecError:
        return text.strip()


def _put(found: dict[str, dict[str, Any]], text: str, field: str, operator: str, value: Single) -> None:
    demanded = found.setdefault(field.strip(), {})
    if operator in demanded:
        raise _bad(text, "each bound of a field once")
    demanded[operator] = value


def _bad(text: str, expected: str = "key=value, with = != > >= < <=, or a key alone") -> BadRequest:
    return BadRequest(
        step="read the metadata that are asked for",
        expected=expected,
        got=repr(text[:60]),
        remedy="Put it between quotes for the shell: --where 'price>=10'.",
    )
