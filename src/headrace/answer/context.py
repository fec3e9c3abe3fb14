"""What an answer is made from, and what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headrace.change import Stamp
from headrace.place import Place
from headrace.stores.conversations import Turn
from headrace.stores.knowledge import Passage
from headrace.stores.profiles import Fact, Profile
from headrace.stores.values import Object

Similarities = Mapping[str, float]
"""Cosine of a quotable text and the question, by the text as `extractive.candidates` gives it."""


@dataclass(frozen=True, slots=True)
class Context:
    """Everything one answer may rest on, read in one snapshot.

    `passages` best first; `facts` of the asking user (those of `profile` when left out); `history` oldest first,
    without the question itself; `now` in microseconds since the epoch, `zone` the asker's seconds east of UTC.
    `similarities` are optional: without them an answer is chosen by words alone.
    """

    question: str
    passages: Sequence[Passage] = ()
    profile: Profile | None = None
    facts: Sequence[Fact] = ()
    history: Sequence[Turn] = ()
    now: int = 0
    zone: int = 0
    similarities: Similarities | None = None

    @property
    def own_facts(self) -> Sequence[Fact]:
        return self.facts or (self.profile.facts if self.profile else ())


@dataclass(frozen=True, slots=True)
class Citation:
    """Where a part of an answer stands: `quote` is an exact substring of the chunk's text, at `start` to `end` in the
    document's (characters); `heading` and `place` are the chunk's. `superseded_by`: the chunk that says it otherwise
    since."""

    document: str
    chunk: str
    quote: str
    title: str
    stamp: Stamp
    heading: str = ""
    start: int | None = None
    end: int | None = None
    place: Place | None = None
    superseded_by: str | None = None


def cited(passage: Passage, start: int, end: int) -> Citation:
    """A citation of a part of a passage, by characters of its text."""
    return Citation(
        passage.document, passage.chunk, passage.text[start:end], passage.title, passage.stamp, passage.heading,
        passage.start + start, passage.start + end, passage.place, passage.superseded_by,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` marks citations `[1]`, `[2]` in their order and facts `[F1]`, `[F2]` in theirs.

    `focus` is what the next turn's "it" or "the one after" may refer to; it belongs into that turn's `Turn.focus`.
    """

    text: str
    abstained: bool
    citations: Sequence[Citation] = ()
    facts: Sequence[Fact] = ()
    focus: Object = field(default_factory=dict[str, str])
