"""Numbers of an ordered list's items."""

from __future__ import annotations

from lxml.html import HtmlElement

from headrace.knowledge.formats.numerals import numeral

_DIGITS = 9
"""A number of more is none in Markdown either (CommonMark 0.31.2, 5.2)."""


class Numbers:
    """As a browser counts them (HTML 4.4.5 and 4.4.8): from `start`, an item's `value` on, backwards if `reversed`."""

    def __init__(self, ordered: HtmlElement) -> None:
        backwards = ordered.get("reversed") is not None
        first = sum(1 for item in ordered if item.tag == "li") if backwards else 1
        self._next = _whole(ordered.get("start"), first)
        self._step = -1 if backwards else 1
        self._kind = ordered.get("type") or ""

    def mark(self, item: HtmlElement) -> str:
        """What stands before an item, which is then counted."""
        number = _whole(item.get("value"), self._next)
        self._next = number + self._step
        return f"{numeral(number, self._kind)}. "


def _whole(text: str | None, otherwise: int) -> int:
    text = (text or "").strip()
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS else otherwise
