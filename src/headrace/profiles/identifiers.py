"""Identifiers: `type:value`, normalised so that equal ones are equal text."""

from __future__ import annotations

import re
import unicodedata

_NOT_DIGITS = re.compile(r"[^0-9]")
_SPACES = re.compile(r"\s+")


def identifier(kind: str, value: str) -> str | None:
    """`email:ada@example.com`; None when nothing is left of the value.

    E-mail addresses are case-folded, phone numbers keep their digits (and a leading +), everything else keeps its
    case: `user_id:Ab` and `user_id:ab` are two users unless the source says otherwise.
    """
    text = _SPACES.sub(" ", unicodedata.normalize("NFKC", value)).strip()
    if "email" in kind or "e_mail" in kind:
        text = text.casefold()
    elif "phone" in kind or "mobile" in kind:
        digits = _NOT_DIGITS.sub("", text)
        text = ("+" + digits if text.startswith("+") else digits) if digits else ""
    return f"{kind}:{text}" if text else None


def normalise(text: str) -> str:
    """An identifier as a client writes it (`email:Ada@Example.com`), normalised; anything else is returned as it is."""
    kind, colon, value = text.partition(":")
    return (identifier(kind, value) or text) if colon else text
