"""Words and meaning in one score: the order within one search stays, both count by how they stand out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.stores.knowledge import HYBRID, Blend
from headrace.stores.postgres.fusing import FLAT, Candidates, Found, Spread, fuse, lexical_spread, spread

NOTHING = Candidates(np.empty(0, np.int64), np.empty(0, np.float64))
corpora = st.lists(st.tuples(st.floats(0, 40), st.floats(-1, 1)), min_size=2, max_size=30)
"""Of each chunk its BM25 and its similarity."""


def candidates(scores: Sequence[float], most: int, *, above: float = -9.0) -> Candidates:
    order = sorted((i for i, s in enumerate(scores) if s > above), key=lambda i: (-scores[i], i))[:most]
    return Candidates(np.array(order, np.int64), np.array([scores[i] for i in order], np.float64))


def fused(
    corpus: Sequence[tuple[float, float]], blend: Blend = HYBRID, most: int = 5, together: float = 1.0
) -> list[tuple[int, float]]:
    words, meaning = (np.array(x, np.float64) for x in zip(*corpus, strict=True))
    lexical, nearest = candidates(words.tolist(), most, above=0.0), candidates(meaning.tolist(), most)
    both = np.union1d(lexical.ids, nearest.ids)
    spreads = (lexical_spread(words[words > 0], len(corpus)), spread(meaning))
    return fuse(Found(lexical, nearest, both, words[both], meaning[both], spreads, together), blend)


@given(corpora, st.sampled_from(["hybrid", "rank"]))
def test_every_candidate_is_ranked_once_with_a_score_between_none_and_one(
    corpus: list[tuple[float, float]], retriever: str
) -> None:
    ranked = fused(corpus, Blend("rank" if retriever == "rank" else "hybrid"))

    words, meaning = [w for w, _ in corpus], [m for _, m in corpus]
    expected = {*candidates(words, 5, above=0.0).ids.tolist(), *candidates(meaning, 5).ids.tolist()}
    assert {i for i, _ in ranked} == expected
    assert len(ranked) == len(expected)
    assert all(0 <= s <= 1 for _, s in ranked)
    assert ranked == sorted(ranked, key=lambda x: (-x[1], x[0]))


@given(corpora)
def test_what_is_better_in_both_is_never_behind(corpus: list[tuple[float, float]]) -> None:
    place = {id: n for n, (id, _) in enumerate(fused(corpus))}

    for a in place:
        for b in place:
            if corpus[a][0] > corpus[b][0] + 0.01 and corpus[a][1] > corpus[b][1] + 0.01:
                assert place[a] < place[b]


@given(corpora)
def test_one_search_alone_keeps_its_own_order(corpus: list[tuple[float, float]]) -> None:
    words, meaning = [w for w, _ in corpus], [m for _, m in corpus]

    assert {i for i, _ in fused(corpus, Blend("lexical"))} <= set(candidates(words, 5, above=0.0).ids.tolist()) | set(
        candidates(meaning, 5).ids.tolist() if not any(w > 0 for w in words) else []
    )
    by_meaning = [meaning[i] for i, _ in fused(corpus, Blend("vector"))]
    assert by_meaning == pytest.approx(sorted(by_meaning, reverse=True), abs=1e-9)


def test_words_that_stand_out_weigh_more_than_a_meaning_that_all_share() -> None:
    # Given: one chunk alone has the word, and all are about equally near.
    corpus = [(9.0, 0.50), *[(0.0, 0.505 + 0.0001 * n) for n in range(40)]]
    assert fused(corpus)[0][0] == 0

    # And the other way: a word that nearly all have, and one chunk far nearer than the rest.
    corpus = [(1.0, 0.9), *[(1.0, 0.1) for _ in range(40)]]
    assert fused(corpus)[0][0] == 0


def test_the_weight_moves_the_score_from_words_to_meaning() -> None:
    corpus = [(9.0, 0.1), (0.0, 0.9), *[(0.0, 0.0)] * 20]

    assert fused(corpus, Blend(weight=0.05))[0][0] == 0
    assert fused(corpus, Blend(weight=0.95))[0][0] == 1


def test_words_that_stand_nowhere_together_weigh_less() -> None:
    corpus = [(9.0, 0.1), (0.0, 0.9), *[(0.0, 0.0)] * 20]

    assert fused(corpus, together=1.0)[0][0] == 0
    assert fused(corpus, together=0.3)[0][0] == 1


def test_without_one_search_the_other_is_ranked() -> None:
    one = Candidates(np.array([7], np.int64), np.array([3.0]))
    none = np.empty(0, np.float64)

    assert [i for i, _ in fuse(Found(one, NOTHING, one.ids, one.scores, none, (FLAT, FLAT), 1.0))] == [7]
    assert [i for i, _ in fuse(Found(NOTHING, one, one.ids, none, one.scores, (FLAT, FLAT), 0.0))] == [7]
    assert fuse(Found(NOTHING, NOTHING, NOTHING.ids, none, none, (FLAT, FLAT), 0.0)) == []


def test_a_spread_is_that_of_the_whole_corpus() -> None:
    made = lexical_spread(np.array([2.0, 4.0]), 4)
    assert (made.mean, made.deviation) == (1.5, pytest.approx(np.std([2, 4, 0, 0])))
    assert lexical_spread(np.empty(0), 4) == FLAT
    assert spread(np.array([0.1, 0.3])) == Spread(0.2, 0.1)
