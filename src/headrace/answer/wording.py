"""How questions are worded in English: the patterns that tell what is asked for, of whom, and what it leans on."""

from __future__ import annotations

import re
from enum import Enum

from headrace.answer.words import stem


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
    """How a question leans on the one before: by a pronoun (`cancel it?`) or by leaving out (`and in economy?`)."""

    PRONOUN = "pronoun"
    ELLIPSIS = "ellipsis"


def listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


def stems_of(text: str) -> frozenset[str]:
    return frozenset(stem(w) for w in text.split())


OWN = re.compile(r"\b(?:my|mine|i|me|i'm|i’ve|i've|i'll|i’m|i'd|am\s+i|we|our|us)\b", re.I)
RULE = re.compile(
    r"\b(?:(?:can|could|may|might|must|should|shall|would|will|am)\s+(?:i|we)\b(?!\s+be\s+fly)|allowed|permitted|"
    r"(?:do|will|would)\s+(?:i|we)\s+(?:need|have\s+to|get|pay|lose|qualify|still)|how\s+(?:do|can|could|should|"
    r"would)\s+(?:i|we)|"
    r"what\s+(?:happens|if|do\s+i\s+do|should\s+i)|is\s+it\s+possible|(?:can|could|may|must)\s+(?:my|it|they|"
    r"that|this|one)\b|"
    r"i\s+(?:need|have)\s+to|i\s+(?:can|could|may|must|should)|eligible|entitled)",
    re.I,
)
NEEDS = re.compile(
    r"\b(?:what|which|who|whose|when|where|whats|what's)\b.*\b(?:my|mine)\b"
    r"|\b(?:show|list|give|tell|find|look\s+up|read|check)\b.*\bmy\b"
    r"|\b(?:do|did|have|am|was)\s+i\s+(?:have|had|got|order|book|bought|buy|spend|spent|paid|pay|fly|flying|"
    r"travel|due|"
    r"scheduled|registered|enrolled|own|reserve|reserved|ordered|booked)\b|\bwho\s+am\s+i\b|\bam\s+i\s+(?:a|an)\b"
    r"|\b(?:is|are|was|were|has|have|did|does)\s+(?:any\s+of\s+)?my\b",
    re.I,
)
MAY_NEED = re.compile(r"\bhow\s+(?:long|much|many|old)\b.*\b(?:my|mine)\b", re.I)
YES_NO = re.compile(r"^\s*(?:and\s+|so\s+)?(?:is|are|was|were|has|have|had|did|does|will|am)\b", re.I)
PRESENT = re.compile(
    r"^\s*(?:and\s+|so\s+)?(?:is|are|has|have)\b|\b(?:status|state)\s+of\b|\b(?:now|currently)\b", re.I
)
"""How things stand, and not how they were or will be."""
EXISTS = re.compile(
    r"\b(?:do|did|have)\s+i\s+(?:already\s+)?(?:have|had|got|book|booked|order|ordered|own)?\s*(?:an?|any|some|"
    r"another)\b",
    re.I,
)
MEASURE = re.compile(r"\bhow\s+(big|large|old|far|fast|small|expensive)\b|\bat\s+what\s+(age)\b", re.I)
COUNT = re.compile(r"\b(?:how\s+many|number\s+of|count)\b", re.I)
EXPECTS: tuple[tuple[Expect, re.Pattern[str]], ...] = (
    (
        Expect.PRICE,
        re.compile(
            r"\b(?:(?:what|which|how\s+much|how\s+high|at\s+what)\b.*\b(?:prices?|costs?|fees?|fares?|charges?|"
            r"charged?)\b|"
            r"how\s+expensive|(?:price|cost)\s+of|how\s+much\s+(?:money|(?:is|are|does|do|did|will|"
            r"would)\b(?!.*\bweigh)))",
            re.I,
        ),
    ),
    (Expect.AMOUNT, re.compile(r"\bhow\s+much\b", re.I)),
    (
        Expect.NUMBER,
        re.compile(
            r"\b(?:how\s+(?:many|heavy|big|large|tall|wide|high|deep|old|far|hot|cold|thick)|at\s+what\s+age|"
            r"what\s+(?:number|percentage|percent)|number\s+of)\b",
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
SELECTORS: tuple[tuple[Selector, re.Pattern[str]], ...] = (
    (
        Selector.AFTER,
        re.compile(
            r"\b(?:(?:the\s+)?(?:next|following)\s+day|the\s+day\s+after|ones?\s+(?:right\s+)?(?:after|"
            r"following|thereafter)|following\s+one|after\s+(?:that|this|it|those)(?:\s+one)?\s*[?.!]*$|"
            r"(?:comes?|is)\s+(?:after|next)|subsequent|next\s+one|(?:and|"
            r"what)\s+(?:about\s+)?(?:the\s+)?next\s*[?.!]*$|and\s+then\s*[?.!]*$|\w+\s+after\s+(?:that|this|it)\b)",
            re.I,
        ),
    ),
    (
        Selector.BEFORE,
        re.compile(
            r"\b(?:the\s+day\s+before|(?:the\s+)?previous\s+day|ones?\s+(?:right\s+)?before|before\s+(?:that|"
            r"this|it)(?:\s+one)?\s*[?.!]*$|previous\s+one|preceding)",
            re.I,
        ),
    ),
    (Selector.NEXT, re.compile(r"\b(?:next|upcoming|soonest|coming\s+up|forthcoming)\b", re.I)),
    (Selector.LATEST, re.compile(r"\b(?:latest|newest|most\s+recent(?:ly)?|recent)\b", re.I)),
    (Selector.LAST, re.compile(r"\b(?:last|previous(?:ly)?|past|prior)\b", re.I)),
    (Selector.FIRST, re.compile(r"\b(?:first|earliest|oldest)\b", re.I)),
)
ELLIPSIS = re.compile(
    r"^\s*(?:and|or|but|also|so|ok(?:ay)?,?)\b|^\s*(?:what|how)\s+about\b|^\s*(?:same|instead)\b"
    r"|^\s*(?:in|on|for|with|at|to|from|by|after|before|without)\b(?:\s+[\w-]+){1,5}\s*\??\s*$",
    re.I,
)
FULL = re.compile(
    r"\b(?:who|what|which|when|where|why|how)\b(?!\s+about).*\b(?:is|are|was|were|do|does|did|can|could|will|"
    r"would|should|may|must|has|have)\b"
    r"|^\s*(?:and|or|but|also|so)?,?\s*(?:can|could|may|is|are|do|does|did|will|would|should|am|has|have|must)\b",
    re.I,
)
PRONOUN = re.compile(
    r"\b(?:its?|they|them|their|theirs|these|those|he|him|his|she|her|this|ones?)\b|"
    r"\bthat(?:\s+one)?\s*[?.!]*$|^\s*(?:and\s+)?(?:is|was|does|did|can|will|would|has|could)\s+that\b|"
    r"\b(?:about|for|of|with|on|after|before|by)\s+that\b|^\s*(?:and\s+)?(?:why|when|where)\s*[?.!]*$",
    re.I,
)
EXPLETIVE = re.compile(
    r"\bit\s+(?:take|takes|possible|okay|ok|allowed|true|safe|necessary|normal|common|mean)\b|\bno\s*one\b|"
    r"\bthis\s+(?:week|month|year)\b|"
    r"\bthose\s+who\b|\bone\s+of\b|\bone\s+(?:way|day|week|month|year|hour)\b|\bwhich\s+ones?\b",
    re.I,
)
VERB_BEFORE = listed(
    "to can could may might must should shall will would i we you they it do does did dont don't cannot "
    "can't please how never always he she"
)
SELECTOR_WORDS = listed(
    "next upcoming soonest latest newest recent last previous past first earliest oldest following prior "
    "subsequent forthcoming recently previously"
)
ATTRIBUTION = re.compile(
    r"\b(?:according\s+to|(?:as\s+)?(?:described|mentioned|stated|discussed)\s+(?:in|by))\s+(?:the\s+|an?\s+|"
    r"your\s+|his\s+|her\s+)?"
    r"(?:[A-Z]\S*(?:\s+[A-Z][^\s?]*)*|\w+)(?=\s*[?,.]|\s*$)"
)
"""Who says so is not what is asked."""
PHRASES = {
    "money back": "refund",
    "call off": "cancel",
    "get rid of": "remove",
    "sign up": "register",
    "log in": "login",
    "sign in": "login",
    "opening hours": "open hours",
    "opening times": "open hours",
    "right now": "now",
    "at the moment": "now",
}
PHRASES_IN = re.compile("|".join(rf"\b{p.replace(' ', chr(92) + 's+')}\b" for p in PHRASES), re.I)
LIST = re.compile(r"^\s*(?:and\s+)?(?:which|what|list|show|are\s+there)\b(?=.*\b[^\W\d_]{2,}[^su\W]s\b)", re.I)
ROUTE = re.compile(r"\b(from|to)\s+(?!(?:my|the|a|an)\b)([^\W\d_][\w-]+)", re.I)


PRICE = stems_of("price cost fee charge fare rate expensive")
PAYING = PRICE | stems_of("pay paid spend spent")
ATTRIBUTES = stems_of("number code")
