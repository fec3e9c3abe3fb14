"""Chooses the sentences of the passages that answer a question, or finds that none does."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from headrace.answer.dates import Dates, dates_in
from headrace.answer.question import Expect, Question, Term
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
    above: Stems
    label: Stems
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

_RULES = re.compile(r"\b(?:can(?:not)?|can't|may|must|only|not|never|allowed|always|required|needs?)\b", re.I)
_LABEL = re.compile(r"((?:[^\W_][\w'’/-]*\s?){1,4}):\s")
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
                frozenset(stem(t) for t in TOKEN.findall(unit.heading) if is_code(t)),
                frozenset(stems(label[1])) if (label := _LABEL.match(shown)) else _EMPTY,
                bool(_LEANS.match(shown)),
            )
        )
    lead = next((i for i, u in enumerate(units) if u.shape is not Shape.HEADING), -1)
    far = frozenset(stems(f"{title} {document}")) | (
        lines[lead].own if lead == 0 and units[0].shape is Shape.SENTENCE else _EMPTY
    )
    everything = _EMPTY.union(*(ln.own for ln in lines), above, far)
    return Read(tuple(lines), far, everything, lead)


# ---- what a sentence must hold --------------------------------------------------------------------------------------

_NUMBER_WORD = r"zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|fifty|hundred|half|once|twice|no|none|unlimited|single|a"
_HOLDS: Mapping[Expect, re.Pattern[str]] = {
    Expect.PRICE: re.compile(
        r"[$€£¥]\s?\d|\b\d[\d.,]*\s?(?:%|percent|dollars?|usd|euros?|eur|pounds?|cents?|francs?|points)|"
        r"\b(?:free|included)\b|\bno\s+(?:extra\s+)?(?:charge|cost|fee)|[$€£¥]|\b(?:price|difference)\b",
        re.I,
    ),
    Expect.AMOUNT: re.compile(r"\d|\b(?:free|half|none|nothing|unlimited)\b|\bno\s+(?:charge|cost|fee)|%", re.I),
    Expect.NUMBER: re.compile(rf"\d|\b(?:{_NUMBER_WORD})\b", re.I),
    Expect.TIME: re.compile(
        r"\d|\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\b(?:january|february|march|april|may|june|july|august|september|october|november|december)\b|"
        r"\b(?:when|once|after|before|until|upon|immediately|daily|weekly|monthly|yearly|annually|always|never|at\s+the\s+(?:end|start|beginning)|as\s+soon\s+as|during|midnight|noon|any\s+time)\b",
        re.I,
    ),
    Expect.DURATION: re.compile(
        rf"\b(?:\d[\d.,-]*|{_NUMBER_WORD}|several|few|an?)[\s-]+(?:\w+\s+){{0,2}}(?:seconds?|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|years?|decades?|centur|quarters?|nights?)|"
        r"\b\d+\s?(?:ms|s|h|min)\b|\b(?:immediate|instant|daily|weekly|monthly|yearly|annual|every|per\s+(?:day|week|month|year)|always|never|forever|lifetime|indefinite|until)",
        re.I,
    ),
}


_DEMANDED = frozenset({Expect.PRICE, Expect.NUMBER, Expect.DURATION})
"""Without these a sentence is no answer, whatever else it shares with the question."""


def holds(expect: Expect, text: str) -> bool | None:
    """Whether a text can be an answer of that kind; None where words do not tell."""
    pattern = _HOLDS.get(expect)
    return None if pattern is None else bool(pattern.search(text))


# ---- choosing -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limits:
    """What evidence is held to: codes and days it must be about, words of which a line must have one (`must`), words
    of the asker's own case that tip the balance (`prefer`), words that may be missing (`spare`)."""

    codes: Sequence[str] = ()
    dates: Sequence[Dates] = ()
    must: Stems = _EMPTY
    prefer: Stems = _EMPTY
    spare: Stems = _EMPTY
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


