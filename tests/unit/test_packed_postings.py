"""Long postings are kept between searches, within bounds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headrace.stores.postgres.lexical import Posting
from headrace.stores.postgres.packed import LONG, PER_CHUNK, PackedPostings

SIZES = st.integers(1, 4 * LONG)
ROOM = 10 * LONG * PER_CHUNK


def posting(size: int) -> Posting:
    return Posting(np.arange(size), np.ones(size, np.uint16), np.ones(size, np.uint16))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), SIZES, st.booleans())))
def test_what_is_known_is_what_was_kept_and_never_more_than_there_is_room_for(
    steps: list[tuple[int, int, int, bool]],
) -> None:
    kept = PackedPostings(ROOM)
    content: dict[tuple[int, int], Posting] = {}
    for term, segment, size, forget in steps:
        key = (term, segment)
        if forget:
            kept.forget(key)
            assert key not in kept.of([term])
            content.pop(key, None)
            continue
        made = content.setdefault(key, posting(size))
        kept.keep(term, segment, made)
        known = {k: p for t in range(6) for k, p in kept.of([t]).items()}
        assert all(content[k] is p for k, p in known.items())
        assert sum(PER_CHUNK * len(p.ids) for p in known.values()) <= ROOM
        assert (key in known) == (len(made.ids) >= LONG)


def test_those_go_first_that_were_not_asked_for_the_longest() -> None:
    kept = PackedPostings(2 * LONG * PER_CHUNK)
    kept.keep(1, 1, posting(LONG))
    kept.keep(2, 1, posting(LONG))
    kept.of([1])

    kept.keep(3, 1, posting(LONG))

    assert set(kept.of([1, 2, 3])) == {(1, 1), (3, 1)}
