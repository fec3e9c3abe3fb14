"""Chooses the sentences of the passages that answer a question, or finds that none does."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

from headrace.answer.dates import Dates, dates_in
from headrace.answer.question import Expect, Follow, Question, Term
from headrace.answer.units import Shape, Unit, display, split
from headrace.answer.words import TOKEN, is_code, is_stop, stem, stems, synonyms
from headrace.stores import Passage

Stems = frozenset[str]
_EMPTY: Stems = frozenset()


@dataclass(frozen=True, slots=True)
class Line:
    """A unit as words: `own` stand in it, `near` in what it stands under, `shown` is how it reads."""

    unit: Unit
    shown: str
    own: Stems
    near: Stems
    codes: Stems
    leans: bool


@dataclass(frozen=True, slots=True)
class Read:
    """A passage as words: `far` are those of its title, name and first sentence."""

    lines: tuple[Line, ...]
    far: Stems
    everything: Stems
    lead: int


@dataclass(frozen=True, slots=True)
class Found:
    """Lines that answer: indexes of passage and line, in reading order of the best passage first."""

    lines: tuple[tuple[int, int], ...]
    score: float
    missing: tuple[str, ...] = ()


NOTHING = Found((), 0.0)

_LEANS = re.compile(
    r"(?:it|its|they|their|them|this|these|those|that|such|otherwise|however|but|and|or|also|then|therefore|thus|so|"
    r"in\s+(?:this|that|these|such)\s+cases?|if\s+(?:so|not)|he|she|his|her|the\s+(?:latter|former|same)|instead|"
    r"for\s+example|additionally|moreover|furthermore|afterwards|after\s+that|both|neither|not\s+so)\b",
    re.I,
)


@lru_cache(maxsize=4096)
def read(text: str, heading: str, title: str, document: str) -> Read:
    """A passage's text taken apart; cached, for the same chunk is found again and again."""
    units = split(text)
    above = frozenset(stems(heading))
    lines: list[Line] = []
    for unit in units:
        header = text[units[unit.parent].start : units[unit.parent].end] if unit.parent >= 0 else None
        shown = display(text, unit, header)
        tokens = TOKEN.findall(text[unit.start : unit.end])
        near = above | frozenset(stems(unit.heading)) if unit.heading else above
        if header is not None:
            near |= lines[unit.parent].own | lines[unit.parent].near
        lines.append(
            Line(
                unit,
                shown,
                frozenset(stem(t) for t in tokens if not is_stop(t)),
                near,
                frozenset(stem(t) for t in tokens if is_code(t)),
                bool(_LEANS.match(shown)),
            )
        )
    lead = next((i for i, u in enumerate(units) if u.shape is not Shape.HEADING), -1)
    far = frozenset(stems(f"{title} {document}")) | (lines[lead].own if lead == 0 and units[0].shape is Shape.SENTENCE else _EMPTY)
    everything = frozenset().union(*(ln.own for ln in lines), above, far)
    return Read(tuple(lines), far, everything, lead)


def read_passage(p: Passage) -> Read:
    return read(p.text, p.heading, p.title, p.document)


# ---- what a sentence must hold --------------------------------------------------------------------------------------

_NUMBER_WORD = r"zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|fifty|hundred|half|once|twice|no|none|unlimited|single|a"
_HOLDS: Mapping[Expect, re.Pattern[str]] = {
    Expect.AMOUNT: re.compile(
        r"[$€£¥]\s?\d|\b\d[\d.,]*\s?(?:%|percent|dollars?|usd|euros?|eur|pounds?|cents?|million|billion|points)|\bfree\b|\bno\s+(?:extra\s+)?(?:charge|cost|fee)|\b\d", re.I),
    Expect.NUMBER: re.compile(rf"\d|\b(?:{_NUMBER_WORD})\b", re.I),
    Expect.TIME: re.compile(
        r"\d|\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\b(?:january|february|march|april|may|june|july|august|september|october|november|december)\b|"
        r"\b(?:when|once|after|before|until|upon|immediately|daily|weekly|monthly|yearly|annually|always|never|at\s+the\s+(?:end|start|beginning)|as\s+soon\s+as|during|midnight|noon|any\s+time)\b", re.I),
    Expect.DURATION: re.compile(
        rf"\b(?:\d[\d.,-]*|{_NUMBER_WORD}|several|few|an?)[\s-]+(?:\w+\s+){{0,2}}(?:seconds?|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|years?|decades?|centur|quarters?|nights?)|"
        r"\b\d+\s?(?:ms|s|h|min)\b|\b(?:immediate|instant|daily|weekly|monthly|yearly|annual|every|per\s+(?:day|week|month|year)|always|never|forever|lifetime|indefinite|until)", re.I),
}


def holds(expect: Expect, text: str) -> bool | None:
    """Whether a text can be an answer of that kind; None where words do not tell."""
    pattern = _HOLDS.get(expect)
    return None if pattern is None else bool(pattern.search(text))


