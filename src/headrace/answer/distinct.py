"""Passages that say the same, word for word or nearly: shown once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from headrace.stores import Passage

SHINGLE = 3
"""Words that overlap together."""
ALIKE = 0.85
"""Share of shingles in common from which on two passages are one, when no number and no name differs."""
SHORT = 12
"""Words below which a text says what it says only under its heading."""

_WORD = re.compile(r"\w+(?:['’.,:/-]\w+)*")


@dataclass(frozen=True, slots=True)
class _Print:
    """What is compared: shingles, and the words that must not differ."""

    shingles: frozenset[tuple[str, ...]]
    telling: frozenset[str]


def distinct(passages: Sequence[Passage], most: int) -> list[Passage]:
    """The first `most` that differ; each names the chunks that say the same and were left out."""
    kept: list[Passage] = []
    holders: dict[tuple[str, ...], list[int]] = {}
    prints: list[_Print] = []
    left_out: dict[int, list[str]] = {}
    for passage in passages:
        made = _print(passage.heading if len(passage.text) < SHORT * 12 else "", passage.text)
        same = _same(made, prints, holders)
        if same is not None:
            left_out.setdefault(same, []).append(passage.chunk)
        elif len(kept) < most:
            for shingle in made.shingles:
                holders.setdefault(shingle, []).append(len(kept))
            kept.append(passage)
            prints.append(made)
    for n, chunks in left_out.items():
        kept[n] = replace(kept[n], duplicates=tuple(chunks))
    return kept


def _same(made: _Print, prints: Sequence[_Print], holders: dict[tuple[str, ...], list[int]]) -> int | None:
    """Which of the kept passages says the same."""
    shared = Counter(n for shingle in made.shingles for n in holders.get(shingle, ()))
    for n, common in shared.most_common(3):
        other = prints[n]
        if common >= ALIKE * (len(made.shingles) + len(other.shingles) - common) and made.telling == other.telling:
            return n
    return None


@lru_cache(maxsize=2048)
def _print(heading: str, text: str) -> _Print:
    spoken = _WORD.findall(text)
    words = [w.casefold() for w in spoken]
    if len(words) < SHORT:
        words = [*heading.casefold().split(), "›", *words]
    count = max(1, len(words) - SHINGLE + 1)
    shingles = frozenset(tuple(words[i : i + SHINGLE]) for i in range(count))
    # What makes a template's copies different things: numbers, codes and names.
    telling = frozenset(w for w in spoken if not w.islower())
    return _Print(shingles, frozenset(w.casefold() for w in telling))
