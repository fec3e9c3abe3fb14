"""Answers without a language model: the sentences and facts that answer, verbatim and cited, or a plain "not there"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from headrace.answer.asker import related, select
from headrace.answer.context import Answer, Citation, Context, Similarities, cited
from headrace.answer.dates import Dates, dates_in, local_day, on
from headrace.answer.evidence import NOTHING, Evidence, Found
from headrace.answer.facts import Own, codes_of, days_of
from headrace.answer.fields import about, profile_fact
from headrace.answer.focus import Focus
from headrace.answer.question import Term, kinds, shifted, understand
from headrace.answer.reading import Line, Read, holds
from headrace.answer.units import Shape
from headrace.answer.weighing import Limits
from headrace.answer.wording import PAYING, Expect, Follow
from headrace.answer.words import Stems, is_general, stem, stems
from headrace.stores.knowledge import Passage
from headrace.stores.profiles import Fact

NOT_THERE = "The sources do not answer this"
WHO = (
    "I do not know who is asking, so I cannot look this up for you. Ask as a user, by an identifier such as an e-mail "
    "address, and I will answer from that user's own data."
)
DOUBTFUL, DECIDED = 0.4, 0.9
"""Shares of a question's weight between which meaning may decide what words do not."""
WHAT = "Ask a question about what the sources hold, and I will answer from them."


def extract(context: Context, similarities: Similarities | None = None) -> Answer:
    """The answer to `context.question` from its passages, facts and profile. Pure; never raises for any text.

    `similarities` (or `context.similarities`) sharpen the choice among sentences; see `candidates`.
    """
    return _Extraction(context, similarities or context.similarities).run()


def candidates(context: Context, limit: int = 6) -> list[str]:
    """The texts whose similarity to the question may change the answer, best first; none where words decide it."""
    extraction = _Extraction(context, None)
    extraction.run()
    share = extraction.share
    return extraction.candidates(limit) if share is not None and DOUBTFUL <= share < DECIDED else []


@dataclass(slots=True)
class _Draft:
    """An answer being put together: citations and facts get their numbers in the order they are used."""

    passages: Sequence[Passage]
    parts: list[str] = field(default_factory=list[str])
    citations: list[Citation] = field(default_factory=list[Citation])
    facts: list[Fact] = field(default_factory=list[Fact])

    def fact_mark(self, fact: Fact) -> str:
        if fact not in self.facts:
            self.facts.append(fact)
        return f"[F{self.facts.index(fact) + 1}]"


