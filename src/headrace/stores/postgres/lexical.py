"""BM25 over packed postings, in numpy.

Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), equation 3.15.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Scores = NDArray[np.float64]

# Chunks are short and nearly equally long: how often a word stands there, and how long they are, says less than of
# whole documents (K1 1.2, B 0.75).
K1 = 0.6
B = 0.4
BLOCK = 64
SPARSE = 16
"""Numbers so much further apart than there are are sorted to be summed."""
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Posting:
    """Where one term stands: chunk ids with the term's count and the chunk's length there."""

    ids: Ids
    counts: NDArray[np.uint16]
    lengths: NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Recent:
    """One chunk that is not yet packed."""

    id: int
    terms: NDArray[np.int64]
    counts: NDArray[np.uint16]
    length: int


@dataclass(frozen=True, slots=True)
class Postings:
    """One entry per (term, chunk), in any order."""

    terms: NDArray[np.int64]
    ids: Ids
    counts: NDArray[np.uint16]
    lengths: NDArray[np.uint16]

    @classmethod
    def of(cls, chunks: Sequence[Recent]) -> Postings:
        sizes = [len(c.terms) for c in chunks]
        return cls(
            np.concatenate([_NONE, *(c.terms for c in chunks)]),
            np.repeat(np.array([c.id for c in chunks], np.int64), sizes),
            np.concatenate([_NONE.astype(np.uint16), *(c.counts for c in chunks)]),
            np.repeat(np.array([min(c.length, 0xFFFF) for c in chunks], np.uint16), sizes),
        )

    @classmethod
    def joined(cls, some: Sequence[Postings]) -> Postings:
        return cls(
            np.concatenate([p.terms for p in some]),
            np.concatenate([p.ids for p in some]),
            np.concatenate([p.counts for p in some]),
            np.concatenate([p.lengths for p in some]),
        )

    def where(self, places: NDArray[np.bool_] | NDArray[np.intp]) -> Postings:
        """Those at some places, in their order."""
        return Postings(self.terms[places], self.ids[places], self.counts[places], self.lengths[places])

    def by_term(self) -> Postings:
        return self.where(np.argsort(self.terms))


def gather(
    packed: Sequence[tuple[int, Posting]], recent: Sequence[tuple[int, Posting]], terms: Sequence[int], dead: Ids
) -> dict[int, Posting]:
    """Each query term's postings among present chunks: packed ones without the dead, and the recent ones."""
    parts: dict[int, list[Posting]] = {t: [] for t in terms}
    for term, posting in packed:
        parts[term].append(_alive(posting, dead))
    for term, posting in recent:
        parts[term].append(posting)
    return {t: _joined(p) for t, p in parts.items() if p}


def holding(postings: Postings, terms: Sequence[int]) -> list[tuple[int, Posting]]:
    """The postings of some terms; these come by term."""
    wanted = np.asarray(terms, np.int64)
    starts = np.searchsorted(postings.terms, wanted).tolist()
    ends = np.searchsorted(postings.terms, wanted, "right").tolist()
    return [
        (term, Posting(postings.ids[a:b], postings.counts[a:b], postings.lengths[a:b]))
        for term, a, b in zip(terms, starts, ends, strict=True)
        if a < b
    ]


def unpacked(chunks: Sequence[Recent], terms: Sequence[int]) -> list[tuple[int, Posting]]:
    """The postings of some terms in chunks that no search remembers."""
    every = Postings.of(chunks)
    return holding(every.where(np.isin(every.terms, np.asarray(terms, np.int64))).by_term(), terms)


def unpack(ids: bytes, counts: bytes, lengths: bytes) -> Posting:
    """A packed row: little-endian int64 ids, uint16 counts and lengths."""
    return Posting(np.frombuffer(ids, "<i8"), np.frombuffer(counts, "<u2"), np.frombuffer(lengths, "<u2"))


