"""A question understood without a model: what it names, what it asks for, whom and what it refers to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from headrace.answer.dates import Dates, asked_dates, local_day
from headrace.answer.focus import Focus, last_focus
from headrace.answer.wording import (
    ATTRIBUTES,
    ATTRIBUTION,
    COUNT,
    ELLIPSIS,
    EXISTS,
    EXPECTS,
    EXPLETIVE,
    FULL,
    LIST,
    MAY_NEED,
    MEASURE,
    NEEDS,
    OWN,
    PHRASES,
    PHRASES_IN,
    PRESENT,
    PRICE,
    PRONOUN,
    ROUTE,
    RULE,
    SELECTOR_WORDS,
    SELECTORS,
    VERB_BEFORE,
    YES_NO,
    Expect,
    Follow,
    Selector,
)
from headrace.answer.words import TOKEN, is_code, is_general, is_stop, stem, stems
from headrace.stores.conversations import Turn
from headrace.stores.profiles import Fact, Profile
from headrace.stores.values import Object


@dataclass(frozen=True, slots=True)
class Term:
    """A content word. `soft`: a verb that may well be said otherwise; `general`: it merely asks."""

    word: str
    stem: str
    soft: bool = False
    general: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """`own`: about the asker; `needs_owner`: it cannot be answered without knowing who asks; `rule`: asks what one may
    or must do. `focus` and `follow` are set for a follow-up only."""

    text: str
    terms: tuple[Term, ...]
    codes: tuple[str, ...]
    dates: tuple[Dates, ...]
    expects: frozenset[Expect]
    selector: Selector | None
    own: bool
    needs_owner: bool
    """Of the asker's own data, and of nothing else."""
    may_need: bool
    """Perhaps of the asker's own data."""
    rule: bool
    count: bool
    yes_no: bool
    present: bool
    """How a thing with a code stands, on no day that is named: today's row of it is meant, where there is one."""
    exists: bool
    many: bool
    routes: tuple[tuple[str, str], ...]
    follow: Follow | None
    focus: Focus | None

    @property
    def empty(self) -> bool:
        return not (self.terms or self.codes or self.dates or self.selector)


def understand(text: str, history: Sequence[Turn], now: int, zone: int = 0) -> Question:
    """Reads a question, leaning on the conversation where the question does. Never raises."""
    dates = asked_dates(text, local_day(now, zone))
    bare = ATTRIBUTION.sub(" ", _without(text, dates))
    bare = PHRASES_IN.sub(lambda m: PHRASES[" ".join(m.group().lower().split())], bare)
    focus = last_focus(history)
    selector = next((s for s, pattern in SELECTORS if pattern.search(bare)), None)
    codes = tuple(dict.fromkeys(w.upper() for w in TOKEN.findall(bare) if is_code(w)))
    terms = _terms(bare, codes, selector)
    follow = _follow(bare, terms, selector) if focus else None
    if selector in (Selector.AFTER, Selector.BEFORE) and not follow:
        selector = Selector.NEXT if selector is Selector.AFTER else Selector.LAST
    own = bool(OWN.search(bare))
    rule = bool(RULE.search(bare))
    return Question(
        text=" ".join(text.split()),
        terms=terms,
        codes=codes,
        dates=dates,
        expects=frozenset(e for e, pattern in EXPECTS if pattern.search(bare)),
        selector=selector,
        own=own or bool(follow and focus and focus.own and not codes),
        needs_owner=own and not rule and bool(NEEDS.search(bare)),
        may_need=own and not rule and bool(MAY_NEED.search(bare)),
        rule=rule,
        count=bool(COUNT.search(bare)),
        yes_no=bool(YES_NO.search(bare)),
        present=bool(codes and not dates and not follow and PRESENT.search(bare)),
        exists=bool(EXISTS.search(bare)),
        many=bool(LIST.search(bare)),
        routes=tuple((m[1].lower(), m[2]) for m in ROUTE.finditer(bare) if not is_stop(m[2])),
        follow=follow,
        focus=focus if follow else None,
    )


def _without(text: str, dates: Sequence[Dates]) -> str:
    out, at = "", 0
    for days in dates:
        out += text[at : days.start] + " " * (days.end - days.start)
        at = days.end
    return out + text[at:]


