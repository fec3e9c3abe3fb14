"""Passages taken apart into lines of words, and what a line must hold to be an answer of a kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from headrace.answer.units import Shape, Unit, display, split
from headrace.answer.wording import Expect
from headrace.answer.words import TOKEN, Stems, is_code, is_stop, stem, stems
from headrace.knowledge.tables import columns_above, headless

_EMPTY: Stems = frozenset()
_BLANK = re.compile(r"\n[ \t]*\n")


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
    columns = columns_above(heading) if headless(text) else ""
    units = split(text, bool(columns))
    until = _BLANK.search(text.rstrip())
    above = frozenset(stems(heading))
    lines: list[Line] = []
    for unit in units:
        header = text[units[unit.parent].start : units[unit.parent].end] if unit.parent >= 0 else None
        goes_on = header is None and (until is None or unit.end <= until.start())
        shown = display(text, unit, columns if goes_on else header)
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


_NUMBER_WORD = (
    r"zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|fifty|hundred|half|once|twice|"
    r"no|none|unlimited|single|a"
)
_HOLDS: Mapping[Expect, re.Pattern[str]] = {
    Expect.PRICE: re.compile(
        r"[$€£¥]\s?\d|\b\d[\d.,]*\s?(?:%|percent|dollars?|usd|euros?|eur|pounds?|cents?|francs?|points)|"
        r"\b(?:free|included)\b|\bno\s+(?:extra\s+)?(?:charge|cost|fee)|[$€£¥]|\b(?:price|difference)\b",
        re.I,
    ),
    Expect.AMOUNT: re.compile(r"\d|\b(?:free|half|none|nothing|unlimited)\b|\bno\s+(?:charge|cost|fee)|%", re.I),
    Expect.NUMBER: re.compile(rf"\d|\b(?:{_NUMBER_WORD})\b", re.I),
    Expect.TIME: re.compile(
        r"\d|\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\b(?:january|february|march|april|may|june|july|"
        r"august|september|october|november|december)\b|"
        r"\b(?:when|once|after|before|until|upon|immediately|daily|weekly|monthly|yearly|annually|always|never|"
        r"at\s+the\s+(?:end|start|beginning)|as\s+soon\s+as|during|midnight|noon|any\s+time)\b",
        re.I,
    ),
    Expect.DURATION: re.compile(
        rf"\b(?:\d[\d.,-]*|{_NUMBER_WORD}|several|few|an?)[\s-]+(?:\w+\s+){{0,2}}(?:seconds?|minutes?|mins?|"
        rf"hours?|hrs?|days?|weeks?|months?|years?|decades?|centur|quarters?|nights?)|"
        r"\b\d+\s?(?:ms|s|h|min)\b|\b(?:immediate|instant|daily|weekly|monthly|yearly|annual|every|per\s+(?:day|"
        r"week|month|year)|always|never|forever|lifetime|indefinite|until)",
        re.I,
    ),
}


DEMANDED = frozenset({Expect.PRICE, Expect.NUMBER, Expect.DURATION})
"""Without these a sentence is no answer, whatever else it shares with the question."""


def holds(expect: Expect, text: str) -> bool | None:
    """Whether a text can be an answer of that kind; None where words do not tell."""
    pattern = _HOLDS.get(expect)
    return None if pattern is None else bool(pattern.search(text))
