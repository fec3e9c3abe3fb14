"""BM25 over packed postings against the formula written out, packing, merging."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.stores.postgres.compact import FAN_IN, packed, similar
from headrace.stores.postgres.lexical import (
    K1,
    B,
    Posting,
    Postings,
    Recent,
    best,
    gather,
    held,
    score,
    unpack,
    unpacked,
)

Chunk = dict[int, int]
"""Term -> how often it stands in the chunk."""
TERMS = [-(2**63), -5, 0, 3, 2**63 - 1]
chunks = st.lists(st.dictionaries(st.sampled_from(TERMS), st.integers(1, 9), min_size=1), min_size=1, max_size=12)


def naive(corpus: dict[int, Chunk], query: Sequence[int]) -> dict[int, float]:
    """BM25 as its equation reads, chunk by chunk."""
    average = sum(sum(c.values()) for c in corpus.values()) / len(corpus)
    found: dict[int, float] = {}
    for id, chunk in corpus.items():
        for term in query:
            if term in chunk:
                holding = sum(term in other for other in corpus.values())
                idf = math.log(1 + (len(corpus) - holding + 0.5) / (holding + 0.5))
                count, length = chunk[term], sum(chunk.values())
                weight = count * (K1 + 1) / (count + K1 * (1 - B + B * length / average))
                found[id] = found.get(id, 0.0) + idf * weight
    return found


def recent(id: int, chunk: Chunk) -> Recent:
    terms = np.array(sorted(chunk), np.int64)
    counts = np.array([chunk[t] for t in sorted(chunk)], np.uint16)
    return Recent(id, terms, counts, sum(chunk.values()))


def found_in(corpus: dict[int, Chunk], terms: list[int]) -> dict[int, Posting]:
    fresh = [recent(n, c) for n, c in corpus.items()]
    return gather([], unpacked(fresh, terms), terms, np.empty(0, np.int64))


def postings(corpus: dict[int, Chunk]) -> Postings:
    rows = [(t, id, n, sum(c.values())) for id, c in corpus.items() for t, n in c.items()]
    return Postings(
        np.array([r[0] for r in rows], np.int64),
        np.array([r[1] for r in rows], np.int64),
        np.array([r[2] for r in rows], np.uint16),
        np.array([r[3] for r in rows], np.uint16),
    )


@given(chunks, st.data())
def test_scores_are_bm25_however_the_postings_are_kept(made: list[Chunk], data: st.DataObject) -> None:
    corpus = dict(enumerate(made, start=1))
    where = data.draw(st.lists(st.sampled_from(["one", "two", "recent"]), min_size=len(made), max_size=len(made)))
    ended = {100 + n: dict.fromkeys(TERMS, 2) for n in range(data.draw(st.integers(0, 3)))}
    query = data.draw(st.lists(st.sampled_from(TERMS), min_size=1, max_size=4, unique=True))
    placed = list(zip(corpus.items(), where, strict=True))
    segments = [{id: c for (id, c), w in placed if w == name} for name in ("one", "two")]
    segments[0] |= ended
    rows = [(t, unpack(*content)) for s in segments if s for t, *content in packed(postings(s)) if t in query]
    fresh = [recent(id, c) for (id, c), w in placed if w == "recent"]

    found = gather(rows, unpacked(fresh, query), query, np.array(sorted(ended), np.int64))
    ids, scores = score(found, len(corpus), sum(sum(c.values()) for c in corpus.values()))

    expected = naive(corpus, query)
    assert ids.tolist() == sorted(expected)
    assert scores.tolist() == pytest.approx([expected[id] for id in ids.tolist()])


def test_nothing_is_found_in_nothing() -> None:
    for ids, scores in (score({}, 10, 100), score({}, 0, 0), score(gather([], [], [3], np.empty(0, np.int64)), 5, 50)):
        assert (len(ids), len(scores)) == (0, 0)


@given(chunks)
def test_packed_postings_read_back(made: list[Chunk]) -> None:
    corpus = dict(enumerate(made, start=1))

    rows = packed(postings(corpus))

    assert [r[0] for r in rows] == sorted({t for c in made for t in c})
    for term, ids, counts, lengths in rows:
        posting = unpack(ids, counts, lengths)
        holding = {id: c for id, c in corpus.items() if term in c}
        assert posting.ids.tolist() == sorted(holding)
        assert posting.counts.tolist() == [holding[id][term] for id in sorted(holding)]
        assert posting.lengths.tolist() == [sum(holding[id].values()) for id in sorted(holding)]


def test_a_very_long_chunk_counts_as_long_as_its_type_holds() -> None:
    chunk = Recent(1, np.array([3], np.int64), np.array([5], np.uint16), 200_000)

    (posting,) = gather([], unpacked([chunk], [3]), [3], np.empty(0, np.int64)).values()

    assert posting.lengths.tolist() == [0xFFFF]


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(1, 12))
def test_the_best_come_first_and_equal_ones_by_id(values: list[int], k: int) -> None:
    ids = np.arange(len(values), dtype=np.int64)

    chosen, scores = best(ids, np.array(values, np.float64), k)

    expected = sorted(zip(values, range(len(values)), strict=True), key=lambda x: (-x[0], x[1]))[:k]
    assert list(zip(scores.tolist(), chosen.tolist(), strict=True)) == expected


@given(st.lists(st.integers(0, 3000), max_size=40))
def test_segments_that_are_merged_are_of_similar_size(sizes: list[int]) -> None:
    segments = list(enumerate(sorted(sizes)))

    chosen = similar(segments)

    if chosen:
        assert len(chosen) >= FAN_IN
        of = [n for s, n in segments if s in chosen]
        assert of[-1] <= max(of[0], 1) * FAN_IN


def test_segments_stay_few_and_a_chunk_is_rewritten_seldom() -> None:
    """Ten thousand packs of 256: what a log-structured merge promises."""
    segments: dict[int, int] = {}
    written = 0
    for n in range(10_000):
        segments[n] = 256
        while chosen := similar(sorted(segments.items(), key=lambda s: (s[1], s[0]))):
            total = sum(segments.pop(s) for s in chosen)
            segments[-n - len(segments) - 1] = total
            written += total
    assert len(segments) <= FAN_IN * 8
    assert written / (10_000 * 256) <= 8


def test_what_is_held_of_a_query_is_by_how_rare_its_words_are() -> None:
    # Given: a word that all have, one that a chunk has, and one that none has.
    corpus: dict[int, Chunk] = {n: {3: 1} for n in range(9)} | {9: {3: 1, -5: 1}}
    found = found_in(corpus, [3, -5, 0])
    ids = np.arange(10, dtype=np.int64)

    share = held(found, [3, -5], 10, ids)
    assert share == pytest.approx(1.0)
    assert held(found, [3, -5], 10, ids[:9]) == pytest.approx(0.5)
    assert 0.3 < held(found, [3, -5, 0], 10, ids) < 0.6
    assert held(found, [3], 10, ids[:0]) == held(found, [], 10, ids) == 0.0


def test_words_of_everyday_speech_do_not_outweigh_the_number_that_was_asked_for() -> None:
    # Given: rows built alike of numbers of their own, and one text beside them that speaks as people do.
    row, number, still, price = 3, 17, -5, -6
    corpus: dict[int, Chunk] = {n: {row: 1, 100 + n // 30: 1} for n in range(3000)}
    corpus |= {n: {row: 1, number: 1} for n in range(30)} | {3000: {still: 1, price: 1}}
    asked = [row, number, still, price]
    found = found_in(corpus, asked)

    # Then: the row holds a good third of what was asked, though each word that it lacks is far rarer than its number.
    assert held(found, asked, len(corpus), np.array([0])) > 0.33
    # And: more when it holds one of them too.
    corpus[0] = {row: 1, number: 1, still: 1}
    found = found_in(corpus, asked)
    assert held(found, asked, len(corpus), np.array([0])) > 0.6


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6, unique=True), st.integers(1, 40))
def test_the_share_is_all_where_every_word_is_held_and_none_where_none_is(rest: list[int], spread: int) -> None:
    corpus: dict[int, Chunk] = {0: dict.fromkeys(rest, 1)} | {n: {rest[n % len(rest)]: 1} for n in range(1, spread + 1)}
    found = found_in(corpus, [*rest, 99])
    assert held(found, rest, len(corpus), np.array([0])) == pytest.approx(1.0)
    assert held(found, [99], len(corpus), np.array([0])) == 0.0
    assert 0 < held(found, [*rest, 99], len(corpus), np.array([0])) < 1


def test_the_best_of_very_many_are_those_of_a_plain_sort() -> None:
    rng = np.random.default_rng(3)
    ids = np.arange(20_000, dtype=np.int64) * 3
    for scores in (rng.random(20_000), rng.integers(0, 40, 20_000).astype(np.float64), np.ones(20_000)):
        for k in (1, 10, 50):
            chosen, found = best(ids, scores, k)

            order = np.lexsort((ids, -scores))[:k]
            assert chosen.tolist() == ids[order].tolist()
            assert found.tolist() == scores[order].tolist()
