"""Tables that say in their header what stands below: CSV, sheets, and Markdown's own tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from headrace.redaction import Detection
from headrace.redaction.checks import digits

_SCORE = 0.7
_RULE = re.compile(r"\|(?:[ ]?:?-{3,}:?[ ]?\|)+[ \t]*")
_CELL = re.compile(r"(?<!\\)\|")
_HEADERS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        ("name", r"(?:full|first|last|middle|given|family|maiden|customer|client|patient|passenger|guest|employee|contact|"
                 r"card ?holder|account holder)s? ?names?|surname|passenger|patient|employee|vorname|nachname|"
                 r"prénom|nombre|apellidos?|cognome"),
        ("email", r"e-?mail(?: address)?"),
        ("phone", r"(?:home |work |mobile |cell |customer |contact )?(?:tele)?(?:phone|fax)(?: ?(?:number|no\.?))?|mobile|cell|tel\.?|telefon|handy"),
        ("address", r"(?:home |billing |shipping |mailing |street |postal )?address(?: ?(?:line)? ?[12])?|street|anschrift|adresse|zip(?: ?code)?|post(?:al)? ?code|plz"),
        ("birth_date", r"d\.?o\.?b\.?|(?:date of )?birth ?(?:date|day)?|geburtsdatum|date de naissance|fecha de nacimiento"),
        ("us_ssn", r"ssn|social security(?: (?:number|no\.?))?"),
        ("passport", r"passport(?: ?(?:number|no\.?))?"),
        ("driver_license", r"driv(?:er'?s?|ing) licen[cs]e(?: ?(?:number|no\.?))?"),
        ("secret", r"password|passwd|secret|api ?key|(?:access |auth )?token"),
    )
)  # fmt: skip


def cells(text: str) -> Iterator[Detection]:
    """What stands in columns whose header names a kind."""
    header: list[str] | None = None
    kinds: dict[int, str] = {}
    at = 0
    for line in text.splitlines(keepends=True):
        if not line.startswith("|"):
            header, kinds = None, {}
        elif header is not None and _RULE.fullmatch(line.rstrip("\r\n")):
            kinds = _kinds(header)
        else:
            yield from _row(line, at, kinds)
            header = _names(line) if not kinds else header
        at += len(line)


def _names(line: str) -> list[str]:
    return [cell.strip().strip("*`").replace("_", " ") for cell in _CELL.split(line)]


def _kinds(header: list[str]) -> dict[int, str]:
    """By the number of the column. `name` alone is a person's only beside something else of a person."""
    kinds = {n: kind for n, name in enumerate(header) if (kind := _kind(name))}
    if _PERSONAL & set(kinds.values()):
        kinds |= {n: "name" for n, name in enumerate(header) if name.lower() in _PERHAPS}
    return kinds


_PERSONAL = frozenset({"name", "email", "phone", "birth_date", "us_ssn", "passport"})
_PERHAPS = frozenset({"name", "nom", "nome", "customer", "client", "contact", "user", "holder"})


def _kind(name: str) -> str | None:
    return next((kind for kind, pattern in _HEADERS if pattern.fullmatch(name)), None)


def _row(line: str, at: int, kinds: dict[int, str]) -> Iterator[Detection]:
    if not kinds:
        return
    start = 0
    for n, cell in enumerate(_CELL.split(line)):
        value = cell.strip()
        if n in kinds and _fits(kinds[n], value):
            first = at + start + cell.index(value)
            yield Detection(first, first + len(value), kinds[n], _SCORE)
        start += len(cell) + 1


def _fits(kind: str, value: str) -> bool:
    """Whether a cell can be what its column is said to hold."""
    match kind:
        case "email":
            return "@" in value
        case "name":
            return any(c.isalpha() for c in value) and not any(c.isdecimal() for c in value) and len(value) <= 80
        case "phone":
            return len(digits(value)) >= 5
        case "birth_date":
            return _is_date(value)
        case "us_ssn" | "passport" | "driver_license":
            return len(digits(value)) >= 4
        case _:
            return len(value) > 2 and any(c.isalnum() for c in value)


def _is_date(value: str) -> bool:
    try:
        date.fromisoformat(value[:10])
    except ValueError:
        return len(digits(value)) >= 4
    return True
