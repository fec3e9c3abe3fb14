"""The keys of the settings: unknown ones are refused, and those of the environment are put in their place."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Any, get_args, get_origin

import msgspec
from msgspec import Struct

from headrace.config.problems import READ, bad, hint

_OVERRIDDEN = frozenset({"headrace", "server", "models", "answer"})
"""Sections that can be set in the environment."""


def override(raw: dict[str, Any], environ: Mapping[str, str], kind: type[Struct]) -> None:
    """`HEADRACE_SERVER__PORT=9000` sets `[server] port`; lists of tables cannot be set so. `kind`: all settings."""
    kinds = _fields(kind)
    for name, value in environ.items():
        section, _, key = name.removeprefix("HEADRACE_").lower().partition("__")
        if name.startswith("HEADRACE_") and key and section in _OVERRIDDEN:
            settings = raw.setdefault(section, {})
            if isinstance(settings, dict):  # otherwise the file's own mistake is told later
                settings[key] = int(value) if _is_number(kinds[section], key) and value.isdecimal() else value


def refuse_unknown(raw: object, kind: Any, where: str = "") -> None:
    """Raises for a key that is not a setting, naming the nearest one."""
    if isinstance(raw, list) and get_origin(kind) is list:
        for item in raw:  # pyright: ignore[reportUnknownVariableType]
            refuse_unknown(item, get_args(kind)[0], where)  # pyright: ignore[reportUnknownArgumentType]
    if not isinstance(raw, dict) or not (isinstance(kind, type) and issubclass(kind, Struct)):
        return
    fields = _fields(kind)
    for key, value in raw.items():  # pyright: ignore[reportUnknownVariableType]
        name = f"{where}{key}"
        if key not in fields:
            remedy = hint(str(key), fields, "Known here")  # pyright: ignore[reportUnknownArgumentType]
            raise bad(READ, "a known setting", f"`{name}`", remedy)
        refuse_unknown(value, _plain(fields[key]), f"{name}.")  # pyright: ignore[reportUnknownArgumentType]


def _is_number(section: type[Struct], key: str) -> bool:
    kind = _fields(section).get(key)
    return int in (kind, *get_args(kind))


def _fields(kind: type[Struct]) -> dict[str, Any]:
    return {f.name: f.type for f in msgspec.structs.fields(kind)}


def _plain(kind: Any) -> Any:
    """A table that may be missing is checked as one that is there."""
    if isinstance(kind, UnionType):
        return next((k for k in get_args(kind) if isinstance(k, type) and issubclass(k, Struct)), kind)
    return kind