def score(postings: Mapping[int, Posting], chunks: int, tokens: int) -> tuple[Ids, Scores]:
    """BM25 of every chunk that holds one of the terms: ids ascending, with their scores."""
    if not postings or chunks <= 0:
        return np.empty(0, np.int64), np.empty(0, np.float64)
    average = max(tokens / chunks, 1.0)
    ids = np.concatenate([p.ids for p in postings.values()])
    weights = np.concatenate([_weights(p, chunks, average) for p in postings.values()])
    first, last = (int(ids.min()), int(ids.max())) if len(ids) else (0, -1)
    if 0 <= last - first < SPARSE * len(ids):  # numbered densely: no need to sort them
        places = ids - first
        summed = np.bincount(places, weights=weights)
        found = np.zeros(len(summed), bool)
        found[places] = True
        present = np.flatnonzero(found)
        return (present + first).astype(np.int64), summed[present].astype(np.float64)
    unique, inverse = np.unique(ids, return_inverse=True)
    return unique, np.bincount(inverse, weights=weights, minlength=len(unique)).astype(np.float64)


def held(postings: Mapping[int, Posting], terms: Sequence[int], chunks: int, ids: Ids) -> float:
    """What share of a query's words, each by how rare it is, the one of some chunks that holds most of them holds.

    A word that a chunk lacks counts no more than the rarest that it holds: a word of everyday speech ("still") is rare
    where all chunks are rows, and would outweigh the very number that was asked for.
    """
    found = [postings.get(term) for term in terms]
    rarity = np.array([_rarity(len(p.ids) if p else 0, chunks) for p in found], np.float64)
    shares = [_share(rarity, np.array([bool(p and (p.ids == id).any()) for p in found], bool)) for id in ids.tolist()]
    return max(shares, default=0.0)


def _share(rarity: Scores, holds: NDArray[np.bool_]) -> float:
    """`holds`: which of the words of these rarities a chunk holds."""
    if not holds.any():
        return 0.0
    within = float(rarity[holds].sum())
    return within / (within + float(np.minimum(rarity[~holds], rarity[holds].max()).sum())) if within else 0.0


def best(ids: Ids, scores: Scores, k: int) -> tuple[Ids, Scores]:
    """The k highest, best first; equal scores by id, so that the order is always the same."""
    if len(ids) > BLOCK * k:  # a k-th best block's best is no better than the k-th best of all
        tops = np.maximum.reduceat(scores, np.arange(0, len(scores), BLOCK))
        keep = scores >= np.partition(tops, len(tops) - k)[len(tops) - k]
        ids, scores = ids[keep], scores[keep]
    if len(ids) > k:
        floor = np.partition(scores, len(scores) - k)[len(scores) - k]
        keep = scores >= floor
        ids, scores = ids[keep], scores[keep]
    order = np.lexsort((ids, -scores))[:k]
    return ids[order], scores[order]


def _weights(posting: Posting, chunks: int, average: float) -> Scores:
    counts = posting.counts.astype(np.float64)
    return (
        _rarity(len(posting.ids), chunks) * counts * (K1 + 1) / (counts + K1 * (1 - B + B * posting.lengths / average))
    )


def _rarity(found: int, chunks: int) -> float:
    return float(np.log1p((max(chunks - found, 0) + 0.5) / (found + 0.5)))


def _alive(posting: Posting, dead: Ids) -> Posting:
    """`dead` ascends, as the posting's ids do."""
    if not len(dead):
        return posting
    places = np.minimum(np.searchsorted(posting.ids, dead), len(posting.ids) - 1)
    places = places[posting.ids[places] == dead]
    if not len(places):
        return posting
    return Posting(
        np.delete(posting.ids, places), np.delete(posting.counts, places), np.delete(posting.lengths, places)
    )


def _joined(parts: Sequence[Posting]) -> Posting:
    if len(parts) == 1:
        return parts[0]
    return Posting(
        np.concatenate([p.ids for p in parts]),
        np.concatenate([p.counts for p in parts]),
        np.concatenate([p.lengths for p in parts]),
    )
