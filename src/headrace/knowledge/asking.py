"""What a language model is asked about a document, and what is taken of its answer: what both steps share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from headrace.errors import HeadraceError
from headrace.knowledge.steps import Step
from headrace.models import Message

CHARACTERS = 12_000
"""Of a document's beginning that are read: about 3,000 tokens of English."""

Outcome = tuple[str, ...] | str
"""Labels, or a summary."""


class BadAnswer(HeadraceError):
    """A language model answered, and not what it was asked for."""

    status = 502
    title = "The language model answered something else"


class Task(Protocol):
    """One thing that is asked about a document. Pure.

    - `step`: its version and settings; `key`: of it with the model that is asked.
    - `messages`: of a title and the beginning of a text, `excerpt` of it.
    - `read`: what is taken of an answer. Raises BadAnswer.
    - `holds`: whether an outcome of earlier is one that it could give.
    - `labels`: those that it may give.
    """

    @property
    def step(self) -> Step: ...
    @property
    def characters(self) -> int: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def labels(self) -> Sequence[str]: ...
    def messages(self, title: str, text: str) -> Sequence[Message]: ...
    def read(self, answer: str) -> Outcome: ...
    def holds(self, outcome: Outcome) -> bool: ...


def excerpt(text: str, most: int) -> str:
    """The beginning of a text, at most so many characters, to the end of a sentence or at least of a word."""
    if len(text) <= most:
        return text
    cut = text[:most]
    for ends, least in ((_SENTENCE_ENDS, most * 2 // 3), (_WORD_ENDS, most // 2)):
        last = max((m.end() for m in ends.finditer(cut, least)), default=0)
        if last:
            return cut[:last].rstrip()
    return cut


def document(title: str, text: str, most: int) -> str:
    """As a model is shown it: set apart, as it may say anything."""
    part = " (its beginning)" if len(text) > most else ""
    return f"Title: {title}\n\nThe document{part}, between the two lines:\n----\n{excerpt(text, most)}\n----"


def plain(answer: str) -> str:
    """An answer without what models write around it: thoughts, a fence, quotes, control characters."""
    text = _THOUGHTS.sub("", answer)
    text = "".join(" " if c in "\t\r" else c for c in text if c >= " " or c in "\t\r\n")
    text = text.encode("utf-8", "ignore").decode()
    return _FENCE.sub(r"\1", text.strip()).strip().strip('"“”*').strip()


def bad(step: str, expected: str, answer: str) -> BadAnswer:
    told = " ".join(plain(answer).split())
    return BadAnswer(
        step=step,
        expected=expected,
        got=repr(told[:80]) if told else "no words",
        remedy="Retry it; if it comes again, use a larger model, or raise max_tokens.",
    )


_SENTENCE_ENDS = re.compile(r"[.!?。！？]['\")\]”]?(?=\s|$)|\n")
_WORD_ENDS = re.compile(r"\s")
_THOUGHTS = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"\A```[a-z]*\n(.*?)\n?```\Z", re.DOTALL)