class _Extraction:
    def __init__(self, context: Context, similar: Similarities | None) -> None:
        self.c = context
        self.q = understand(context.question, context.history, context.now, context.zone)
        self.today = local_day(context.now, context.zone)
        self.passages = context.passages
        self.evidence = Evidence(context.passages, self.today, similar)
        self.reads = self.evidence.reads
        self.share: float | None = None

    # ---- which way ----

    def run(self) -> Answer:
        q, c = self.q, self.c
        if q.empty and not q.follow:
            if q.own and c.profile:
                return self._own_answer(about(c.profile))
            return Answer(WHAT, True)
        if q.needs_owner and c.profile is None and not c.own_facts:
            return Answer(WHO, True)
        own = self._own()
        if own and own.whole and not q.rule:
            return self._own_answer(own)
        if own and own.facts and own.rest and not q.rule and (found := self._linked(own)).lines:
            return self._both(own, found)
        if own and own.nothing and not q.rule and not own.facts and (q.own or q.follow):
            return Answer(own.nothing, False, focus=self._focus(None, None, own).to_object())
        return self._from_sources(own)

    def _own(self) -> Own | None:
        """What of the asker's own the question means; None when it means nothing of theirs."""
        q, c = self.q, self.c
        facts = c.own_facts
        if c.profile is None and not facts:
            return None
        on_fact = q.follow is not None and q.focus is not None and q.focus.topic is not None
        coded = bool(q.codes) and any({x.upper() for x in codes_of(f)} & set(q.codes) for f in facts)
        if not (q.own or on_fact or coded):
            return None
        if q.follow and q.focus and q.focus.own and not q.focus.topic:
            q = replace(q, terms=self._asked()[0])
        own = select(q, c.profile, facts, c.now, c.zone)
        if Expect.PRICE in q.expects and own.facts and all(holds(Expect.PRICE, f.text) for f in own.facts):
            own = replace(own, rest=tuple(t for t in own.rest if t.stem not in PAYING))
        if coded and not q.own and not on_fact and own.rest:
            return replace(own, facts=(), stated="", nothing="")
        return own

    def _theirs(self) -> Own | None:
        """The asker's own that explains every word of a question that does not say whose it means."""
        c = self.c
        named = [t for t in self.q.terms if not t.general]
        if c.profile is None or self.q.rule or len(named) < 2:
            return None
        own = select(self.q, c.profile, c.own_facts, c.now, c.zone)
        return own if own.whole and own.facts[0].topic != "profile" else None

    # ---- evidence ----

    def _found(self, terms: Sequence[Term], limits: Limits) -> Found:
        found = self.evidence.choose(self.q, terms, limits)
        self.share = max(found.score, self.share or 0.0)
        return found

    def _asked(self) -> tuple[tuple[Term, ...], Stems, Sequence[str], Sequence[Dates]]:
        """Terms, those that may be spared, codes and days, with what a follow-up leaves out."""
        q = self.q
        focus = q.focus
        if focus is None:
            return q.terms, frozenset(), q.codes, q.dates
        known = {t.stem for t in q.terms}
        carried = tuple(Term(w, s, general=is_general(s)) for w in focus.words if (s := stem(w)) not in known)
        thin = not [t for t in q.terms if not t.general]
        terms = q.terms + carried if q.follow is Follow.ELLIPSIS or thin else q.terms
        days = q.dates or shifted(q, focus.dates())
        return terms, frozenset(t.stem for t in carried), q.codes or focus.codes, days

    def _linked(self, own: Own) -> Found:
        """Lines about the very thing the fact names (the flight's own row), for what the fact leaves open."""
        for fact in own.facts[:1]:
            days = days_of(fact, self.today)[:1]
            for code in codes_of(fact):
                if stem(code) in self.evidence.known:
                    found = self._found(own.rest, Limits((code,), days))
                    if found.lines:
                        return found
        return NOTHING

    def _from_sources(self, own: Own | None) -> Answer:
        q = self.q
        terms, spare, codes, dates = self._asked()
        prefer = own.prefer if own else frozenset[str]()
        must = frozenset[str]()
        if q.follow is Follow.ELLIPSIS:
            must = frozenset(t.stem for t in q.terms if not t.general and t.stem in self.evidence.known)
        found = NOTHING
        if not (own and own.facts):
            at_hand = q.focus.document if q.focus and q.follow is Follow.PRONOUN else None
            if q.present:  # a row of today, where there is one, tells how things stand
                found = self._found(terms, Limits(codes, (on(self.today),), must, prefer, spare, at_hand))
            if not found.lines:
                found = self._found(terms, Limits(codes, dates, must, prefer, spare, at_hand))
        fresh = [t for t in q.terms if not t.general]
        if not found.lines and (q.rule or own or (q.follow and (not codes or len(fresh) > 1))):
            aimed = self._rule_terms(own, terms if q.follow is Follow.ELLIPSIS and not codes else q.terms)
            gates = () if own and own.facts else q.codes
            found = self._found(aimed, Limits(gates, (), must, prefer, spare, general_only=True)) if aimed else NOTHING
        if not found.lines and own is None and (theirs := self._theirs()):
            return self._own_answer(theirs)
        if not found.lines:
            return Answer(WHO, True) if q.may_need and self.c.profile is None else self._abstain(found)
        if own and (own.facts or self.c.profile):
            return self._both(own, found)
        return self._answer(found)

    def _rule_terms(self, own: Own | None, terms: Sequence[Term]) -> tuple[Term, ...]:
        """The question's terms without those that only picked the fact: no rule speaks of them."""
        if own is None or not own.facts:
            return tuple(terms)
        open_terms = {t.stem for t in own.rest}
        kept = tuple(t for t in terms if t.stem in open_terms or t.stem in self.evidence.known)
        return kept or tuple(terms)

    def _entity_known(self, codes: Sequence[str]) -> bool:
        return not codes or any(stem(c) in r.everything for c in codes for r in self.reads)

    # ---- words ----

    def _abstain(self, found: Found) -> Answer:
        absent = [f"“{w}”" for w in found.missing][:3]
        unknown = [c for c in self.q.codes if not self._entity_known((c,))]
        absent = [f"“{c}”" for c in unknown] or absent
        tail = f": they say nothing about {' or '.join(absent)}." if absent else "."
        return Answer(NOT_THERE + tail, True, focus=self._focus(None, None, None).to_object())

    def _answer(self, found: Found) -> Answer:
        draft = _Draft(self.passages)
        self._quote(draft, found)
        return self._done(draft, found, None)

    def _own_answer(self, own: Own) -> Answer:
        draft = _Draft(self.passages)
        self._state(draft, own)
        return self._done(draft, None, own)

    def _both(self, own: Own, found: Found) -> Answer:
        draft = _Draft(self.passages)
        shown = self._lines_text(found)
        if len(own.facts) == 1 and own.more == 0:
            self._state(draft, own)
            self._deciding(draft, own.facts[0], shown)
        elif self.c.profile and (said := self._deciding_field(shown)):
            draft.parts.append(said.text + " " + draft.fact_mark(said))
        self._quote(draft, found)
        return self._done(draft, found, own)

    def _state(self, draft: _Draft, own: Own) -> None:
        if own.stated and len(own.facts) == 1 and own.facts[0].text == own.stated:
            draft.parts.append(f"{own.stated} {draft.fact_mark(own.facts[0])}")
            return
        lead = own.stated or own.lead
        if len(own.facts) == 1:
            draft.parts.append(f"{lead} {own.facts[0].text} {draft.fact_mark(own.facts[0])}".strip())
            return
        lines = [lead, *(f"- {f.text} {draft.fact_mark(f)}" for f in own.facts)]
        if own.more:
            lines.append(f"and {own.more} more.")
        draft.parts.append("\n".join(x for x in lines if x))

    def _deciding(self, draft: _Draft, fact: Fact, shown: Stems) -> None:
        """A related fact (the flight's reservation) and the profile's field, where the quoted rule speaks of them."""
        kinds_of_fact = frozenset(s for f in self.c.own_facts for s in stems(f.name))
        known = kinds_of_fact | frozenset(stems(fact.text))
        for other in related(fact, self.c.own_facts)[:6]:
            named = frozenset(s for n in other.fields for s in stems(n.replace("_", " "))) - known
            if named & shown:
                draft.parts.append(f"{other.text} {draft.fact_mark(other)}")
                break
        if said := self._deciding_field(shown):
            draft.parts.append(f"{said.text} {draft.fact_mark(said)}")

    def _deciding_field(self, shown: Stems) -> Fact | None:
        profile = self.c.profile
        if profile is None:
            return None
        for name, value in profile.fields.items():
            if isinstance(value, str) and kinds({name: value}) and set(stems(value)) and set(stems(value)) <= shown:
                return profile_fact(profile, {name: value}, f"Your {name.replace('_', ' ')} is {value}.")
        return None

    def _lines_text(self, found: Found) -> Stems:
        return frozenset[str]().union(*(self.reads[p].lines[i].own for p, i in found.lines))

    def _quote(self, draft: _Draft, found: Found) -> None:
        for run in _runs(found.lines, self.reads, self.passages):
            p = run[0][0]
            passage, r = self.passages[p], self.reads[p]
            first, last = r.lines[run[0][1]].unit, r.lines[run[-1][1]].unit
            draft.citations.append(cited(passage, first.start, last.end))
            text = self._run_text([r.lines[i] for _, i in run])
            draft.parts.append(f"{text} [{len(draft.citations)}]")

    def _run_text(self, run: Sequence[Line]) -> str:
        """The quotation as it reads; under its heading where that names what was asked for."""
        text = " ".join(line.shown for line in run)
        first = run[0]
        heading = first.unit.heading.rpartition(" › ")[2]
        asked = {stem(c) for c in self.q.codes} | {t.stem for t in self.q.terms}
        named = first.above or (dates_in(heading, self.today) if heading else ())
        if (heading and named and first.unit.shape is not Shape.HEADING and not set(stems(heading)) <= first.own) or (
            heading and any(s in asked for s in stems(heading)) and not set(stems(heading)) & first.own
        ):
            text = f"{heading}: {text}"
        return f"- {text}" if first.unit.shape is Shape.ITEM and not text.startswith(heading + ":") else text

    def _done(self, draft: _Draft, found: Found | None, own: Own | None) -> Answer:
        separator = "\n" if any("\n" in p or p.startswith("- ") for p in draft.parts) else " "
        return Answer(
            separator.join(draft.parts),
            False,
            tuple(draft.citations),
            tuple(draft.facts),
            self._focus(found, draft.citations[0].document if draft.citations else None, own).to_object(),
        )

    def _focus(self, found: Found | None, document: str | None, own: Own | None) -> Focus:
        """What the next question may lean on."""
        q = self.q
        terms, spare, codes, dates = self._asked()
        if found and found.lines and spare:  # what the follow-up replaced is no longer spoken of
            said = self._lines_text(found)
            terms = tuple(t for t in terms if t.stem not in spare or t.stem in said)
        fact = own.facts[0] if own and len(own.facts) >= 1 and own.facts[0].topic != "profile" else None
        single = fact is not None and own is not None and len(own.facts) == 1
        alike = fact is not None and own is not None and len({f.topic for f in own.facts}) == 1
        keep = q.focus if fact is None and q.focus and q.focus.topic else None
        return Focus(
            words=tuple(t.word for t in terms if not t.general)[:12],
            codes=tuple(codes),
            days=tuple((d.first, d.last) for d in dates),
            document=document,
            topic=fact.topic if fact and alike else keep.topic if keep else None,
            key=fact.key if fact and single else keep.key if keep else None,
            name=(own.name if own else None) or (keep.name if keep else None),
            time=fact.time if fact and single else keep.time if keep else None,
            own=q.own,
        )

    def candidates(self, limit: int) -> list[str]:
        terms, spare, codes, dates = self._asked()
        if not self.reads:
            return []
        ranked = self.evidence.rank(self.evidence.weigh(self.q, terms, Limits(codes, dates, spare=spare)))
        if not ranked and (codes or dates):
            ranked = self.evidence.rank(self.evidence.weigh(self.q, terms, Limits(spare=spare)))
        return list(dict.fromkeys(self.reads[x.passage].lines[x.line].shown for x in ranked))[:limit]


def _runs(
    lines: Sequence[tuple[int, int]], reads: Sequence[Read], passages: Sequence[Passage]
) -> list[list[tuple[int, int]]]:
    """Neighbouring sentences of one paragraph make one quotation."""
    runs: list[list[tuple[int, int]]] = []
    for p, i in lines:
        last = runs[-1][-1] if runs else None
        joins = (
            last is not None
            and last[0] == p
            and last[1] + 1 == i
            and reads[p].lines[last[1]].unit.block == reads[p].lines[i].unit.block
        )
        if joins:
            runs[-1].append((p, i))
        else:
            runs.append([(p, i)])
    return runs
