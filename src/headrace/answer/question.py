"""A question understood without a model: what it names, what it asks for, whom and what it refers to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from headrace.answer.dates import Dates, asked_dates, local_day
from headrace.answer.focus import Focus, last_focus
from headrace.answer.words import TOKEN, is_code, is_general, is_stop, stem, stems
from headrace.stores import Fact, Object, Profile, Turn


class Selector(Enum):
    """Which of several, by time."""

    NEXT = "next"
    LAST = "last"
    LATEST = "latest"
    FIRST = "first"
    AFTER = "after"
    BEFORE = "before"


class Expect(Enum):
    """What a sentence must hold to be an answer."""

    PRICE = "price"
    AMOUNT = "amount"
    NUMBER = "number"
    TIME = "time"
    DURATION = "duration"
    PERSON = "person"
    PLACE = "place"
    REASON = "reason"


class Follow(Enum):
    """How a question leans on the one before: by a pronoun (`can I cancel it?`) or by leaving out (`and in economy?`)."""

    PRONOUN = "pronoun"
    ELLIPSIS = "ellipsis"


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
    exists: bool
    many: bool
    routes: tuple[tuple[str, str], ...]
    follow: Follow | None
    focus: Focus | None

    @property
    def empty(self) -> bool:
        return not (self.terms or self.codes or self.dates or self.selector)


_OWN = re.compile(r"\b(?:my|mine|i|me|i'm|i’ve|i've|i'll|i’m|i'd|am\s+i|we|our|us)\b", re.I)
_MY = re.compile(r"\b(?:my|mine|our|i|i've|i’ve)\b", re.I)
_RULE = re.compile(
    r"\b(?:(?:can|could|may|might|must|should|shall|would|will|am)\s+(?:i|we)\b(?!\s+be\s+fly)|allowed|permitted|"
    r"(?:do|will|would)\s+(?:i|we)\s+(?:need|have\s+to|get|pay|lose|qualify|still)|how\s+(?:do|can|could|should|would)\s+(?:i|we)|"
    r"what\s+(?:happens|if|do\s+i\s+do|should\s+i)|is\s+it\s+possible|(?:can|could|may|must)\s+(?:my|it|they|that|this|one)\b|"
    r"i\s+(?:need|have)\s+to|i\s+(?:can|could|may|must|should)|eligible|entitled)",
    re.I,
)
_NEEDS = re.compile(
    r"\b(?:what|which|who|whose|when|where|whats|what's)\b.*\b(?:my|mine)\b"
    r"|\b(?:show|list|give|tell|find|look\s+up|read|check)\b.*\bmy\b"
    r"|\b(?:do|did|have|am|was)\s+i\s+(?:have|had|got|order|book|bought|buy|spend|spent|paid|pay|fly|flying|travel|due|"
    r"scheduled|registered|enrolled|own|reserve|reserved|ordered|booked)\b|\bwho\s+am\s+i\b|\bam\s+i\s+(?:a|an)\b"
    r"|\b(?:is|are|was|were|has|have|did|does)\s+(?:any\s+of\s+)?my\b",
    re.I,
)
_MAY_NEED = re.compile(r"\bhow\s+(?:long|much|many|old)\b.*\b(?:my|mine)\b", re.I)
_YES_NO = re.compile(r"^\s*(?:and\s+|so\s+)?(?:is|are|was|were|has|have|had|did|does|will|am)\b", re.I)
_EXISTS = re.compile(
    r"\b(?:do|did|have)\s+i\s+(?:already\s+)?(?:have|had|got|book|booked|order|ordered|own)?\s*(?:an?|any|some|another)\b",
    re.I,
)
_MEASURE = re.compile(r"\bhow\s+(big|large|old|far|fast|small|expensive)\b|\bat\s+what\s+(age)\b", re.I)
_COUNT = re.compile(r"\b(?:how\s+many|number\s+of|count)\b", re.I)
_EXPECTS: tuple[tuple[Expect, re.Pattern[str]], ...] = (
    (
        Expect.PRICE,
        re.compile(
            r"\b(?:(?:what|which|how\s+much|how\s+high|at\s+what)\b.*\b(?:prices?|costs?|fees?|fares?|charges?|charged?)\b|"
            r"how\s+expensive|(?:price|cost)\s+of|how\s+much\s+(?:money|(?:is|are|does|do|did|will|would)\b(?!.*\bweigh)))",
            re.I,
        ),
    ),
    (Expect.AMOUNT, re.compile(r"\bhow\s+much\b", re.I)),
    (
        Expect.NUMBER,
        re.compile(
            r"\b(?:how\s+(?:many|heavy|big|large|tall|wide|high|deep|old|far|hot|cold|thick)|at\s+what\s+age|what\s+(?:number|percentage|percent)|number\s+of)\b",
            re.I,
        ),
    ),
    (Expect.DURATION, re.compile(r"\bhow\s+(?:long|soon|quickly|fast|often)\b", re.I)),
    (
        Expect.TIME,
        re.compile(
            r"\b(?:when|what\s+(?:time|date|day|year|month)|which\s+(?:day|date|year|month)|what.{0,16}deadline)\b",
            re.I,
        ),
    ),
    (Expect.PERSON, re.compile(r"\b(?:who|whom|whose)\b", re.I)),
    (Expect.PLACE, re.compile(r"\bwhere\b", re.I)),
    (Expect.REASON, re.compile(r"\b(?:why|what\s+(?:caused|causes)|reason)\b", re.I)),
)
_SELECTORS: tuple[tuple[Selector, re.Pattern[str]], ...] = (
    (
        Selector.AFTER,
        re.compile(
            r"\b(?:(?:the\s+)?(?:next|following)\s+day|the\s+day\s+after|ones?\s+(?:right\s+)?(?:after|following|thereafter)|following\s+one|after\s+(?:that|this|it|those)(?:\s+one)?\s*[?.!]*$|"
            r"(?:comes?|is)\s+(?:after|next)|subsequent|next\s+one|(?:and|what)\s+(?:about\s+)?(?:the\s+)?next\s*[?.!]*$|and\s+then\s*[?.!]*$|\w+\s+after\s+(?:that|this|it)\b)",
            re.I,
        ),
    ),
    (
        Selector.BEFORE,
        re.compile(
            r"\b(?:the\s+day\s+before|(?:the\s+)?previous\s+day|ones?\s+(?:right\s+)?before|before\s+(?:that|this|it)(?:\s+one)?\s*[?.!]*$|previous\s+one|preceding)",
            re.I,
        ),
    ),
    (Selector.NEXT, re.compile(r"\b(?:next|upcoming|soonest|coming\s+up|forthcoming)\b", re.I)),
    (Selector.LATEST, re.compile(r"\b(?:latest|newest|most\s+recent(?:ly)?|recent)\b", re.I)),
    (Selector.LAST, re.compile(r"\b(?:last|previous(?:ly)?|past|prior)\b", re.I)),
    (Selector.FIRST, re.compile(r"\b(?:first|earliest|oldest)\b", re.I)),
)
_ELLIPSIS = re.compile(
    r"^\s*(?:and|or|but|also|so|ok(?:ay)?,?)\b|^\s*(?:what|how)\s+about\b|^\s*(?:same|instead)\b"
    r"|^\s*(?:in|on|for|with|at|to|from|by|after|before|without)\b(?:\s+[\w-]+){1,5}\s*\??\s*$",
    re.I,
)
_FULL = re.compile(
    r"\b(?:who|what|which|when|where|why|how)\b(?!\s+about).*\b(?:is|are|was|were|do|does|did|can|could|will|would|should|may|must|has|have)\b"
    r"|^\s*(?:and|or|but|also|so)?,?\s*(?:can|could|may|is|are|do|does|did|will|would|should|am|has|have|must)\b",
    re.I,
)
_PRONOUN = re.compile(
    r"\b(?:its?|they|them|their|theirs|these|those|he|him|his|she|her|this|ones?)\b|"
    r"\bthat(?:\s+one)?\s*[?.!]*$|^\s*(?:and\s+)?(?:is|was|does|did|can|will|would|has|could)\s+that\b|"
    r"\b(?:about|for|of|with|on|after|before|by)\s+that\b|^\s*(?:and\s+)?(?:why|when|where)\s*[?.!]*$",
    re.I,
)
_EXPLETIVE = re.compile(
    r"\bit\s+(?:take|takes|possible|okay|ok|allowed|true|safe|necessary|normal|common|mean)\b|\bno\s*one\b|\bthis\s+(?:week|month|year)\b|"
    r"\bthose\s+who\b|\bone\s+of\b|\bone\s+(?:way|day|week|month|year|hour)\b|\bwhich\s+ones?\b",
    re.I,
)
_VERB_BEFORE = frozenset(
    [
        "to",
        "can",
        "could",
        "may",
        "might",
        "must",
        "should",
        "shall",
        "will",
        "would",
        "i",
        "we",
        "you",
        "they",
        "it",
        "do",
        "does",
        "did",
        "dont",
        "don't",
        "cannot",
        "can't",
        "please",
        "how",
        "never",
        "always",
        "he",
        "she",
    ]
)
_SELECTOR_WORDS = frozenset(
    stem(w)
    for w in [
        "next",
        "upcoming",
        "soonest",
        "latest",
        "newest",
        "recent",
        "last",
        "previous",
        "past",
        "first",
        "earliest",
        "oldest",
        "following",
        "prior",
        "subsequent",
        "forthcoming",
        "recently",
        "previously",
    ]
)
_ATTRIBUTION = re.compile(
    r"\b(?:according\s+to|(?:as\s+)?(?:described|mentioned|stated|discussed)\s+(?:in|by))\s+(?:the\s+|an?\s+|your\s+|his\s+|her\s+)?"
    r"(?:[A-Z]\S*(?:\s+[A-Z][^\s?]*)*|\w+)(?=\s*[?,.]|\s*$)"
)
"""Who says so is not what is asked."""
_PHRASES = {
    "money back": "refund",
    "call off": "cancel",
    "get rid of": "remove",
    "sign up": "register",
    "log in": "login",
    "sign in": "login",
    "opening hours": "open hours",
    "opening times": "open hours",
}
_PHRASES_IN = re.compile("|".join(rf"\b{p.replace(' ', chr(92) + 's+')}\b" for p in _PHRASES), re.I)
_LIST = re.compile(r"^\s*(?:and\s+)?(?:which|what|list|show|are\s+there)\b(?=.*\b[^\W\d_]{2,}[^su\W]s\b)", re.I)
_ROUTE = re.compile(r"\b(from|to)\s+(?!(?:my|the|a|an)\b)([^\W\d_][\w-]+)", re.I)


def understand(text: str, history: Sequence[Turn], now: int, zone: int = 0) -> Question:
    """Reads a question, leaning on the conversation where the question does. Never raises."""
    dates = asked_dates(text, local_day(now, zone))
    bare = _ATTRIBUTION.sub(" ", _without(text, dates))
    bare = _PHRASES_IN.sub(lambda m: _PHRASES[" ".join(m.group().lower().split())], bare)
    focus = last_focus(history)
    selector = next((s for s, pattern in _SELECTORS if pattern.search(bare)), None)
    codes = tuple(dict.fromkeys(w.upper() for w in TOKEN.findall(bare) if is_code(w)))
    terms = _terms(bare, codes, selector)
    follow = _follow(bare, terms, selector) if focus else None
    if selector in (Selector.AFTER, Selector.BEFORE) and not follow:
        selector = Selector.NEXT if selector is Selector.AFTER else Selector.LAST
    own = bool(_OWN.search(bare))
    rule = bool(_RULE.search(bare))
    return Question(
        text=" ".join(text.split()),
        terms=terms,
        codes=codes,
        dates=dates,
        expects=frozenset(e for e, pattern in _EXPECTS if pattern.search(bare)),
        selector=selector,
        own=own or bool(follow and focus and focus.own and not codes),
        needs_owner=own and not rule and bool(_NEEDS.search(bare)),
        may_need=own and not rule and bool(_MAY_NEED.search(bare)),
        rule=rule,
        count=bool(_COUNT.search(bare)),
        yes_no=bool(_YES_NO.search(bare)),
        exists=bool(_EXISTS.search(bare)),
        many=bool(_LIST.search(bare)),
        routes=tuple((m[1].lower(), m[2]) for m in _ROUTE.finditer(bare) if not is_stop(m[2])),
        follow=follow,
        focus=focus if follow else None,
    )


def _without(text: str, dates: Sequence[Dates]) -> str:
    out, at = "", 0
    for days in dates:
        out += text[at : days.start] + " " * (days.end - days.start)
        at = days.end
    return out + text[at:]


_PRICE = frozenset(stem(w) for w in ["price", "cost", "fee", "charge", "fare", "rate", "expensive"])
PAYING = _PRICE | frozenset(stem(w) for w in "pay paid spend spent".split())
_ATTRIBUTES = frozenset(stem(w) for w in ["number", "code"])


def _terms(text: str, codes: Sequence[str], selector: Selector | None) -> tuple[Term, ...]:
    found: dict[str, Term] = {}
    before = ""
    asks = {stem(w) for m in _MEASURE.finditer(text) for w in m.groups() if w}
    if any(e is Expect.PRICE and pattern.search(text) for e, pattern in _EXPECTS):
        asks |= _PRICE
    for match in TOKEN.finditer(text):
        word = match.group()
        if not is_stop(word) and word.upper() not in codes:
            s = stem(word)
            if not (selector and s in _SELECTOR_WORDS):
                general = s in asks or is_general(s)
                if s in _ATTRIBUTES and before and not is_stop(before) and not is_general(stem(before)):
                    general = False  # `seat number` names a thing, `number of seats` asks for one
                found.setdefault(s, Term(word, s, soft=before in _VERB_BEFORE and word.islower(), general=general))
        before = word.casefold()
    return tuple(found.values())


def _follow(text: str, terms: Sequence[Term], selector: Selector | None) -> Follow | None:
    if selector in (Selector.AFTER, Selector.BEFORE):
        return Follow.ELLIPSIS
    if _ELLIPSIS.search(text) and not _FULL.search(text):
        return Follow.ELLIPSIS
    named = [t for t in terms if not t.general]
    if _PRONOUN.search(_EXPLETIVE.sub(" ", text)):
        return Follow.PRONOUN
    if not named or (len(named) <= 2 and len(text.split()) <= 3):
        return Follow.ELLIPSIS
    return Follow.PRONOUN if _ELLIPSIS.search(text) else None


def retrieval_queries(
    question: str,
    history: Sequence[Turn],
    now: int,
    zone: int = 0,
    profile: Profile | None = None,
    facts: Sequence[Fact] = (),
) -> list[str]:
    """One or two texts to search for: the question made to stand alone, and what it asks of the asker's own case.

    Dates are also written as YYYY-MM-DD, what was left out is taken from the conversation's focus.
    """
    q = understand(question, history, now, zone)
    first = _standalone(q, facts)
    case = _case(q, profile, facts or (profile.facts if profile else ()))
    queries = [first]
    if case and (q.rule or q.own):
        queries.append(f"{q.text} {case}")
    return queries


def _standalone(q: Question, facts: Sequence[Fact]) -> str:
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