def _terms(text: str, codes: Sequence[str], selector: Selector | None) -> tuple[Term, ...]:
    found: dict[str, Term] = {}
    before = ""
    asks = {stem(w) for m in MEASURE.finditer(text) for w in m.groups() if w}
    if any(e is Expect.PRICE and pattern.search(text) for e, pattern in EXPECTS):
        asks |= PRICE
    for match in TOKEN.finditer(text):
        word = match.group()
        if not is_stop(word) and word.upper() not in codes:
            s = stem(word)
            if not (selector and s in SELECTOR_WORDS):
                general = s in asks or is_general(s)
                if s in ATTRIBUTES and before and not is_stop(before) and not is_general(stem(before)):
                    general = False  # `seat number` names a thing, `number of seats` asks for one
                found.setdefault(s, Term(word, s, soft=before in VERB_BEFORE and word.islower(), general=general))
        before = word.casefold()
    return tuple(found.values())


def _follow(text: str, terms: Sequence[Term], selector: Selector | None) -> Follow | None:
    if selector in (Selector.AFTER, Selector.BEFORE):
        return Follow.ELLIPSIS
    if ELLIPSIS.search(text) and not FULL.search(text):
        return Follow.ELLIPSIS
    named = [t for t in terms if not t.general]
    if PRONOUN.search(EXPLETIVE.sub(" ", text)):
        return Follow.PRONOUN
    if not named or (len(named) <= 2 and len(text.split()) <= 3):
        return Follow.ELLIPSIS
    return Follow.PRONOUN if ELLIPSIS.search(text) else None


def retrieval_queries(
    question: str,
    history: Sequence[Turn],
    now: int,
    zone: int = 0,
    profile: Profile | None = None,
    facts: Sequence[Fact] = (),
) -> list[str]:
    """One or two texts to search for: the question made to stand alone, and what it asks of the asker's own case.

    Dates are also written as YYYY-MM-DD, today's too where it is asked how a thing stands; what was left out is taken
    from the conversation's focus.
    """
    q = understand(question, history, now, zone)
    first = _standalone(q, facts, local_day(now, zone))
    case = _case(q, profile, facts or (profile.facts if profile else ()))
    queries = [first]
    if case and (q.rule or q.own):
        queries.append(f"{q.text} {case}")
    return queries


def _standalone(q: Question, facts: Sequence[Fact], today: date) -> str:
    written = q.text.casefold()
    parts = [q.text, *(t.word for t in q.terms if t.word.casefold() not in written)]
    known = {t.stem for t in q.terms}
    days = q.dates
    if q.focus:
        days = days or shifted(q, q.focus.dates())
        if not q.codes:
            parts += q.focus.codes
        parts += [w for w in q.focus.words if stem(w) not in known]
        if q.focus.name and not set(stems(q.focus.name)) <= known:
            parts.append(q.focus.name)
    if q.present:
        parts.append(today.isoformat())
    parts += [d.first.isoformat() for d in days if d.first == d.last and d.first.isoformat() not in q.text]
    return " ".join(dict.fromkeys(parts))


def shifted(q: Question, days: Sequence[Dates]) -> tuple[Dates, ...]:
    """The days of a focus, moved by one where the question asks for the day after or before."""
    step = {Selector.AFTER: 1, Selector.BEFORE: -1}.get(q.selector, 0) if q.selector else 0
    return tuple(d.shifted(step) for d in days)


def _case(q: Question, profile: Profile | None, facts: Sequence[Fact]) -> str:
    values: list[str] = []
    for fact in facts:
        if q.focus and q.focus.is_fact(fact):
            values += [fact.name, *kinds(fact.fields)]
    if profile:
        values += kinds(profile.fields)
    return " ".join(dict.fromkeys(values))


def kinds(fields: Object) -> list[str]:
    """Values that say of what kind something is (`gold`, `basic economy`): one or two plain words, no names."""
    return [
        value
        for name, value in fields.items()
        if isinstance(value, str)
        and "name" not in name
        and value.replace(" ", "").isalpha()
        and len(value) > 2
        and len(value.split()) <= 2
    ]