class Evidence:
    """The passages of one context, ready to be asked."""

    def __init__(self, passages: Sequence[Passage], today: date, similar: Mapping[str, float] | None = None) -> None:
        self.passages = passages
        self.today = today
        self.reads = [read(p.text, p.heading, p.title, p.document) for p in passages]
        self.known: Stems = _EMPTY.union(*(r.everything for r in self.reads)) if passages else _EMPTY
        self.similar = similar or {}
        self.by_document: dict[str, Stems] = {}
        for p, r in zip(passages, self.reads, strict=True):
            self.by_document[p.document] = self.by_document.get(p.document, _EMPTY) | r.everything

    def days(self, passage: Passage) -> tuple[Dates, ...]:
        return dates_in(passage.text, self.today) + dates_in(
            f"{passage.title} {passage.document} {passage.heading}", self.today
        )

    # ---- weights ----

    def weigh(self, q: Question, terms: Sequence[Term], limits: Limits) -> Weighing:
        """Terms weigh by how rare they are among the lines; those that merely ask decide order, never enough."""
        if terms and all(t.general for t in terms) and not (limits.codes or limits.dates):
            terms = [Term(t.word, t.stem, t.soft) for t in terms]
        lines = [ln for r in self.reads for ln in r.lines]
        total = max(len(lines), 20)
        weights: dict[str, float] = {}
        options: dict[str, tuple[tuple[str, float], ...]] = {}
        for term in terms:
            options[term.stem] = found = _options(term, self.known)
            count = sum(1 for ln in lines if any(o in ln.own or o in ln.near for o, _ in found))
            idf = math.log((total + 1) / (count + 0.5))
            idf = min(max(idf, 0.5), math.log(total + 1))
            verb = term.soft and not found  # may well be said otherwise
            weights[term.stem] = idf * (0.2 if term.general else 0.5 if verb or term.stem in limits.spare else 1.0)
        named = {t.stem for t in terms if not t.general}
        unknown = frozenset(t for t in named if not options[t])
        codes = frozenset(stem(c) for c in limits.codes)
        return Weighing(
            q, limits, codes, terms, weights, sum(weights[t] for t in named), options,
            frozenset(o for found in options.values() for o, _ in found), unknown,
            self._slots(q, codes, named), _routes(q), self.similar,
        )  # fmt: skip

    def _slots(self, q: Question, codes: Stems, named: set[str]) -> Stems:
        """Words that first sentences say of other things of the same kind: `Is X delayed?` is answered by X's state."""
        if not (q.yes_no and codes):
            return _EMPTY
        kinds = {p.document.rpartition("/")[0] for p, r in self._pairs() if codes <= r.everything}
        others = [r for p, r in self._pairs() if p.document.rpartition("/")[0] in kinds and not codes <= r.everything]
        said = _EMPTY.union(*(r.lines[r.lead].own for r in others if r.lead >= 0)) if others else _EMPTY
        return said & named

    def _pairs(self) -> Iterable[tuple[Passage, Read]]:
        return zip(self.passages, self.reads, strict=True)

    # ---- ranking ----

    def rank(self, w: Weighing) -> list[Candidate]:
        """Every line that may answer, best first."""
        found: list[Candidate] = []
        best = max((p.score for p in self.passages), default=0.0)
        for pi, (passage, r) in enumerate(self._pairs()):
            if not self._allowed(w, passage, r):
                continue
            prior = 0.04 * (passage.score / best if best > 0 else 0.0) + 0.02 / (1 + pi)
            for li in range(len(r.lines)):
                if (candidate := self._score(w, r, pi, li, prior)) is not None:
                    found.append(candidate)
        found.sort(key=lambda c: (-c.score, c.passage, c.line))
        return found

    def _allowed(self, w: Weighing, passage: Passage, r: Read) -> bool:
        if not w.codes <= r.everything:
            return False
        if w.limits.general_only and not w.codes and r.lead >= 0 and r.lines[r.lead].codes:
            return False
        if w.limits.dates:
            days = self.days(passage)
            return all(any(asked.meets(d) for d in days) for asked in w.limits.dates)
        return True

    def _score(self, w: Weighing, r: Read, pi: int, li: int, prior: float) -> Candidate | None:
        line = r.lines[li]
        if not self._may_answer(w, r, line):
            return None
        matches, own = _matches(w, r, li, self.by_document[self.passages[pi].document])
        if w.terms and not own and not w.codes & line.own:
            return None
        got = sum(w.weights[t] * m for t, m in matches.items())
        total = w.total or 1.0
        score = (got + 0.25 * sum(w.weights[t] for t in own)) / total if w.terms else 0.5
        score += 0.15 * len(w.asked & line.own) / (len(line.own) or 1)
        if not w.total:
            score += 0.2 if li == r.lead else 0.0
        return Candidate(pi, li, min(score, 1.5) + prior + _leaning(w, line), matches)

    def _may_answer(self, w: Weighing, r: Read, line: Line) -> bool:
        """Whether a line is about the codes and days asked for, and no bare heading."""
        if line.unit.shape is Shape.HEADING and not (
            Expect.TIME in w.question.expects and dates_in(line.shown, self.today)
        ):
            return False
        if w.codes and not w.codes <= line.own:
            if line.above and not w.codes & line.above:
                return False
            if line.codes and not w.codes & (line.codes | line.near) and not w.codes <= r.far:
                return False
        if any(other.search(line.shown) and not asked.search(line.shown) for asked, other in w.routes):
            return False
        if w.limits.must and not w.limits.must & (line.own | line.near):
            return False
        if w.limits.dates:
            days = dates_in(line.shown, self.today) or dates_in(line.unit.heading, self.today)
            return not days or all(any(asked.meets(d) for d in days) for asked in w.limits.dates)
        return True

    # ---- choosing ----

    def choose(self, q: Question, terms: Sequence[Term], limits: Limits) -> Found:
        """The few lines that answer, or nothing and what no source speaks of."""
        w = self.weigh(q, terms, limits)
        missing = tuple(t.word for t in terms if t.stem in w.unknown)
        ranked = self.rank(w)
        if not ranked:
            return Found((), 0.0, missing)
        picked = self._pick(w, _by_label(w, ranked, self.reads))
        share, lacking = _share(w, picked)
        if q.rule and self._off_subject(w, picked[0]):
            share *= 0.6
        for expect in w.question.expects & _DEMANDED:
            share *= 1.0 if any(holds(expect, self._line(c).shown) for c in picked) else 0.6
        if share < self._needed_share(picked[0]):
            return Found((), share, missing or tuple(t.word for t in terms if t.stem in lacking and not t.general))
        return Found(self._in_order(w, picked), share)

    def _needed_share(self, best: Candidate) -> float:
        """Less where the line means what the question means, more where it clearly does not."""
        near = self.similar.get(self._line(best).shown)
        if near is None:
            return ENOUGH
        return ENOUGH - 0.3 * max(near - 0.5, 0.0) + 0.3 * max(0.2 - near, 0.0)

    def _off_subject(self, w: Weighing, best: Candidate) -> bool:
        """Whether a short question's noun is missing in the line: `Can I remove a passenger?` is not about bags."""
        nouns = [t.stem for t in w.terms if not (t.general or t.soft or t.stem in w.limits.spare)]
        return len(nouns) <= 3 and any(best.matches.get(t, 0.0) < FAR - 0.15 for t in nouns)

    def _pick(self, w: Weighing, ranked: Sequence[Candidate]) -> list[Candidate]:
        """The best line, then lines that add what it lacks or are nearly as good, mostly of the same passage."""
        picked = [ranked[0]]
        for other in ranked[1:24]:
            if len(picked) >= self._most(w, picked[0], other):
                continue
            if any(self._repeats(p, other) for p in picked):
                picked = [other if self._repeats(p, other) and self._newer(other, p) else p for p in picked]
            elif not self._beside(w, picked[0], other) and self._helps(w, picked, other):
                picked.append(other)
        return picked

    def _most(self, w: Weighing, best: Candidate, other: Candidate) -> int:
        """Three lines; more where a list is asked for, or where one list holds them all."""
        a, b = self._line(best).unit, self._line(other).unit
        together = best.passage == other.passage and a.shape is b.shape is Shape.ITEM and a.heading == b.heading
        return 5 if w.question.many else 4 if together else 3

    def _line(self, c: Candidate) -> Line:
        return self.reads[c.passage].lines[c.line]

    def _newer(self, a: Candidate, b: Candidate) -> bool:
        return self.passages[a.passage].stamp.committed_at > self.passages[b.passage].stamp.committed_at

    def _repeats(self, a: Candidate, b: Candidate) -> bool:
        """Two lines that state the same thing; of different documents also with other figures, as one is outdated."""
        x, y = self._line(a), self._line(b)
        if x.codes != y.codes:
            return False
        plain_x, plain_y = _wordy(x.own), _wordy(y.own)
        both = len(plain_x & plain_y)
        if both < 0.8 * len(plain_x | plain_y):
            return False
        if x.own - plain_x == y.own - plain_y:
            return True
        p, q = self.passages[a.passage], self.passages[b.passage]
        return p.document != q.document and self._about(p, a) == self._about(q, b)

    def _about(self, passage: Passage, c: Candidate) -> object:
        r = self.reads[c.passage]
        lead = r.lines[r.lead].codes if r.lead >= 0 else _EMPTY
        return lead, r.lines[c.line].unit.heading, frozenset((d.first, d.last) for d in self.days(passage))

    def _beside(self, w: Weighing, best: Candidate, other: Candidate) -> bool:
        """Whether a line says for another case what the best one says for the asker's."""
        mine, theirs = self._line(best).own, self._line(other).own
        deciding = w.limits.prefer & mine
        if not deciding or deciding <= theirs:
            return False
        return len(mine & theirs) >= 0.5 * min(len(mine), len(theirs))

    def _helps(self, w: Weighing, picked: Sequence[Candidate], other: Candidate) -> bool:
        best = picked[0]
        same = other.passage == best.passage
        total = w.total or 1.0
        adds = sum(
            w.weights[t]
            for t, m in other.matches.items()
            if m >= FAR - 0.15 and all(p.matches.get(t, 0.0) < m - 0.1 for p in picked)
        )
        if adds / total >= 0.15 and other.score >= best.score * (0.5 if same else 0.75):
            return True
        if not same and not w.question.many:
            return False
        return other.score >= best.score * (0.92 if same else 0.97) and other.score > 0.7

    def _in_order(self, w: Weighing, picked: Sequence[Candidate]) -> tuple[tuple[int, int], ...]:
        order = {p: i for i, p in enumerate(dict.fromkeys(c.passage for c in picked))}
        chosen = {(c.passage, c.line) for c in picked}
        for p, i in list(chosen):
            chosen |= {(p, j) for j in self._needed(w, self.reads[p], i)}
        return tuple(sorted(chosen, key=lambda c: (order[c[0]], c[1])))

    def _needed(self, w: Weighing, r: Read, index: int) -> list[int]:
        """What a line cannot stand without: what it leans on, what introduces its list, what names its subject."""
        line = r.lines[index]
        found: list[int] = []
        if line.unit.parent >= 0 and line.unit.shape is not Shape.ROW:
            found.append(line.unit.parent)
        if line.leans and index > 0 and r.lines[index - 1].unit.block == line.unit.block:
            found.append(index - 1)
        if 0 <= r.lead < index and self._names_subject(w, r.lines[r.lead], line):
            found.append(r.lead)
        return found

    def _names_subject(self, w: Weighing, lead: Line, line: Line) -> bool:
        if w.codes & (lead.own - line.own - line.near):
            return True
        if line.label and lead.unit.block == line.unit.block and not lead.label:
            return True
        return (
            bool(w.limits.dates)
            and bool(dates_in(lead.shown, self.today))
            and not (dates_in(line.shown, self.today) or dates_in(line.unit.heading, self.today))
        )


