"""stub until written"""

from collections.abc import Sequence

from headrace.stores import Passage


def newest_first(query: str, passages: Sequence[Passage]) -> Sequence[Passage]:
    return passages
