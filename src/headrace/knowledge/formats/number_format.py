"""Numbers as a spreadsheet shows them, by their format's code (ECMA-376 part 1, 18.8.30 and 18.8.31).

What decides how a number is called is followed: percent, units and currencies, decimals, grouping, leading zeros,
scales, sections for negative numbers and for zero. Fractions, powers of ten and conditions are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache

BUILT_IN = {
    1: "0",
    2: "0.00",
    3: "#,##0",
    4: "#,##0.00",
    9: "0%",
    10: "0.00%",
    37: "#,##0;(#,##0)",
    38: "#,##0;(#,##0)",
    39: "#,##0.00;(#,##0.00)",
    40: "#,##0.00;(#,##0.00)",
}
"""Codes that files name by number only, as far as they say more than `plain` does."""
DIGITS = 15
"""Of a number that spreadsheets keep and show."""
_LONGEST, _PLACES = 255, 30
"""Characters of a code, places behind the point: no sensible one has more."""
_EXACT = Context(prec=80, rounding=ROUND_HALF_UP)
_PIECES = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|(?P<left_out>_.|\*.|\[(?:[A-Za-z]+|Color ?\d+)\])'
    r"|\[\$(?P<currency>[^\]-]*)(?:-[^\]]*)?\]|(?P<places>[0#?])|(?P<point>\.)|(?P<comma>,)|(?P<percent>%)"
    r"|(?P<literal>[^\w\[\]/@\"\\*.,%#?])"
)
_ELAPSED = frozenset({"[h]", "[hh]", "[m]", "[mm]", "[s]", "[ss]"})
_SECTIONS = re.compile(r'(?:"[^"]*"|\\.|\[[^\]]*\]|[^;"\\\[]|["\\\[])*')


@dataclass(frozen=True, slots=True)
class _Section:
    """One part of a code. `pieces`: "0", "#" or "?" for a digit's place, "." for the point, and ` text` for text."""

    pieces: tuple[str, ...]
    whole: int
    decimals: int
    least: int
    """Decimals that are shown even if they are zero."""
    digits: int
    """Digits before the point that are shown even if they are zero."""
    grouped: bool
    shift: int
    """Powers of ten by which the number is multiplied."""
    quantum: Decimal
    """What the number is then rounded to a multiple of."""
    width: int
    """Characters of a number that is shown with zeros before it."""
    around: tuple[str, str] | None
    """The texts before and behind the number, where `_told` is not needed: its digits stand together, and those behind
    the point are all shown."""


def plain(number: float) -> str:
    """As a cell without a format shows it: the noise behind fifteen digits is not in the cell."""
    if number.is_integer() and abs(number) < 10**DIGITS:
        return str(int(number))
    return repr(float(f"{number:.{DIGITS}g}"))


def is_followed(code: str) -> bool:
    """Whether numbers are shown by this code; they are shown plainly by any other."""
    return bool(_sections(code))


def shown(number: float, code: str) -> str:
    """As a cell of this format shows it, on one line; plainly, where the code is not followed."""
    sections = _sections(code)
    if not sections or not abs(number) < 10**DIGITS:
        return plain(number)
    exact = Decimal(f"{number:.{DIGITS}g}")
    section = sections[1 if number < 0 and len(sections) > 1 else 2 if number == 0 and len(sections) > 2 else 0]
    size = _EXACT.quantize(_EXACT.scaleb(abs(exact), section.shift), section.quantum)
    if section.around:
        before, after = section.around
        digits = f"{size:,f}" if section.grouped else f"{size:f}".zfill(section.width)
        told = f"{before}{digits}{after}"
    else:
        told = " ".join("".join(_told(size, section)).split())
    minus = "-" if number < 0 and len(sections) == 1 and size else ""
    return minus + told if told else plain(number)


