"""Passages that say the same, word for word or nearly: shown once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from headrace.stores.knowledge import Passage

SHINGLE = 3
"""Words that overlap together."""
ALIKE = 0.85
"""Share of shingles in common from which on two passages are one, when no number and no name differs."""
SHORT = 12
"""Words below which a text says what it says only under its heading."""

_WORD = re.compile(r"\w+(?:['’.,:/-]\w+)*")


Shingles = frozenset[tuple[str, ...]]


def distinct(passages: Sequence[Passage], most: int) -> list[Passage]:
    """The first `most` that differ; each names the chunks that say the same and were left out."""
    kept: list[Passage] = []
    alike: dict[frozenset[str], list[int]] = {}  # by what must not differ
    left_out: dict[int, list[str]] = {}
    for passage in passages:
        others = alike.setdefault(_telling(passage.text), [])
        same = next((n for n in others if _same(kept[n], passage)), None)
        if same is not None:
            left_out.setdefault(same, []).append(passage.chunk)
        elif len(kept) < most:
            others.append(len(kept))
            kept.append(passage)
    for n, chunks in left_out.items():
        kept[n] = replace(kept[n], duplicates=tuple(chunks))
    return kept


def _same(a: Passage, b: Passage) -> bool:
    one, other = _shingles(a.heading, a.text), _shingles(b.heading, b.text)
    return len(one & other) >= ALIKE * len(one | other)


@lru_cache(maxsize=2048)
def _telling(text: str) -> frozenset[str]:
    """What makes a template's copies different things: numbers, codes and names."""
    return frozenset(w.casefold() for w in _WORD.findall(text) if not w.islower())


@lru_cache(maxsize=2048)
def _shingles(heading: str, text: str) -> Shingles:
    words = [w.casefold() for w in _WORD.findall(text)]
    if len(words) < SHORT:
        words = [*heading.casefold().split(), "›", *words]
    count = max(1, len(words) - SHINGLE + 1)
    return frozenset(tuple(words[i : i + SHINGLE]) for i in range(count))
