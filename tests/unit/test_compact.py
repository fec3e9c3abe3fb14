"""Postings packed for the store."""

from __future__ import annotations

import numpy as np

from headrace.stores.postgres.compact import packed
from headrace.stores.postgres.lexical import Postings


def postings(*entries: tuple[int, int, int, int]) -> Postings:
    """Of (term, chunk, count, length)."""
    terms, ids, counts, lengths = zip(*entries, strict=True) if entries else ((), (), (), ())
    return Postings(
        np.array(terms, np.int64), np.array(ids, np.int64), np.array(counts, np.uint16), np.array(lengths, np.uint16)
    )


def test_each_term_becomes_a_row_of_its_chunks_in_order() -> None:
    rows = packed(postings((7, 2, 1, 10), (5, 1, 3, 9), (7, 1, 2, 9)))
    assert [
        (term, np.frombuffer(ids, "<i8").tolist(), np.frombuffer(n, "<u2").tolist()) for term, ids, n, _ in rows
    ] == [
        (5, [1], [3]),
        (7, [1, 2], [2, 1]),
    ]


def test_when_all_chunks_are_dead_nothing_is_left_to_pack() -> None:
    assert packed(postings()) == []
