"""How lines of passages are weighed against a question."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from headrace.answer.dates import Dates
from headrace.answer.question import Question, Term
from headrace.answer.reading import Line, Read, holds
from headrace.answer.units import Shape
from headrace.answer.words import Stems, synonyms

_EMPTY: Stems = frozenset()


@dataclass(frozen=True, slots=True)
class Limits:
    """What evidence is held to: codes and days it must be about, words of which a line must have one (`must`), words
    of the asker's own case that tip the balance (`prefer`), words that may be missing (`spare`)."""

    codes: Sequence[str] = ()
    dates: Sequence[Dates] = ()
    must: Stems = _EMPTY
    prefer: Stems = _EMPTY
    spare: Stems = _EMPTY
    document: str | None = None
    """The document that the conversation was about: its lines come first."""
    general_only: bool = False
    """Leave out passages about one thing with a code of its own: a rule is asked for."""


@dataclass(frozen=True, slots=True)
class Weighing:
    """The question's terms weighed against the passages at hand."""

    question: Question
    limits: Limits
    codes: Stems
    terms: Sequence[Term]
    weights: Mapping[str, float]
    total: float
    options: Mapping[str, tuple[tuple[str, float], ...]]
    asked: Stems
    unknown: Stems
    slots: Stems
    routes: Sequence[tuple[re.Pattern[str], re.Pattern[str]]]
    similar: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A line, its score, and how well it matches each term, 0 to 1."""

    passage: int
    line: int
    score: float
    matches: Mapping[str, float]


OWN, NEAR, FAR, AROUND, DOCUMENT = 1.0, 0.9, 0.8, 0.4, 0.3
ELSEWHERE = 0.6
"""What a word is worth that only a second line has."""
ENOUGH = 0.62
"""Share of the question's weight that must be covered."""
USUAL = 0.3
"""A similarity that says nothing either way."""

_RULES = re.compile(r"\b(?:cannot|can't|must|only|not|never|allowed|always|required|needs?|unless)\b", re.I)
_MAY = re.compile(r"\b(?:can|may)\b", re.I)


def routes(q: Question) -> list[tuple[re.Pattern[str], re.Pattern[str]]]:
    """`from A to B` is not `from B to A`: per place, how it must stand, and how it must not."""
    return [(_heading_to(way, place), _heading_to("to" if way == "from" else "from", place)) for way, place in q.routes]


@lru_cache(maxsize=2048)
def _heading_to(way: str, place: str) -> re.Pattern[str]:
    between = r"(?:(?!(?:to|from|in|at|with|for|by|via|on|and)\b)[^\s,.;]+\s+){0,3}?"
    return re.compile(rf"\b{way}\s+{between}\(?{re.escape(place)}\b", re.I)


def matched(w: Weighing, r: Read, li: int, document: Stems) -> tuple[dict[str, float], list[str]]:
    """How well a line matches each term, and the terms it matches by words of its own."""
    line = r.lines[li]
    matches: dict[str, float] = {}
    own: list[str] = []
    for term in w.terms:
        value = 0.0
        for option, worth in w.options[term.stem]:
            place = (
                OWN if option in line.own
                else NEAR if option in line.near
                else FAR if option in r.far
                else AROUND if option in r.everything
                else DOCUMENT if option in document
                else 0.0
            )  # fmt: skip
            value = max(value, place * worth)
            if place == OWN and (not own or own[-1] != term.stem):
                own.append(term.stem)
        if not value and li == r.lead and term.stem in w.slots:
            value = FAR
            own.append(term.stem)
        if value:
            matches[term.stem] = value
    return matches, own


def leaning(w: Weighing, line: Line) -> float:
    """What speaks for or against a line beside its words: what is expected, whose case, its form, its meaning."""
    score = 0.0
    for expect in w.question.expects:
        fits = holds(expect, line.shown)
        score += 0.0 if fits is None else 0.12 if fits else -0.3
    score += 0.25 * min(len(w.limits.prefer & line.own), 2)
    if line.label:
        score += 0.12 if line.label <= w.asked else -0.06
    if w.question.rule:
        score += 0.12 if _RULES.search(line.shown) else 0.1 if _MAY.search(line.shown) else 0.0
    if len(line.own) < 3 and line.unit.shape is Shape.SENTENCE:
        score -= 0.15
    if line.shown.endswith("?"):
        score -= 0.35
    elif line.shown.endswith(":"):
        score -= 0.15
    return score + 0.35 * max(w.similar.get(line.shown, USUAL) - USUAL, -0.2)


def stand_ins(term: Term, known: Stems) -> tuple[tuple[str, float], ...]:
    """The passages' words that may stand for a term, and how surely."""
    found = [(term.stem, 1.0)] if term.stem in known else []
    found += [(s, 0.85) for s in synonyms(term.stem) if s in known]
    if not found and len(term.stem) >= 5:
        found += [(s, 0.75) for s in known if _akin(term.stem, s)]
    return tuple(found)


def _akin(a: str, b: str) -> bool:
    """The same word in another form (`eligible`, `eligibility`), or with one slip of the keyboard."""
    if a[0] != b[0] or len(b) < 4 or a[-1].isdigit() or b[-1].isdigit():
        return False
    short, long = (a, b) if len(a) <= len(b) else (b, a)
    if len(short) < 5:
        return False
    if long.startswith(short[: max(5, len(short) - 1)]) and len(long) - len(short) <= 4:
        return True
    return len(long) - len(short) <= 1 and _slip(short, long)


def _slip(short: str, long: str) -> bool:
    """One letter left out, or two neighbours swapped."""
    i = next((i for i, (x, y) in enumerate(zip(short, long, strict=False)) if x != y), len(short))
    if len(short) != len(long):
        return short[i:] == long[i + 1 :]
    return short[i : i + 2] == long[i : i + 2][::-1] and short[i + 2 :] == long[i + 2 :]


def covered(w: Weighing, picked: Sequence[Candidate]) -> tuple[float, Stems]:
    """The share of the question's weight that the lines cover together, and the terms that none does."""
    named = [t.stem for t in w.terms if not t.general]
    if not w.total:
        return 1.0, _EMPTY
    best = picked[0]
    got = {t: max(p.matches.get(t, 0.0) * (1.0 if p is best else ELSEWHERE) for p in picked) for t in named}
    total = w.total
    if w.limits.must:  # a follow-up puts its word in the place of one of the question's before
        total -= max((w.weights[t] * (1 - v) for t, v in got.items() if t in w.limits.spare), default=0.0)
    share = sum(w.weights[t] * v for t, v in got.items()) / (total or 1.0)
    return share, frozenset(t for t, v in got.items() if not v)
