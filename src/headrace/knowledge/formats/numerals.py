"""Numbers of lists as letters and as Roman numerals."""

from __future__ import annotations

_LETTERS = 26
_ROMAN = (
    (1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
    (9, "ix"), (5, "v"), (4, "iv"), (1, "i"),
)  # fmt: skip


def numeral(value: int, kind: str) -> str:
    """`kind`: 1, a, A, i or I, as HTML and OpenDocument name them. What has no such form is written in digits."""
    if value > 0 and kind in ("a", "A"):
        text = _letters(value)
    elif 0 < value < 4000 and kind in ("i", "I"):
        text = _roman(value)
    else:
        return str(value)
    return text.upper() if kind.isupper() else text


def _letters(value: int) -> str:
    """a to z, aa to zz, as columns of a sheet are called."""
    text = ""
    while value:
        value, rest = divmod(value - 1, _LETTERS)
        text = chr(ord("a") + rest) + text
    return text


def _roman(value: int) -> str:
    text = ""
    for worth, letters in _ROMAN:
        times, value = divmod(value, worth)
        text += letters * times
    return text
