"""Of passages that state the same fact with different values the newest leads, and the older name it.

Two passages contest each other when, of all the query's words, both have as many as any passage has, about the same
thing, in a sentence of prose, and what else stands there differs in numbers, names or a few words. Rows of one table
never do: they are different things. Where documents state no dates and came in together, only sentences that are built
alike count, so that collections in which time says nothing stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from headrace.clock import now_us
from headrace.knowledge.terms import STOP, term, words
from headrace.stores.knowledge import Passage

Terms = frozenset[int]
LOOKED_AT = 16
"""Passages among which contests are looked for."""
APART_US = 60_000_000
"""Commits that are nearer to each other than this came in together."""
COVERED = 0.75
"""The share of the best passage's words of the query that a passage must have."""
ALIKE = 0.6
"""The share of words, values aside, that sentences built alike have in common."""
TOLD = 0.5
"""The share of the plainer sentence's words that must stand in the other, where they are not built alike."""
VALUES = 3
"""A statement of one fact differs in so few words of its value: a name of three parts, a number."""

_SENTENCE = re.compile(r"(?<=[.!?])[\"'”)]*\s+|\n+")
_CODE = re.compile(r"[{}<>=;|]|::|\w\(|\(\)|^\s*(?:#|//|@|-{3})")
_WORD = re.compile(r"\w+(?:['’.,:%/-]\w+)*")
_MONTH = frozenset(
    "january february march april may june july august september october november december jan feb mar apr jun jul aug "
    "sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday".split()
)
_YEAR = re.compile(r"(?:19|20)\d\d(?:-\d\d(?:-\d\d)?)?")


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence of prose as terms; `names` are those of names, codes and numbers, `dates` those of dates, `first` that
    of its first word, which may be a name."""

    terms: Terms
    names: Terms
    dates: Terms
    first: Terms


@dataclass(frozen=True, slots=True)
class _Statement:
    """What a passage says to a query: the words of the query it has, those in one sentence (`own`), those that name its
    subject, and the values."""

    passage: Passage
    covers: Terms
    own: Terms
    named: Terms
    plain: Terms
    values: Terms
    title: Terms


def newest_first(query: str, passages: Sequence[Passage], now: int | None = None) -> Sequence[Passage]:
    """The same passages: among those that contest each other the newest takes the best place, and so on; the older are
    marked with its chunk. What is dated after `now` (microseconds) leads nothing."""
    asked = frozenset(term(w) for w in words(query) if w not in STOP)
    if len(asked) < 2 or len({p.at for p in passages}) < 2:
        return passages
    said = [_said(asked, p) for p in passages[:LOOKED_AT]]
    best = max((len(s.covers) for s in said if s), default=0)
    if best < 2 or best * 2 < len(asked):
        return passages
    own = max(len(s.own) for s in said if s)
    naming = frozenset[int]().union(*(s.named for s in said if s))
    ready = {
        n: s
        for n, s in enumerate(said)
        if s and len(s.covers) >= COVERED * best and len(s.own) >= COVERED * own and naming <= s.covers
    }
    ordered = list(passages)
    moment = now_us() if now is None else now
    while ready:
        first = min(ready)
        group = [n for n in sorted(ready) if n == first or _contest(ready[first], ready[n], bool(naming))]
        _order(ordered, group, moment)
        for n in group:
            del ready[n]
    return ordered


def _order(passages: list[Passage], group: Sequence[int], now: int) -> None:
    """The group's passages in the group's places, newest first; each keeps the score of its place."""
    if len(group) < 2:
        return
    scores = [passages[n].score for n in group]
    members = sorted((passages[n] for n in group), key=lambda p: (p.at > now, -p.at))
    leader = members[0]
    for n, score, passage in zip(group, scores, members, strict=True):
        older = passage.at < leader.at
        passages[n] = replace(passage, score=score, superseded_by=leader.chunk if older else None)


def _contest(a: _Statement, b: _Statement, about_one: bool) -> bool:
    """`about_one`: the query names something, by whatever name, that both are about."""
    if a.passage.document == b.passage.document or a.passage.at == b.passage.at or _rows(a.passage, b.passage):
        return False
    if not _differ(a, b) or not (a.title & a.covers <= b.covers and b.title & b.covers <= a.covers):
        return False
    common, either = len(a.plain & b.plain), len(a.plain | b.plain)
    built_alike = either > 0 and common >= ALIKE * either
    if built_alike and (about_one or a.title == b.title):
        return True
    told_alike = common >= TOLD * min(len(a.plain), len(b.plain))
    return about_one and a.covers == b.covers and common > 0 and told_alike and _apart(a.passage, b.passage)


def _differ(a: _Statement, b: _Statement) -> bool:
    """Whether each gives a value that the other does not; without values: whether a few words differ."""
    if a.values or b.values:
        return 1 <= len(a.values - b.values) <= VALUES and 1 <= len(b.values - a.values) <= VALUES
    return 1 <= len(a.plain - b.plain) <= 4 and 1 <= len(b.plain - a.plain) <= 4


def _apart(a: Passage, b: Passage) -> bool:
    if a.dated is not None and b.dated is not None:
        return a.dated != b.dated
    return abs(a.at - b.at) >= APART_US


def _rows(a: Passage, b: Passage) -> bool:
    """Whether both are rows of one table: `source/schema.table/key`, titled `table key`."""
    one, other = a.document.split("/"), b.document.split("/")
    if len(one) != 3 or one[:2] != other[:2] or "." not in one[1]:
        return False
    table = one[1].rpartition(".")[2]
    return all(p.title.startswith(f"{table} ") for p in (a, b))


def _said(asked: Terms, passage: Passage) -> _Statement | None:
    above = _above(f"{passage.title} {passage.heading}")
    sentences, names = _sentences(passage.text)
    if not sentences:
        return None
    best = max(sentences, key=lambda s: len(s.terms & asked))
    own = best.terms & asked
    if not own:
        return None
    covers = own | (asked & above)
    named = asked & names
    values = best.names - best.dates - asked or best.first - asked or best.dates - asked
    plain = best.terms - best.names - best.dates - values
    return _Statement(passage, covers | named, own, named, plain, values, above)


@lru_cache(maxsize=4096)
def _sentences(text: str) -> tuple[tuple[_Sentence, ...], Terms]:
    """The sentences of prose, and all their names. Cached: the same chunks are found again and again."""
    found = tuple(_sentence(s) for s in _SENTENCE.split(text) if len(s) >= 12 and not _CODE.search(s))
    return found, frozenset[int]().union(*(s.names for s in found))


def _sentence(text: str) -> _Sentence:
    spoken = _WORD.findall(text)
    months = {n for n, word in enumerate(spoken) if word.casefold() in _MONTH}
    names: set[int] = set()
    dates: set[int] = set()
    first: Terms = frozenset()
    for n, word in enumerate(spoken):
        day = word.isdigit() and len(word) <= 2 and not months.isdisjoint((n - 1, n + 1))
        if n in months or day or _YEAR.fullmatch(word):
            dates |= _terms(word)
        elif any(c.isdigit() for c in word) or (n > 0 and not word.islower()):
            names |= _terms(word)
        elif n == 0 and not word.islower():
            # Capitalised anyway: a name surely where more of its letters or the next word are.
            first = _terms(word)
            names |= first if word[1:] != word[1:].lower() or not "".join(spoken[1:2]).islower() else frozenset()
    return _Sentence(_terms(text), frozenset(names), frozenset(dates), first)


@lru_cache(maxsize=4096)
def _above(text: str) -> Terms:
    """Of titles and headings, without their numbers: two years of one page have one title."""
    return _terms(re.sub(r"\w*\d\w*", " ", text))


@lru_cache(maxsize=4096)
def _terms(text: str) -> Terms:
    return frozenset(term(w) for w in words(text) if w not in STOP)
