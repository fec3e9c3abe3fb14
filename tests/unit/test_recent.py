"""Unpacked chunks between searches: each search sees the chunks of its own snapshot, all of them and no others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.stores.postgres import recent as module
from headrace.stores.postgres.lexical import Recent
from headrace.stores.postgres.recent import RecentChunks

Terms = dict[int, int]
"""How often each stands in a chunk."""
CHUNKS = st.dictionaries(
    st.integers(1, 40), st.dictionaries(st.integers(0, 9), st.integers(1, 99), min_size=1), min_size=1
)


def chunk(id: int, terms: Terms) -> Recent:
    counts = np.array([terms[t] for t in sorted(terms)], np.uint16)
    return Recent(id, np.array(sorted(terms), np.int64), counts, sum(terms.values()))


def search(
    cache: RecentChunks, stored: dict[int, Terms], present: list[int], terms: list[int]
) -> set[tuple[int, int, int, int]]:
    """As the reader does it: new ones come with the list, unknown older ones are asked for. (term, chunk, count,
    length) of each posting."""
    cache.add([chunk(i, stored[i]) for i in present if i > cache.newest])
    cache.add([chunk(i, stored[i]) for i in cache.missing(present)])
    found = [
        (term, *row)
        for term, p in cache.postings(terms, np.array(present, np.int64))
        for row in zip(p.ids.tolist(), p.counts.tolist(), p.lengths.tolist(), strict=True)
    ]
    assert len(found) == len(set(found))
    return set(found)


def expected(stored: dict[int, Terms], present: list[int], terms: list[int]) -> set[tuple[int, int, int, int]]:
    return {(t, i, stored[i][t], sum(stored[i].values())) for i in present for t in terms if t in stored[i]}


@given(CHUNKS, st.data())
def test_every_snapshot_finds_its_own_chunks_in_whatever_order_snapshots_come(
    stored: dict[int, Terms], data: st.DataObject
) -> None:
    cache = RecentChunks()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SLACK", data.draw(st.sampled_from([0, 3, module.SLACK])))
        for _ in range(6):
            present = sorted(data.draw(st.sets(st.sampled_from(sorted(stored)))))
            terms = data.draw(st.lists(st.integers(0, 9), unique=True, max_size=4))

            assert search(cache, stored, present, terms) == expected(stored, present, terms)


def test_chunks_that_are_gone_are_forgotten() -> None:
    cache = RecentChunks()
    stored = {i: {i % 7: 1} for i in range(1, module.SLACK + 20)}
    search(cache, stored, sorted(stored), [1])

    assert search(cache, stored, [3], [3]) == {(3, 3, 1, 1)}
    assert cache.missing([3, 10]) == [10]
    assert search(cache, stored, [3, 10], [3]) == {(3, 3, 1, 1), (3, 10, 1, 1)}
    assert search(cache, stored, [], [3]) == set()