def _told(size: Decimal, section: _Section) -> Iterator[str]:
    """The section's pieces with a number's digits in their places, all digits before the point in the end."""
    before, _, after = f"{size:f}".partition(".")
    before = before.lstrip("0").rjust(section.digits, "0")
    while len(after) > section.least and after.endswith("0"):
        after = after[:-1]
    place, decimal = section.whole, 0
    for piece in section.pieces:
        if piece.startswith(" "):
            yield piece[1:]
        elif piece == ".":
            yield "." if after else ""
        elif place:
            place -= 1
            highest = len(before) - 1 if place == section.whole - 1 else place
            yield _digits(before, highest, place, grouped=section.grouped)
        else:
            yield after[decimal : decimal + 1]
            decimal += 1


def _digits(text: str, highest: int, lowest: int, *, grouped: bool) -> str:
    """The digits from one place to another, counted from the right; none where the text has none."""
    return "".join(
        text[-1 - place] + ("," if grouped and place and place % 3 == 0 else "")
        for place in range(min(highest, len(text) - 1), lowest - 1, -1)
    )


@lru_cache(512)
def _sections(code: str) -> tuple[_Section, ...]:
    """The code's sections for numbers; none of a code that is not followed."""
    if not 0 < len(code) <= _LONGEST:
        return ()
    found: list[_Section] = []
    for part in _parts(code)[:3]:
        section = _section(part)
        if section is None:
            return ()
        found.append(section)
    return tuple(found)


def _parts(code: str) -> list[str]:
    parts: list[str] = []
    at = 0
    while at <= len(code):
        match = _SECTIONS.match(code, at)
        end = match.end() if match else at
        parts.append(code[at:end])
        at = end + 1
    return parts


def _section(code: str) -> _Section | None:
    pieces: list[str] = []
    at = percents = commas = 0
    grouped = point = False
    whole: list[str] = []
    decimals: list[str] = []
    while at < len(code):
        match = _PIECES.match(code, at)
        if not match or (match["left_out"] or "").lower() in _ELAPSED:
            return None
        at = match.end()
        kind = match.lastgroup or ""
        if kind in ("quoted", "escaped", "literal", "currency"):
            pieces.append(" " + match[kind])
        elif kind == "percent":
            pieces.append(" %")
            percents += 1
        elif kind == "point":
            if point:
                return None
            pieces.append(".")
            point = True
        elif kind == "comma":
            commas += bool(whole or decimals)
        elif kind == "places":
            # A comma between places groups; behind the last one it divides by a thousand.
            if commas and not point:
                grouped, commas = True, 0
            (decimals if point else whole).append(match[kind])
            pieces.append(match[kind])
    if point and not whole:
        pieces.insert(pieces.index("."), "#")
        whole.append("#")
    shift = 2 * percents - 3 * commas
    if len(decimals) > _PLACES or abs(shift) > _PLACES:
        return None
    return _Section(
        tuple(pieces),
        len(whole),
        len(decimals),
        _last_zero(decimals),
        _last_zero(whole[::-1]),
        grouped,
        shift,
        Decimal(1).scaleb(-len(decimals)),
        _last_zero(whole[::-1]) + bool(decimals) + len(decimals),
        _around(pieces) if _is_plain("".join(whole), "".join(decimals), grouped=grouped) else None,
    )


def _around(pieces: list[str]) -> tuple[str, str] | None:
    """The texts before and behind the places, if none is between them."""
    told = re.sub(r"\s+", " ", "".join(piece[1:] if piece.startswith(" ") else "\0" for piece in pieces))
    before, _, rest = told.partition("\0")
    middle, _, after = rest.rpartition("\0")
    return None if middle.strip("\0") else (before.lstrip(), after.rstrip())


def _is_plain(whole: str, decimals: str, *, grouped: bool) -> bool:
    zeros = len(whole) - len(whole.rstrip("0"))
    return zeros > 0 and "0" not in whole[:-zeros] and (zeros == 1 or not grouped) and not decimals.strip("0")


def _last_zero(places: list[str]) -> int:
    """How many places there are until the last one that shows a zero."""
    return max((n for n, place in enumerate(places, 1) if place == "0"), default=0)
