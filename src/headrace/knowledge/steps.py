"""What makes a topic's documents: steps in order, each with its version and settings, each keyed by all before it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from headrace.stores.values import JSON

Setting = str | int | bool
PARSE, RENDER, REDACT, CHUNK, WORDS = "parse", "render", "redact", "chunk", "words"
CLASSIFY, SUMMARISE = "classify", "summarise"
"""Done behind the others, when a document is served already: what a language model tells of it."""
_TEXT = (PARSE, RENDER, REDACT)
"""Steps whose outcome is the document's text; those behind them need nothing else."""


@dataclass(frozen=True, slots=True)
class Step:
    """`version`: of its code, raised when the same input may come out otherwise. `settings`: what else it depends on,
    nothing secret."""

    name: str
    version: int
    settings: Mapping[str, Setting]

    def key(self, before: str) -> str:
        """Of this step behind those of another key."""
        told = json.dumps([before, self.name, self.version, sorted(self.settings.items())], ensure_ascii=False)
        return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:24]


@dataclass(frozen=True)
class Chain:
    """The steps of one topic in order. A step that does nothing is not in it."""

    steps: Sequence[Step]

    @cached_property
    def keys(self) -> Sequence[str]:
        """Up to and with each step."""
        found = [""]
        for step in self.steps:
            found.append(step.key(found[-1]))
        return found[1:]

    @property
    def key(self) -> str:
        return self.keys[-1]

    @property
    def text_key(self) -> str:
        """Up to and with the last step that makes the text; empty without one."""
        return next((k for s, k in zip(reversed(self.steps), reversed(self.keys), strict=True) if s.name in _TEXT), "")

    def done_by(self, other: Chain) -> int:
        """How many of these steps a text that the other chain made has been through: 0 for none, when it must be made
        from its source again."""
        texts = [k for s, k in zip(self.steps, self.keys, strict=True) if s.name in _TEXT]
        return texts.index(other.text_key) + 1 if other.text_key in texts else 0

    def changed_since(self, other: Chain) -> Sequence[str]:
        """Names of the steps that differ, in order."""
        mine, others = ({s.name: s for s in c.steps} for c in (self, other))
        names = [*mine, *(n for n in others if n not in mine)]
        return [n for n in names if mine.get(n) != others.get(n)]

    def to_json(self) -> JSON:
        return [{"name": s.name, "version": s.version, "settings": dict(s.settings)} for s in self.steps]


def read_chain(told: JSON) -> Chain | None:
    """As `Chain.to_json` wrote it; None for what it did not write."""
    if not isinstance(told, list) or not told:
        return None
    steps = [_step(one) for one in told]
    return Chain([s for s in steps if s is not None]) if None not in steps else None


def _step(told: JSON) -> Step | None:
    if not isinstance(told, dict):
        return None
    name, version, settings = told.get("name"), told.get("version"), told.get("settings")
    if not (isinstance(name, str) and isinstance(version, int) and isinstance(settings, dict)):
        return None
    return Step(name, version, {k: v for k, v in settings.items() if isinstance(v, str | int | bool)})


def fingerprint(text: str) -> str:
    """Of a setting that is too long to be told."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
