"""Markers in a language model's text: `[3]`, `[F1]` turned into citations, numbered in the order they are used."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from headrace.answer.context import Citation, cited
from headrace.answer.reading import read
from headrace.answer.units import Shape
from headrace.answer.words import stems
from headrace.stores.knowledge import Passage
from headrace.stores.profiles import Fact

_MARKER = re.compile(r"[ \t]*[\[【]\s*(?P<list>F?\d{1,3}(?:\s*[,;]\s*F?\d{1,3})*)\s*[\]】]", re.I)
_OPEN = re.compile(r"[ \t]*(?:[\[【][\sFf\d,;]{0,40})?$")
_SENTENCE = re.compile(r"(?<=[.!?:])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Delta:
    """A part of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Cited:
    """The citation with the next number; comes before the text that marks it first."""

    citation: Citation


@dataclass(frozen=True, slots=True)
class FactUsed:
    """The fact with the next number; comes before the text that marks it first."""

    fact: Fact


@dataclass(slots=True)
class MarkerStream:
    """Rewrites a stream of text: `[n]` of the prompt's numbering becomes `[i]` of the citations' order.

    `sources` and `facts` are those of the prompt, in its order. A marker that points nowhere is dropped. Text that may
    be the beginning of a marker is held back until it is known; `finish` gives the rest.
    """

    sources: Sequence[Passage]
    facts: Sequence[Fact]
    text: str = ""
    citations: list[Citation] = field(default_factory=list[Citation])
    used: list[Fact] = field(default_factory=list[Fact])
    _held: str = ""
    _numbers: dict[int, int] = field(default_factory=dict[int, int])

    @property
    def pending(self) -> str:
        """What is held back."""
        return self._held

    def feed(self, text: str) -> list[Delta | Cited | FactUsed]:
        held = self._held + text
        cut = _OPEN.search(held)
        at = cut.start() if cut else len(held)
        self._held = held[at:]
        return self._rewrite(held[:at])

    def finish(self) -> list[Delta | Cited | FactUsed]:
        held, self._held = self._held, ""
        return self._rewrite(held)

    def _rewrite(self, text: str) -> list[Delta | Cited | FactUsed]:
        pieces: list[Delta | Cited | FactUsed] = []
        at = 0
        for match in _MARKER.finditer(text):
            self._say(pieces, text[at : match.start()])
            marks = [m for part in re.split(r"[,;]", match["list"]) if (m := self._mark(part.strip(), pieces))]
            if marks:
                self._say(pieces, " " + "".join(dict.fromkeys(marks)))
            at = match.end()
        self._say(pieces, text[at:])
        return pieces

    def _say(self, pieces: list[Delta | Cited | FactUsed], text: str) -> None:
        if text:
            self.text += text
            pieces.append(Delta(text))

    def _mark(self, label: str, pieces: list[Delta | Cited | FactUsed]) -> str:
        if label[:1] in "Ff":
            return self._fact(int(label[1:]) - 1, pieces)
        index = int(label) - 1
        if not 0 <= index < len(self.sources):
            return ""
        if index not in self._numbers:
            passage = self.sources[index]
            claim = _SENTENCE.split(self.text.rstrip())[-1]
            quote = supporting(claim, passage)
            at = passage.text.find(quote)
            citation = cited(passage, at, at + len(quote))
            self.citations.append(citation)
            self._numbers[index] = len(self.citations)
            pieces.append(Cited(citation))
        return f"[{self._numbers[index]}]"

    def _fact(self, index: int, pieces: list[Delta | Cited | FactUsed]) -> str:
        if not 0 <= index < len(self.facts):
            return ""
        fact = self.facts[index]
        if fact not in self.used:
            self.used.append(fact)
            pieces.append(FactUsed(fact))
        return f"[F{self.used.index(fact) + 1}]"


def supporting(claim: str, passage: Passage) -> str:
    """The span of a passage that says most of what a claim says; an exact substring of its text."""
    wanted = frozenset(stems(claim))
    lines = read(passage.text, passage.heading, passage.title, passage.document).lines
    told = [ln for ln in lines if ln.unit.shape is not Shape.HEADING] or lines
    if not told:
        return passage.text
    best = max(told, key=lambda ln: (len(wanted & ln.own) / (1 + len(ln.own)) ** 0.5, -ln.unit.start))
    return passage.text[best.unit.start : best.unit.end]


def citations_from(
    text: str, sources: Sequence[Passage], facts: Sequence[Fact]
) -> tuple[str, tuple[Citation, ...], tuple[Fact, ...]]:
    """A model's whole answer: the text with markers renumbered, the citations and the facts they point to."""
    stream = MarkerStream(sources, facts)
    stream.feed(text)
    stream.finish()
    return stream.text, tuple(stream.citations), tuple(stream.used)
