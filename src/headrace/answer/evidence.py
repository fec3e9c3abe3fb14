"""Chooses the sentences of the passages that answer a question, or finds that none does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from headrace.answer.dates import Dates, dates_in
from headrace.answer.question import Question, Term
from headrace.answer.reading import DEMANDED, Line, Read, holds, read
from headrace.answer.units import Shape
from headrace.answer.weighing import (
    ENOUGH,
    FAR,
    Candidate,
    Limits,
    Weighing,
    covered,
    leaning,
    matched,
    routes,
    stand_ins,
)
from headrace.answer.wording import Expect
from headrace.answer.words import Stems, stem
from headrace.stores.knowledge import Passage

_EMPTY: Stems = frozenset()
MOST = 5
"""Lines of an answer, at most."""
SUPPLIED = frozenset({Expect.PRICE, Expect.DURATION})
"""What words alone tell of a line, whatever else it shares with the question; figures are in too many."""
STALE = 0.4
"""How much worse a line stands in a passage that a newer one contradicts."""


@dataclass(frozen=True, slots=True)
class Found:
    """Lines that answer: indexes of passage and line, in reading order of the best passage first."""

    lines: tuple[tuple[int, int], ...]
    score: float
    missing: tuple[str, ...] = ()


NOTHING = Found((), 0.0)


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
            options[term.stem] = found = stand_ins(term, self.known)
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
            self._slots(q, codes, named), routes(q), self.similar,
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
            at_hand = 0.25 if passage.document == w.limits.document else 0.0
            at_hand -= STALE if passage.superseded_by else 0.0
            prior = at_hand + 0.04 * (passage.score / best if best > 0 else 0.0) + 0.02 / (1 + pi)
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
        matches, own = matched(w, r, li, self.by_document[self.passages[pi].document])
        if w.terms and not own and not w.codes & line.own and not self._supplies(w, r, line):
            return None
        got = sum(w.weights[t] * m for t, m in matches.items())
        total = w.total or 1.0
        score = (got + 0.25 * sum(w.weights[t] for t in own)) / total if w.terms else 0.5
        score += 0.15 * len(w.asked & line.own) / (len(line.own) or 1)
        if not w.total:
            score += 0.2 if li == r.lead else 0.0
        return Candidate(pi, li, min(score, 1.5) + prior + leaning(w, line), matches)

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

    def _supplies(self, w: Weighing, r: Read, line: Line) -> bool:
        """Whether a line has what is asked of the thing that its passage's first sentence names: `How much is HAT170?`
        is answered by the fares in its row."""
        if not (w.codes and r.lead >= 0 and w.codes <= r.lines[r.lead].own):
            return False
        return any(holds(expect, line.shown) for expect in w.question.expects & SUPPLIED)

    # ---- choosing ----

    def choose(self, q: Question, terms: Sequence[Term], limits: Limits) -> Found:
        """The few lines that answer, or nothing and what no source speaks of."""
        w = self.weigh(q, terms, limits)
        missing = tuple(t.word for t in terms if t.stem in w.unknown)
        ranked = self.rank(w)
        if not ranked:
            return Found((), 0.0, missing)
        ranked = _by_label(w, ranked, self.reads)
        picked = self._supplied(w, ranked, self._pick(w, ranked))
        share, lacking = covered(w, picked)
        if q.rule and self._off_subject(w, picked[0]):
            share *= 0.6
        for expect in w.question.expects & DEMANDED:
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

    def _supplied(self, w: Weighing, ranked: Sequence[Candidate], picked: list[Candidate]) -> list[Candidate]:
        """With the lines of the best passage that have what is asked of the thing named, where no picked one has it or
        where it is told for each of several cases (`Economy: ... at $151`)."""
        r = self.reads[picked[0].passage]
        for expect in w.question.expects & SUPPLIED:
            if any(holds(expect, self._line(c).shown) and not self._line(c).label for c in picked):
                continue
            beside = [c for c in ranked if c.passage == picked[0].passage and c not in picked]
            lines = [c for c in beside if self._supplies(w, r, line := self._line(c)) and holds(expect, line.shown)]
            picked += lines[: MOST - len(picked)]
        return picked

    def _most(self, w: Weighing, best: Candidate, other: Candidate) -> int:
        """Three lines; more where a list is asked for, or where one list holds them all."""
        a, b = self._line(best).unit, self._line(other).unit
        together = best.passage == other.passage and a.shape is b.shape is Shape.ITEM and a.heading == b.heading
        return MOST if w.question.many else 4 if together else 3

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


def _wordy(own: Stems) -> Stems:
    return frozenset(s for s in own if not s[:1].isdigit())


def _by_label(w: Weighing, ranked: Sequence[Candidate], reads: Sequence[Read]) -> list[Candidate]:
    """Where a label is what was asked for (`Basic economy:`), its passage's lines under other labels do not answer."""
    labels = [(c, reads[c.passage].lines[c.line].label) for c in ranked]
    fits = {(c.passage, label) for c, label in labels if label and label <= w.asked}
    best = {(p, a) for p, a in fits if not any(p == q and a < b for q, b in fits)}
    passages = {p for p, _ in best}
    return [c for c, label in labels if not label or c.passage not in passages or (c.passage, label) in best]
