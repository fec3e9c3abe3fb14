"""What Word's own styles are called, in the languages in which files name them."""

from __future__ import annotations

import re

_HEADING = re.compile(r"(?:heading|überschrift|titre|título|titolo) ?([1-9])", re.IGNORECASE)
_TITLES = frozenset({"title", "titel", "titre", "título", "titolo"})


def level_of(style: str) -> int | None:
    """The level of the headings that a style is for, 0 for the document's title, None for other text."""
    if style.lower() in _TITLES:
        return 0
    heading = _HEADING.fullmatch(style)
    return int(heading[1]) if heading else None
