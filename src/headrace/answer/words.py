"""Words as questions and sources share them: tokens, stems, stop words, synonyms of plain English."""

from __future__ import annotations

import re
from functools import lru_cache

from headrace.answer.english import FORMS, GENERAL, NUMBERS, STOP, SYNONYMS
from headrace.stemming import stemmed

Stems = frozenset[str]
"""Stems of words, without order."""

TOKEN = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![^\W_])|[^\W_]+(?:['’](?=[^\W\d_])[^\W_]+|\.(?=\d)[^\W_]+)*")
_CODE = re.compile(r"(?:(?=[^\W_]*\d)(?=\d*[^\W\d_])[^\W_]{3,}|v?\d+(?:\.\d+){2,})$", re.I)
_SIZE = re.compile(
    r"\d+(?:st|nd|rd|th|am|pm|h|s|ms|kg|g|mg|lb|lbs|oz|km|m|cm|mm|kb|mb|gb|tb|k|x|w|v|hz|ghz|mhz|d)$", re.I
)

_NUMBERS = {word: str(n) for n, word in enumerate(NUMBERS.split())} | {
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "sixty": "60",
    "ninety": "90",
    "hundred": "100",
}


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """A token's normal form: lower case, possessive off, number words as digits, English stem."""
    low = word.casefold().replace("’", "'")
    if low.endswith("'s") and len(low) > 2:
        low = low[:-2]
    if low[:1].isdigit():
        plain = low.replace(",", "")
        return plain.rstrip("0").rstrip(".") if "." in plain and plain.replace(".", "", 1).isdigit() else plain
    return _NUMBERS.get(low) or stemmed(low)


@lru_cache(maxsize=100_000)
def is_stop(word: str) -> bool:
    """Whether a word says nothing about the topic; a capital alone (`size M`) does."""
    if len(word) == 1 and word.isupper():
        return word in "AI"
    return word.casefold().replace("’", "'") in STOP


_GENERAL_STEMS = frozenset(stem(w) for w in GENERAL)


def is_general(root: str) -> bool:
    """Whether a stem merely asks (`many`, `take`) rather than names a thing."""
    return root in _GENERAL_STEMS


def _grouped(lists: str) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for line in lists.strip().splitlines():
        group = {stem(w) for w in TOKEN.findall(line)}
        for s in group:
            found.setdefault(s, set()).update(group - {s})
    return {s: frozenset(others) for s, others in found.items()}


_FORMS = _grouped(FORMS)
_SYNONYMS = _grouped(SYNONYMS + FORMS)
_NONE: Stems = frozenset()


def synonyms(stemmed: str) -> Stems:
    """Stems that may stand for this one in plain English."""
    return _SYNONYMS.get(stemmed, _NONE)


def forms(stemmed: str) -> Stems:
    """Stems of other forms of the same word."""
    return _FORMS.get(stemmed, _NONE)


def stems(text: str) -> list[str]:
    """The stems of a text's words that are no stop words, in order."""
    return [stem(w) for w in TOKEN.findall(text) if not is_stop(w)]


@lru_cache(maxsize=8192)
def stem_set(text: str) -> frozenset[str]:
    """The distinct stems of a text's words that are no stop words."""
    return frozenset(stems(text))


@lru_cache(maxsize=100_000)
def is_code(word: str) -> bool:
    """Whether a token looks like an identifier: letters and digits mixed (`HAT170`) or a version of three numbers.

    Sizes and ordinals (`22nd`, `30kg`) are none.
    """
    return bool(_CODE.match(word)) and not _SIZE.match(word)
