"""Conditions on documents' metadata as SQL: names and values go as parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from headrace.metadata import Single
from headrace.sqlfile import load
from headrace.stores.conditions import Condition

SQL = load(Path(__file__).with_name("conditions.sql"))
_BEYOND = {"gt": b">", "gte": b">=", "lt": b"<", "lte": b"<="}


class Conditions:
    """Some conditions, all of which must hold."""

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self.args: dict[str, str] = {}
        """By names that begin with `m_`."""
        self._parts = [self._part(condition) for condition in conditions]
        if any(c.demand not in ("none", "absent") for c in conditions):
            self._parts.append(_fragment("any_said"))

    def of(self, column: bytes) -> bytes:
        """Whether a column of metadata is so."""
        return b" and ".join(self._parts).replace(b"{of}", column) or b"true"

    @property
    def of_chunk(self) -> bytes:
        return _fragment("of_chunk").replace(b"{holds}", self.of(b"m.metadata"))

    @property
    def of_every_chunk(self) -> bytes:
        return _fragment("of_every_chunk").replace(b"{holds}", self.of(b"m.metadata"))

    def _part(self, condition: Condition) -> bytes:
        field, values = condition.field, condition.values
        match condition.demand:
            case "any":
                return self._one_of(field, values)
            case "none":
                return b"not " + self._one_of(field, values)
            case "all":
                several = len(values) > 1
                return self._filled("every", among=_json({field: values})) if several else self._one_of(field, values)
            case "exists":
                return self._filled("there", field=field)
            case "absent":
                return b"not " + self._filled("there", field=field)
            case beyond:
                return self._bound(field, values[0]).replace(b"{beyond}", _BEYOND[beyond])

    def _bound(self, field: str, value: Single) -> bytes:
        if isinstance(value, str):
            return self._filled("text", field=field, value=value)
        return self._filled("number", field=field, value=_json(value))

    def _one_of(self, field: str, values: Sequence[Single]) -> bytes:
        each = (self._filled("equal", alone=_json({field: v}), among=_json({field: [v]})) for v in values)
        return b"(" + b" or ".join(each) + b")"

    def _filled(self, name: str, **given: str) -> bytes:
        made = _fragment(name)
        for place, value in given.items():
            parameter = f"m_{len(self.args)}"
            self.args[parameter] = value
            made = made.replace(b"{%s}" % place.encode(), f"%({parameter})s".encode())
        return made


def _json(value: Single | Mapping[str, Single | Sequence[Single]]) -> str:
    return msgspec.json.encode(value).decode()


def _fragment(name: str) -> bytes:
    return SQL[name].rstrip(b"; \n")
