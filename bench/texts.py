"""Documents whose chunks are known beforehand: sections of English words, each a chunk by itself."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path
from pydoc_data.topics import topics

SECTIONS = 10
WORDS = range(95, 116)
"""Of a section: more than half of a chunk's tokens, so that no two go into one, and less than all."""
PER_FOLDER = 100

_VOCABULARY = re.findall(r"\b[a-z]{2,12}\b", " ".join(text for _, text in sorted(topics.items())))
"""Words as often as they stand in Python's own reference, which comes with it."""


def sections(number: int) -> Sequence[str]:
    """A document's sections, each with its heading; no two alike."""
    pick = random.Random(number)
    return [f"## Section {number} {n}\n\n{told(pick, pick.choice(WORDS))}" for n in range(SECTIONS)]


def told(pick: random.Random, count: int) -> str:
    """So many words in sentences."""
    words = pick.choices(_VOCABULARY, k=count)
    sentences = [" ".join(words[n : n + 12]).capitalize() + "." for n in range(0, len(words), 12)]
    return " ".join(sentences)


def vocabulary(seed: int, count: int = 30_000) -> list[str]:
    """Some of the words, each as often as any other."""
    return random.Random(seed).choices(sorted(set(_VOCABULARY)), k=count)


def write(folder: Path, documents: int, *, first: int = 0) -> None:
    """`documents` files of `SECTIONS` chunks each, from the number `first` on."""
    for number in range(first, first + documents):
        path = folder / f"part{number // PER_FOLDER:03d}" / f"document{number:06d}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n\n".join(sections(number)) + "\n", encoding="utf-8")
