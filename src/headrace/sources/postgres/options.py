"""What only a PostgreSQL source is told: a publication or slot that is there already, and what to do when it lags."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote

from headrace.errors import ConfigError
from headrace.sources import SourceSettings

IN_URL = ("publication", "slot")
_UNITS = {"": 1, "B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_SLOT_NAME = re.compile(r"[a-z0-9_]{1,63}")


class OnLag(StrEnum):
    """What is done when the server keeps more WAL for us than `max_retained`."""

    WARN = "warn"
    PAUSE = "pause"
    STOP = "stop"
    RESNAPSHOT = "resnapshot"


@dataclass(frozen=True, slots=True)
class Options:
    """`publication`: one that is used as it is. `slot`: one that somebody else made. `max_retained`: bytes."""

    publication: str | None = None
    slot: str | None = None
    on_lag: OnLag = OnLag.WARN
    max_retained: int = 10 * 1024**3


def split(url: str) -> tuple[str, dict[str, str]]:
    """The URL as libpq knows it, and what stands in its query for us."""
    head, mark, query = url.partition("?")
    ours: dict[str, str] = {}
    rest: list[str] = []
    for part in query.split("&") if mark else []:
        name, _, value = part.partition("=")
        if name in IN_URL:
            ours[name] = unquote(value)
        else:
            rest.append(part)
    return head + ("?" + "&".join(rest) if rest else ""), ours


def read(settings: SourceSettings) -> Options:
    """Raises ConfigError."""
    given: Mapping[str, str] = {**settings.options, **split(settings.url)[1]}
    slot = given.get("slot")
    if slot is not None and not _SLOT_NAME.fullmatch(slot):
        raise _bad(settings.name, "slot", "lower-case letters, digits and _", slot)
    on_lag = given.get("on_lag", OnLag.WARN)
    if on_lag not in list(OnLag):
        raise _bad(settings.name, "on_lag", ", ".join(OnLag), on_lag)
    default = Options()
    retained = given.get("max_retained")
    return Options(
        given.get("publication"),
        slot,
        OnLag(on_lag),
        default.max_retained if retained is None else _bytes(settings.name, retained),
    )


def _bytes(source: str, text: str) -> int:
    match = re.fullmatch(r"([0-9]+)\s*([kKMGT]?B?)", text.strip())
    unit = match[2].upper() if match else "?"
    if match is None or unit not in _UNITS or not int(match[1]):
        raise _bad(source, "max_retained", "a size such as 10GB", text)
    return int(match[1]) * _UNITS[unit]


def _bad(source: str, name: str, expected: str, got: str) -> ConfigError:
    return ConfigError(
        step=f"read `{name}` of the source {source}", expected=expected, got=repr(got), remedy="Correct it."
    )