# ---- choosing -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Weighing:
    """What decides: the terms and their weights, limits by code and day, and words that tip the balance."""

    terms: Sequence[Term]
    weights: Mapping[str, float]
    alternatives: Mapping[str, tuple[tuple[str, float], ...]]
    codes: Stems
    dates: Sequence[Dates]
    expects: Iterable[Expect]
    prefer: Stems
    spare: Stems
    unknown: Stems = _EMPTY
    similar: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True)
class Candidate:
    passage: int
    line: int
    score: float
    matches: Mapping[str, float]


OWN, NEAR, FAR = 1.0, 0.9, 0.8
ENOUGH = 0.62
"""Share of the question's weight that must be covered."""


def weigh(
    q: Question,
    terms: Sequence[Term],
    reads: Sequence[Read],
    *,
    codes: Sequence[str] = (),
    dates: Sequence[Dates] = (),
    prefer: Stems = _EMPTY,
    spare: Stems = _EMPTY,
    similar: Mapping[str, float] | None = None,
) -> Weighing:
    """Weights by how rare a term is among the passages' sentences."""
    lines = [ln for r in reads for ln in r.lines]
    total = max(len(lines), 20)
    known = frozenset().union(*(r.everything for r in reads)) if reads else _EMPTY
    weights: dict[str, float] = {}
    alternatives: dict[str, tuple[tuple[str, float], ...]] = {}
    unknown: set[str] = set()
    for term in terms:
        options = _options(term, known)
        count = sum(1 for ln in lines if any(o in ln.own or o in ln.near for o, _ in options))
        idf = math.log((total + 1) / (count + 0.5)) if options else math.log(total + 1)
        idf = min(max(idf, 0.5), math.log(total + 1))
        weights[term.stem] = idf * (0.25 if term.general else 0.55 if term.stem in spare else 1.0)
        alternatives[term.stem] = options
        if not options and not term.general:
            unknown.add(term.stem)
    return Weighing(
        terms, weights, alternatives, frozenset(stem(c) for c in codes), dates, q.expects, prefer, spare,
        frozenset(unknown), similar or {},
    )


def _options(term: Term, known: Stems) -> tuple[tuple[str, float], ...]:
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
    if len(short) >= 5 and long.startswith(short[: max(5, len(short) - 1)]) and len(long) - len(short) <= 4:
        return True
    return len(short) >= 5 and len(long) - len(short) <= 1 and _slip(short, long)


def _slip(short: str, long: str) -> bool:
    """One letter left out, or two neighbours swapped."""
    i = next((i for i, (x, y) in enumerate(zip(short, long, strict=False)) if x != y), len(short))
    if len(short) != len(long):
        return short[i:] == long[i + 1 :]
    return i + 1 < len(short) and short[i] == long[i + 1] and short[i + 1] == long[i] and short[i + 2 :] == long[i + 2 :]


def choose(
    w: Weighing, passages: Sequence[Passage], reads: Sequence[Read], today: date, limit: int = 3
) -> Found:
    """The one to three lines that answer, or nothing and what no source speaks of."""
    ranked = rank(w, passages, reads, today)
    missing = tuple(t.word for t in w.terms if t.stem in w.unknown)
    if not ranked:
        return Found((), 0.0, missing)
    picked = _pick(w, ranked, passages, reads, limit)
    share, lacking = _share(w, picked)
    if not _enough(w, share, picked, reads):
        absent = missing or tuple(t.word for t in w.terms if t.stem in lacking and not t.general)
        return Found((), share, absent)
    return Found(_in_order(picked, ranked, passages, reads), share)


def rank(w: Weighing, passages: Sequence[Passage], reads: Sequence[Read], today: date) -> list[Candidate]:
    """Every line that may answer, best first."""
    found: list[Candidate] = []
    best = max((p.score for p in passages), default=0.0)
    for pi, (passage, r) in enumerate(zip(passages, reads, strict=True)):
        if not w.codes <= r.everything or not _days_allow(w, passage, today):
            continue
        prior = 0.04 * (passage.score / best if best > 0 else 0) + 0.02 / (1 + pi)
        for li, line in enumerate(r.lines):
            if line.unit.shape is Shape.HEADING or (candidate := _score(w, passage, r, pi, li, prior, today)) is None:
                continue
            found.append(candidate)
    found.sort(key=lambda c: (-c.score, c.passage, c.line))
    return found


def _days_allow(w: Weighing, passage: Passage, today: date) -> bool:
    if not w.dates:
        return True
    days = dates_in(passage.text, today) + dates_in(f"{passage.title} {passage.document} {passage.heading}", today)
    return all(any(asked.meets(d) for d in days) for asked in w.dates)


