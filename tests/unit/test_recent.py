"""Unpacked chunks between searches: each search sees the chunks of its own snapshot, all of them and no others."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headrace.stores.postgres import recent as module
from headrace.stores.postgres.lexical import Recent
from headrace.stores.postgres.recent import RecentChunks

CHUNKS = st.dictionaries(st.integers(1, 40), st.sets(st.integers(0, 9), min_size=1), min_size=1)


def chunk(id: int, terms: set[int]) -> Recent:
    ordered = np.array(sorted(terms), np.int64)
    return Recent(id, ordered, np.ones(len(ordered), np.uint16), len(ordered))


def search(cache: RecentChunks, stored: dict[int, set[int]], present: list[int], terms: list[int]) -> list[int]:
    """As the reader does it: new ones come with the list, unknown older ones are asked for."""
    cache.add([chunk(i, stored[i]) for i in present if i > cache.newest])
    cache.add([chunk(i, stored[i]) for i in cache.missing(present)])
    return [r.id for r in cache.holding(terms, present)]


@given(CHUNKS, st.data())
def test_every_snapshot_finds_its_own_chunks_in_whatever_order_snapshots_come(
    stored: dict[int, set[int]], data: st.DataObject
) -> None:
    cache = RecentChunks()
    for _ in range(6):
        present = sorted(data.draw(st.sets(st.sampled_from(sorted(stored)))))
        terms = data.draw(st.lists(st.integers(0, 9), unique=True, max_size=4))

        assert search(cache, stored, present, terms) == [i for i in present if stored[i] & set(terms)]


def test_chunks_that_are_gone_are_forgotten() -> None:
    cache = RecentChunks()
    stored = {i: {i % 7} for i in range(1, module.SLACK + 20)}
    search(cache, stored, sorted(stored), [1])

    assert search(cache, stored, [3], [3]) == [3]
    assert cache.missing([3, 10]) == [10]
    assert search(cache, stored, [3, 10], [3]) == [3, 10]
