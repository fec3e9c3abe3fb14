"""Words and meaning in one score.

Both searches bring candidates; every candidate then has both its scores, and each is measured by how it stands out of
the whole corpus for this very query: a number of standard deviations. A query whose words are rare weighs its words,
one to which everything is equally near weighs its vectors little, and one whose words stand nowhere together, as it
says the same in others, weighs its words little. After Bruch, Gai and Ingber, "An Analysis of Fusion
Functions for Hybrid Retrieval" (2023): a convex sum is better than ranks, and robust when what it sums is normalised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headrace.stores.knowledge import HYBRID, Blend
from headrace.stores.postgres.lexical import Ids, Scores

WEIGHT = 0.3
"""The vectors' part where the query's words are found together; where they are not, it grows. See docs/search.md."""
RANKED_FROM = 60
"""As in Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion" (2009)."""
HALF = 5.0
"""So many deviations above the corpus give a score of one half."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How the scores of a whole corpus lie for one query."""

    mean: float
    deviation: float

    def of(self, scores: Scores) -> Scores:
        return (scores - self.mean) / self.deviation if self.deviation > 0 else scores - self.mean


FLAT = Spread(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Candidates:
    """What one search found, best first."""

    ids: Ids
    scores: Scores


def lexical_spread(scores: Scores, chunks: int) -> Spread:
    """Of BM25 over the whole corpus: chunks without any of the words have 0."""
    if chunks <= 0 or not len(scores):
        return FLAT
    mean = float(scores.sum()) / chunks
    square = float(np.square(scores).sum()) / chunks
    return Spread(mean, float(np.sqrt(max(square - mean * mean, 0.0))))


def spread(scores: Scores) -> Spread:
    """Rounded, so that it is the same however it is summed up."""
    return Spread(round(float(scores.mean()), 6), round(float(scores.std()), 6)) if len(scores) else FLAT


@dataclass(frozen=True, slots=True)
class Found:
    """What both searches found for a query.

    `both`: all candidates, ascending; `words` and `meaning`: their BM25 and their similarity; `spreads`: of both over
    the corpus; `together`: what share of the query the best lexical candidate holds (`lexical.held`).
    """

    lexical: Candidates
    nearest: Candidates
    both: Ids
    words: Scores
    meaning: Scores
    spreads: tuple[Spread, Spread]
    together: float


def fuse(found: Found, blend: Blend = HYBRID) -> list[tuple[int, float]]:
    """Ids with scores between 0 and 1, best first, ties by id."""
    lexical, nearest, both, spreads = found.lexical, found.nearest, found.both, found.spreads
    if blend.retriever == "lexical" or (blend.retriever != "vector" and not len(nearest.ids)):
        return _ranked(lexical.ids, _squashed(spreads[0].of(lexical.scores)))
    if blend.retriever == "vector" or not len(lexical.ids):
        return _ranked(nearest.ids, _squashed(spreads[1].of(nearest.scores)))
    if blend.retriever == "rank":
        ranks = [_by_rank(both, of.ids) for of in (lexical, nearest)]
        return _ranked(both, (ranks[0] + ranks[1]) * (RANKED_FROM + 1) / 2)
    weight = WEIGHT if blend.weight is None else blend.weight
    words = (1 - weight) * found.together**2 * spreads[0].of(found.words)
    return _ranked(both, _squashed(words + weight * spreads[1].of(found.meaning)))


def _by_rank(all_ids: Ids, found: Ids) -> Scores:
    places = {id: 1 / (RANKED_FROM + n) for n, id in enumerate(found.tolist(), start=1)}
    return np.array([places.get(id, 0.0) for id in all_ids.tolist()], np.float64)


def _squashed(deviations: Scores) -> Scores:
    """0..1, in the same order: half at HALF deviations."""
    return (1 + np.tanh((deviations - HALF) / (2 * HALF))) / 2


def _ranked(ids: Ids, scores: Scores) -> list[tuple[int, float]]:
    pairs = zip(ids.tolist(), scores.tolist(), strict=True)
    return sorted(pairs, key=lambda item: (-item[1], item[0]))
