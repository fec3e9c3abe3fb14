"""Long postings of packed segments, kept between searches: a segment never changes, it only comes and goes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from headrace.stores.postgres.lexical import Posting

LONG = 256
"""Chunks of a posting from which on it is kept: a shorter one comes with the answer as quickly as it is told known."""
BYTES = 32 << 20
"""Of all that are kept; beyond it those go that were not asked for the longest."""
PER_CHUNK = 12

Key = tuple[int, int]
"""A term and a segment."""


class PackedPostings:
    """A search tells the server what is known here of its terms, and gets the rest. Its own snapshot says which of
    the known count."""

    def __init__(self, limit: int = BYTES) -> None:
        self._limit = limit
        self._bytes = 0
        self._kept: OrderedDict[Key, Posting] = OrderedDict()
        self._segments: dict[int, set[int]] = {}

    def of(self, terms: Sequence[int]) -> Mapping[Key, Posting]:
        """What is known of these terms: the caller's own, whatever is forgotten meanwhile."""
        known: dict[Key, Posting] = {}
        for term in terms:
            for segment in self._segments.get(term, ()):
                known[term, segment] = self._kept[term, segment]
                self._kept.move_to_end((term, segment))
        return known

    def keep(self, term: int, segment: int, posting: Posting) -> None:
        if len(posting.ids) < LONG or (term, segment) in self._kept:
            return
        self._kept[term, segment] = posting
        self._segments.setdefault(term, set()).add(segment)
        self._bytes += PER_CHUNK * len(posting.ids)
        while self._bytes > self._limit:
            self.forget(next(iter(self._kept)))

    def forget(self, key: Key) -> None:
        """One whose segment was merged into another, for instance."""
        posting = self._kept.pop(key, None)
        if posting is None:
            return
        self._bytes -= PER_CHUNK * len(posting.ids)
        term, segment = key
        self._segments[term].discard(segment)
        if not self._segments[term]:
            del self._segments[term]
