"""Chunks with vectors that lie as a sentence model's do: in clusters, and in few directions more than in others."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.texts import told, vocabulary
from headrace.change import Position, Stamp
from headrace.knowledge.terms import bag
from headrace.stores.knowledge import ChunkDraft, DocumentDraft

DIMENSIONS = 384
CHUNKS = 10
"""Of a document."""
FEW = 100
"""One document in so many is of the source `few`."""
LEVELS = ((6, 0.65), (5, 0.75), (9, 1.0), (CHUNKS, 0.9))
"""A tree of topics, the last level the chunks of a document: how many of each are of one above, and how far from it.

With these, chunks lie as 2,700 of real texts did with all-MiniLM-L6-v2: local intrinsic dimension 9, similarity 0.79 to
the nearest and 0.5 to the tenth, participation ratio of the covariance 60.
"""
_SPREAD = (np.arange(1, DIMENSIONS + 1) ** -0.3).astype(np.float32)
WORDS = 60
"""Of a chunk: half of them as often as in English, half of one of many more."""
_RARE = [f"{one}{other}" for one, other in zip(vocabulary(5), vocabulary(7), strict=True)]
AWAY = np.float32(0.8)
"""How far a question lies from what it asks for."""

Vectors = NDArray[np.float32]


class Clustered:
    """Seeded: the same number of documents gives the same chunks."""

    def __init__(self, documents: int, seed: int = 5) -> None:
        self.documents = documents
        made = _tree(documents * CHUNKS, np.random.default_rng(seed))
        self.vectors: Vectors = made.astype(np.float16).astype(np.float32)
        """As the store keeps them, chunk by chunk."""

    def source(self, document: int) -> str:
        return "few" if document % FEW == 0 else "many"

    def texts(self, document: int) -> Sequence[str]:
        pick = random.Random(document)
        return [told(pick, WORDS // 2) + " " + " ".join(pick.choices(_RARE, k=WORDS // 2)) for _ in range(CHUNKS)]

    def drafts(self, at_once: int) -> Iterator[list[DocumentDraft]]:
        for start in range(0, self.documents, at_once):
            yield [self._draft(n) for n in range(start, min(start + at_once, self.documents))]

    def _draft(self, number: int) -> DocumentDraft:
        source, texts = self.source(number), self.texts(number)
        chunks: list[ChunkDraft] = []
        start = 0
        for n, text in enumerate(texts):
            words, vector = bag(text), self.vectors[number * CHUNKS + n]
            digest = hashlib.sha256(text.encode()).digest()
            end = start + len(text)
            chunks.append(ChunkDraft(n, text, start, end, "", words.terms, words.counts, words.length, digest, vector))
            start = end + 2
        at = 1_700_000_000_000_000 + number * 1_000_000
        stamp = Stamp(source, Position(number + 1), at)
        whole = "\n\n".join(texts)
        digest = hashlib.sha256(whole.encode()).hexdigest()
        return DocumentDraft(f"{source}/d{number}", source, stamp, digest, f"d{number}", whole, chunks)

    def questions(self, count: int, seed: int = 6) -> list[tuple[str, NDArray[np.float32]]]:
        """Words of a chunk, and a vector not far from its own."""
        rng, pick = np.random.default_rng(seed), random.Random(seed)
        found: list[tuple[str, NDArray[np.float32]]] = []
        for chunk in map(int, rng.integers(0, len(self.vectors), count)):
            document, n = divmod(chunk, CHUNKS)
            words = " ".join(pick.sample(self.texts(document)[n].split(), 6))
            noise = rng.standard_normal(DIMENSIONS, np.float32) * _SPREAD
            vector = self.vectors[chunk] + AWAY * noise / np.linalg.norm(noise)
            found.append((words, (vector / np.linalg.norm(vector)).astype(np.float32)))
        return found


def _tree(count: int, rng: np.random.Generator) -> Vectors:
    """Unit vectors, chunk by chunk; those of a document follow each other."""
    sizes = [count]
    for fan, _ in reversed(LEVELS):
        sizes.insert(0, max(1, sizes[0] // fan))
    made = np.zeros((sizes[0], DIMENSIONS), np.float32)
    for size, (_, away) in zip(sizes[1:], LEVELS, strict=True):
        above = np.arange(size) // CHUNKS if size == count else rng.integers(0, len(made), size)
        step = rng.standard_normal((size, DIMENSIONS), np.float32) * _SPREAD
        step *= rng.lognormal(0, 0.35, (size, 1)).astype(np.float32) * np.float32(away)
        made = made[above] + step
    made[:, 0] += np.float32(0.5)
    return made / np.linalg.norm(made, axis=1, keepdims=True)
