"""Words to terms: folded, stemmed, hashed. The same for chunks and for queries."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import chain

import numpy as np

from headrace.stemming import stemmed
from headrace.stores.values import Counts, Terms

VERSION = 1
"""Raised when the same text may come to other terms."""
_WORD = re.compile(r"\w+(?:['’][^\W\d_]+)?")
# runTarget, HTTPServer; not HAT170, utf8 or GPUs.
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")
KEPT = 200_000
"""Of so many words, each with the marks around it, the terms are remembered."""
LONG = 64
"""Characters from which on what stands between blanks is seldom seen twice."""
ASKED = 50_000
"""So many of the words that were looked at one by one, as those of a query."""

STOP = frozenset(
    """
    a an and are as at be been but by can did do does for from had has have how i if in is it its me my no not of on
    or our so that the their them then there these they this to up us was we were what when where which who why will
    with would you your
    """.split()
)


@dataclass(frozen=True, slots=True)
class Bag:
    """Distinct terms ascending, how often each occurs, and the number of words."""

    terms: Terms
    counts: Counts
    length: int


def words(text: str) -> list[str]:
    """A text's words, compatibility-folded and lower-cased, in order; of an identifier its parts and then the whole."""
    return [part for word in _WORD.findall(unicodedata.normalize("NFKC", text)) for part in _parts(word)]


@lru_cache(ASKED)
def _parts(word: str) -> tuple[str, ...]:
    folded = word.casefold().replace("’", "'")
    pieces = [p for p in word.split("_") if p]
    if len(pieces) == 1 and (word[1:].islower() or not word.isascii()):
        return (folded.strip("_"),)
    parts = [p.casefold().replace("’", "'") for piece in pieces for p in _HUMP.split(piece)]
    return tuple(parts) if len(parts) < 2 else (*parts, folded.strip("_"))


@lru_cache(ASKED)
def term(word: str) -> int:
    """The term of a folded word: a signed 64-bit hash of its English stem (a code or number is its own stem)."""
    stem = word.removesuffix("'s")
    if stem.isascii() and stem.isalpha():
        stem = stemmed(stem)
    return int.from_bytes(blake2b(stem.encode(), digest_size=8).digest(), "little", signed=True)


class _Seen(dict[str, tuple[int, ...]]):
    """The terms of what stands between two blanks, as it stands in a text."""

    def __missing__(self, part: str) -> tuple[int, ...]:
        terms = tuple(map(term, words(part)))
        if len(part) < LONG:
            if len(self) >= KEPT:
                self.clear()
            self[part] = terms
        return terms


_terms_of = _Seen().__getitem__


def bag(text: str) -> Bag:
    """A chunk's terms. No word goes on over a blank, so that a text's words are those of its parts."""
    found = [*chain.from_iterable(map(_terms_of, text.split()))]
    terms, counts = np.unique(np.fromiter(found, np.int64, len(found)), return_counts=True)
    return Bag(terms, np.minimum(counts, 0xFFFF).astype(np.uint16), len(found))


def query_terms(text: str) -> Terms:
    """A query's distinct terms; words that stand in every text count only when there are no others."""
    found = words(text)
    telling = [w for w in found if w not in STOP] or found
    return np.array(sorted({term(w) for w in telling}), np.int64)