def _routes(q: Question) -> list[tuple[re.Pattern[str], re.Pattern[str]]]:
    """`from A to B` is not `from B to A`: per place, how it must stand, and how it must not."""
    return [(_heading_to(way, place), _heading_to("to" if way == "from" else "from", place)) for way, place in q.routes]


@lru_cache(maxsize=2048)
def _heading_to(way: str, place: str) -> re.Pattern[str]:
    between = r"(?:(?!(?:to|from|in|at|with|for|by|via|on|and)\b)[^\s,.;]+\s+){0,3}?"
    return re.compile(rf"\b{way}\s+{between}\(?{re.escape(place)}\b", re.I)


def _wordy(own: Stems) -> Stems:
    return frozenset(s for s in own if not s[0].isdigit())


def _by_label(w: Weighing, ranked: Sequence[Candidate], reads: Sequence[Read]) -> list[Candidate]:
    """Where a label is what was asked for (`Basic economy:`), lines under other labels of that passage do not answer."""
    labels = [(c, reads[c.passage].lines[c.line].label) for c in ranked]
    fits = {(c.passage, label) for c, label in labels if label and label <= w.asked}
    best = {(p, a) for p, a in fits if not any(p == q and a < b for q, b in fits)}
    passages = {p for p, _ in best}
    return [c for c, label in labels if not label or c.passage not in passages or (c.passage, label) in best]


def _matches(w: Weighing, r: Read, li: int, document: Stems) -> tuple[dict[str, float], list[str]]:
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


def _leaning(w: Weighing, line: Line) -> float:
    """What speaks for or against a line beside its words: what is expected, whose case, its form, its meaning."""
    score = 0.0
    for expect in w.question.expects:
        fits = holds(expect, line.shown)
        score += 0.0 if fits is None else 0.12 if fits else -0.3
    score += 0.25 * min(len(w.limits.prefer & line.own), 2)
    if line.label:
        score += 0.12 if line.label <= w.asked else -0.06
    if w.question.rule:
        score += 0.12 if _RULES.search(line.shown) else 0.0
    if len(line.own) < 3 and line.unit.shape is Shape.SENTENCE:
        score -= 0.15
    if line.shown.endswith("?"):
        score -= 0.35
    elif line.shown.endswith(":"):
        score -= 0.15
    return score + 0.35 * max(w.similar.get(line.shown, USUAL) - USUAL, -0.2)


def _options(term: Term, known: Stems) -> tuple[tuple[str, float], ...]:
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


def _share(w: Weighing, picked: Sequence[Candidate]) -> tuple[float, Stems]:
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
