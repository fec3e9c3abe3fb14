"""Text that could be Windows-1252: what Excel and old programs write in Western Europe.

Nearly any bytes are some text in Windows-1252, so that a text could only be it when it could be written so by hand:
letters of one language group, alone between plain ones, and signs where signs stand. A short text of another language
may be so as well; `charsets` decides.
"""

from __future__ import annotations

import re

# Signs that stand beside words and numbers, and never between two letters of one.
_SIGNS = frozenset("€£§©®™°ºª«»‹›„“”‘…–—•·¡¿½¼¾²³±×¢¥\xa0\xad")
_SPECIAL = re.compile(r"[^\x00-\x7f]")
# What stands between letters, but for an apostrophe and Catalan's dot, is a letter of another encoding.
_INSIDE = re.compile(r"[^\W\d_][§©®™°ºª¡¿½¼¾²³±×¢£¥€„«»‹›•…]+[^\W\d_]")
_MANY = re.compile(r"[\x80-\U0010ffff]{3}")
_GROUPS = tuple(
    frozenset(letters + letters.upper().replace("SS", ""))
    for letters in ("äöüßéèêàç", "àâæçèéêëîïôœùûüñ", "áéíóúüñçàèìòùïâêôãõ", "åäöæøéü")
)
SHARE = 3
"""One letter in so many is none of ASCII's, at most."""
FEWEST = 16
"""Letters without which nothing is certain."""


def western(content: bytes) -> str | None:
    """The text that some bytes are in Windows-1252, if it could be written so."""
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError:
        return None
    special = set(_SPECIAL.findall(text)) - {"’"}
    letters = special - _SIGNS
    if not any(letters <= group for group in _GROUPS) or _MANY.search(text) or _INSIDE.search(text):
        return None
    written = sum(map(str.isalpha, text))
    plain = written >= FEWEST and sum(map(text.count, letters)) * SHARE <= written
    return text if plain else None
