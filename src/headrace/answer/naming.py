"""Values, names and counts as a person reads them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from headrace.stores.values import JSON


def plain_value(value: JSON) -> str:
    """A field's value as a person reads it."""
    if isinstance(value, str) and value[:1] in "[{":
        try:
            return plain_value(msgspec.json.decode(value))
        except msgspec.DecodeError:
            return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(plain_value(v) for v in value.values())
    if isinstance(value, list):
        return "; ".join(plain_value(v) for v in value)
    return "" if value is None else str(value)


def singular(name: str) -> str:
    low = name.lower()
    if low.endswith("ies") and len(low) > 4:
        return name[:-3] + "y"
    if low.endswith(("sses", "xes", "ches", "shes")):
        return name[:-2]
    return name[:-1] if low.endswith("s") and not low.endswith(("ss", "us", "is")) else name


def plural(name: str) -> str:
    one = singular(name)
    if one.endswith(("s", "x", "ch", "sh")):
        return one + "es"
    return one[:-1] + "ies" if one.endswith("y") and one[-2:-1] not in "aeiou" else one + "s"


def quoted(limits: Iterable[str]) -> str:
    return " and ".join(f"“{x}”" for x in dict.fromkeys(limits)) or "that"