def _score(
    w: Weighing, passage: Passage, r: Read, pi: int, li: int, prior: float, today: date
) -> Candidate | None:
    line = r.lines[li]
    if w.codes and line.codes and not w.codes & (line.codes | line.near) and not w.codes <= r.far:
        return None
    if w.dates and not _day_of_line(w, passage, line, today):
        return None
    matches: dict[str, float] = {}
    for term in w.terms:
        value = 0.0
        for option, worth in w.alternatives[term.stem]:
            place = OWN if option in line.own else NEAR if option in line.near else FAR if option in r.far else 0.0
            value = max(value, place * worth)
        if value:
            matches[term.stem] = value
    total = sum(w.weights.values())
    here = sum(w.weights[t] for t, m in matches.items() if m > NEAR - 0.2) + 0.0
    if w.terms and not any(t in line.own or any(o in line.own for o, _ in w.alternatives[t]) for t in matches):
        return None
    score = sum(w.weights[t] * m for t, m in matches.items()) / total if total else 0.5
    own = sum(w.weights[t] for t in matches if any(o in line.own for o, _ in w.alternatives[t]))
    score += 0.25 * own / total if total else 0.0
    del here
    for expect in w.expects:
        fits = holds(expect, line.shown)
        score += 0.0 if fits is None else 0.12 if fits else -0.3
    if w.prefer:
        score += 0.2 * min(len(w.prefer & line.own), 2)
    if len(line.own) < 3 and line.unit.shape is Shape.SENTENCE:
        score -= 0.15
    if line.shown.endswith("?"):
        score -= 0.35
    if line.shown.endswith(":"):
        score -= 0.15
    score += 0.5 * max(w.similar.get(line.shown, 0.25) - 0.25, -0.2)
    return Candidate(pi, li, score + prior, matches)


def _day_of_line(w: Weighing, passage: Passage, line: Line, today: date) -> bool:
    """A line that speaks of other days (or stands under them) does not answer."""
    own = dates_in(line.shown, today)
    days = own or dates_in(line.unit.heading, today)
    return not days or all(any(asked.meets(d) for d in days) for asked in w.dates)


def _pick(
    w: Weighing, ranked: Sequence[Candidate], passages: Sequence[Passage], reads: Sequence[Read], limit: int
) -> list[Candidate]:
    """The best line, then lines that add what it lacks or are nearly as good, mostly of the same passage."""
    best = ranked[0]
    picked = [best]
    for other in ranked[1:24]:
        if len(picked) >= limit:
            break
        line = reads[other.passage].lines[other.line]
        if any(_alike(line, reads[p.passage].lines[p.line]) for p in picked):
            _newer(picked, other, passages, reads)
            continue
        same = other.passage == best.passage
        lacking = {t: v for t, v in other.matches.items() if v >= FAR - 0.15 and all(p.matches.get(t, 0) < v for p in picked)}
        adds = sum(w.weights[t] for t in lacking if t in w.weights) / (sum(w.weights.values()) or 1)
        close = other.score >= best.score * (0.9 if same else 0.96)
        if (close and (same or other.score > 0.8)) or (adds >= 0.12 and other.score >= best.score * (0.5 if same else 0.7)):
            picked.append(other)
    return picked


def _alike(a: Line, b: Line) -> bool:
    both = len(a.own & b.own)
    return both >= 0.75 * len(a.own | b.own) and a.codes == b.codes and _figures(a) == _figures(b)


def _figures(line: Line) -> Stems:
    return frozenset(s for s in line.own if s[0].isdigit())


def _newer(picked: list[Candidate], other: Candidate, passages: Sequence[Passage], reads: Sequence[Read]) -> None:
    """Of two lines that state the same, the one of the newest version stays."""
    line = reads[other.passage].lines[other.line]
    for i, p in enumerate(picked):
        if _alike(line, reads[p.passage].lines[p.line]):
            if passages[other.passage].stamp.committed_at > passages[p.passage].stamp.committed_at:
                picked[i] = other
            return


def _share(w: Weighing, picked: Sequence[Candidate]) -> tuple[float, Stems]:
    total = sum(w.weights.values())
    if not total:
        return 1.0, _EMPTY
    got = {t: max(p.matches.get(t, 0.0) for p in picked) for t in w.weights}
    return sum(w.weights[t] * v for t, v in got.items()) / total, frozenset(t for t, v in got.items() if not v)


def _enough(w: Weighing, share: float, picked: Sequence[Candidate], reads: Sequence[Read]) -> bool:
    return share >= ENOUGH


def _in_order(
    picked: Sequence[Candidate], ranked: Sequence[Candidate], passages: Sequence[Passage], reads: Sequence[Read]
) -> tuple[tuple[int, int], ...]:
    order = {p: i for i, p in enumerate(dict.fromkeys(c.passage for c in picked))}
    chosen = {(c.passage, c.line) for c in picked}
    for p, i in list(chosen):
        chosen |= {(p, j) for j in _needed(reads[p], i)}
    return tuple(sorted(chosen, key=lambda c: (order[c[0]], c[1])))


def _needed(r: Read, index: int) -> list[int]:
    """What a line cannot stand without: the line it leans on, the line that introduces its list."""
    line = r.lines[index]
    unit = line.unit
    found: list[int] = []
    if unit.parent >= 0 and unit.shape is not Shape.ROW:
        found.append(unit.parent)
    if line.leans and index > 0 and r.lines[index - 1].unit.block == unit.block:
        found.append(index - 1)
    return found
