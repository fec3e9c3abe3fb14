"""What happens with each kind of personal data in a source's texts."""

from __future__ import annotations

import difflib
import hashlib
import hmac
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from headrace.errors import BadInput, ConfigError
from headrace.redaction import GROUPS, KINDS, Detection, Detector
from headrace.redaction.checks import compact
from headrace.redaction.echoes import Echoes
from headrace.redaction.overlap import resolve

Action = Literal["mask", "hash", "keep"]
PASSES = 6
"""A value that ends beside another may only show when that one is replaced: texts are read until nothing is found."""
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Replaced:
    """Characters `start` to `end` of the given text became `token`, which begins at `at` of the new one."""

    start: int
    end: int
    at: int
    token: str
    kind: str
    score: float


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without what its policy hides. `replaced`: ascending; `echoes`: the values that went, for the texts that
    belong to it."""

    text: str
    replaced: Sequence[Replaced]
    echoes: Echoes

    def moved(self, offset: int, *, end: bool = False) -> int:
        """Where a place of the given text is now; inside of a value its token's begin, or with `end` its end."""
        n = bisect_right(self.replaced, offset, key=lambda r: r.start) - 1
        if n < 0:
            return offset
        r = self.replaced[n]
        if offset >= r.end:
            return r.at + len(r.token) + offset - r.end
        return r.at + len(r.token) if end and offset > r.start else r.at


class Policy:
    """The kinds' actions; `mask` writes `[EMAIL]`, `hash` `[EMAIL:…]`, the same for the same value and key."""

    def __init__(self, actions: Mapping[str, Action], default: Action = "mask", key: str = "") -> None:
        """`actions` by kind or group; a kind named itself goes before its group. Raises ConfigError."""
        self._actions: dict[str, Action] = dict.fromkeys(KINDS, default)
        for name in actions:
            known(name)
        for group, kinds in GROUPS.items():
            self._actions |= {kind: actions[group] for kind in kinds if group in actions}
        self._actions |= {kind: action for kind, action in actions.items() if kind in KINDS}
        if "hash" in self._actions.values() and len(key) < _LEAST_KEY:
            raise ConfigError(
                step="read a redaction policy",
                expected=f"a key of at least {_LEAST_KEY} characters for `hash`",
                got="none" if not key else "a shorter one",
                remedy='Set `key = "${env:NAME}"` in [sources.redact], and keep it: other keys give other tokens.',
            )
        self._key = key.encode()

    @property
    def id(self) -> str:
        """Changes with the actions and the key, and shows nothing of it."""
        told = f"{_VERSION} {sorted(self._actions.items())}"
        return hmac.new(self._key, told.encode(), "sha256").hexdigest()[:16]

    def action(self, kind: str) -> Action:
        return self._actions[kind]

    def token(self, kind: str, value: str) -> str:
        label = kind.upper()
        if self._actions[kind] == "mask":
            return f"[{label}]"
        same = value.casefold() if kind in ("secret", "url_credentials") else compact(value)
        told = hmac.new(self._key, f"{kind}\0{value if kind == 'secret' else same}".encode(), hashlib.sha256)
        return f"[{label}:{told.hexdigest()[:16]}]"


_LEAST_KEY = 16


def known(name: str) -> None:
    """Raises ConfigError for what is no kind, with the nearest."""
    if name not in KINDS and name not in GROUPS:
        every = [*KINDS, *GROUPS]
        near = difflib.get_close_matches(name, every, n=1)
        raise ConfigError(
            step="read a redaction policy",
            expected="a known kind",
            got=f"`{name}`",
            remedy=f"Did you mean `{near[0]}`?" if near else "Known: " + ", ".join(every) + ".",
        )


class Redactor:
    """Finds and replaces by one source's policy. Raises RedactionError when a detector cannot work now, BadInput for a
    text that it cannot clear."""

    def __init__(self, detectors: Sequence[Detector], policy: Policy) -> None:
        self._detectors = detectors
        self.policy = policy

    @property
    def id(self) -> str:
        """Changes when the same text may read otherwise: detectors, actions, key."""
        told = "\0".join([*(d.id for d in self._detectors), self.policy.id])
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    @property
    def slow(self) -> bool:
        return any(d.slow for d in self._detectors)

    def detect(self, text: str) -> list[Detection]:
        """What is found, whatever happens with it; ascending, none overlaps another."""
        return resolve(text, [d for detector in self._detectors for d in detector.detect(text)])

    def redact(self, text: str, also: Echoes | None = None) -> Redacted:
        """`also`: values of another text that may stand here too, without the words that told them there."""
        return _settled(text, lambda t, echoes: self._found(t, echoes), self.policy, also or Echoes(()))

    def _found(self, text: str, echoes: Echoes) -> list[Detection]:
        found = self.detect(text)
        more = echoes.joined(Echoes((d.kind, text[d.start : d.end]) for d in found))
        return resolve(text, [*found, *more.find(text)])


def _settled(text: str, find: Callable[[str, Echoes], Sequence[Detection]], policy: Policy, echoes: Echoes) -> Redacted:
    """Replaces until nothing is left to replace; values found are looked for in all of the text."""
    done = Redacted(text, (), echoes)
    for _ in range(PASSES):
        found = [d for d in find(done.text, done.echoes) if policy.action(d.kind) != "keep"]
        if not found:
            return done
        values = Echoes((d.kind, done.text[d.start : d.end]) for d in found)
        done = _joined(text, done, found, policy, done.echoes.joined(values))
    raise BadInput(
        step="redact a text",
        expected=f"nothing left to replace after {PASSES} passes",
        got="values that show only when others are replaced, again and again",
        remedy="Leave the document out, or set the kinds that it is full of to `keep`.",
    )


def _joined(text: str, before: Redacted, found: Sequence[Detection], policy: Policy, echoes: Echoes) -> Redacted:
    """One more pass; places stay those of the first text."""
    tokens = [(d, policy.token(d.kind, before.text[d.start : d.end])) for d in found]
    edits = [(r.start, r.end, r.token, r.kind, r.score) for r in before.replaced]
    edits += [(_origin(before, d.start), _origin(before, d.end), token, d.kind, d.score) for d, token in tokens]
    replaced: list[Replaced] = []
    pieces: list[str] = []
    at = last = 0
    for start, end, token, kind, score in sorted(edits):
        pieces += [text[last:start], token]
        at += start - last
        replaced.append(Replaced(start, end, at, token, kind, score))
        at += len(token)
        last = end
    return Redacted("".join([*pieces, text[last:]]), replaced, echoes)


def _origin(before: Redacted, offset: int) -> int:
    """Where a place outside of all tokens was in the first text."""
    n = bisect_right(before.replaced, offset, key=lambda r: r.at) - 1
    if n < 0:
        return offset
    r = before.replaced[n]
    behind = offset - r.at - len(r.token)
    return r.end + behind if behind >= 0 else r.start
