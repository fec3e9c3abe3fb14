"""Which of the asker's facts a question means: by their kind, by values, by time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from headrace.answer.dates import Dates, dates_in
from headrace.answer.naming import plain_value, plural, quoted, singular
from headrace.answer.question import Question, Term, kinds
from headrace.answer.wording import Selector
from headrace.answer.words import TOKEN, Stems, forms, is_code, stem, stem_set, stems, synonyms
from headrace.stores.profiles import Fact

_EMPTY: Stems = frozenset()
SHOWN = 5
"""Facts listed in one answer at most."""


@dataclass(frozen=True, slots=True)
class Own:
    """What is meant of the asker's own.

    `lead` says what the facts are; with `whole` set, it and the facts are the answer. `rest` are the question's terms
    that neither names nor values explain. `prefer` are words of the case that decide between rules. `stated` is a
    sentence that is the answer by itself (a count, a field); `nothing` one that says that there is none.
    """

    facts: tuple[Fact, ...] = ()
    lead: str = ""
    rest: tuple[Term, ...] = ()
    prefer: Stems = _EMPTY
    noun: Stems = _EMPTY
    stated: str = ""
    nothing: str = ""
    name: str | None = None
    more: int = 0

    @property
    def whole(self) -> bool:
        return bool(self.facts or self.stated) and not self.rest


def fact_words(fact: Fact) -> Stems:
    """Stems of a fact's sentence, its fields' names and their values."""
    return stem_set("\n".join((fact.text, *fact.fields, *map(plain_value, fact.fields.values()))))


def codes_of(fact: Fact) -> tuple[str, ...]:
    """Identifiers that a fact names (`HAT170`), as written."""
    return tuple(dict.fromkeys(t for v in fact.fields.values() for t in TOKEN.findall(plain_value(v)) if is_code(t)))


def days_of(fact: Fact, today: date) -> tuple[Dates, ...]:
    return dates_in(fact.text, today) + dates_in(" ".join(plain_value(v) for v in fact.fields.values()), today)


def names(term: str, words: Stems) -> bool:
    return term in words or bool(synonyms(term) & words)


def says(term: str, words: Stems) -> bool:
    """Whether words hold a term or another form of it; what is only alike (`sent`, `delivered`) is another value."""
    return term in words or bool(forms(term) & words)


def group_words(facts: Sequence[Fact]) -> Stems:
    return frozenset(stems(f"{facts[0].name} {facts[0].table.rpartition('.')[2]}"))


def _groups(facts: Sequence[Fact]) -> list[list[Fact]]:
    found: dict[str, list[Fact]] = {}
    for fact in facts:
        found.setdefault(fact.topic, []).append(fact)
    return list(found.values())


def pick_group(q: Question, facts: Sequence[Fact]) -> tuple[list[Fact], Stems] | None:
    """The group a question's nouns name, best first by name, then by its fields and sentences."""
    wanted = [t for t in q.terms if not t.general or t.stem in {s for f in facts for s in stems(f.name)}]
    best: tuple[float, list[Fact], Stems] | None = None
    for group in _groups(facts):
        head, rest = frozenset(stems(group[0].name)), group_words(group)
        inside = _EMPTY.union(*(fact_words(f) for f in group))
        named = [t.stem for t in wanted if names(t.stem, head)]
        exact = [t.stem for t in wanted if t.stem in head]
        within = [t.stem for t in wanted if t.stem in rest | inside or names(t.stem, rest)]
        codes = sum(1 for c in q.codes if stem(c) in inside)
        score = 3.0 * len(exact) + 2.5 * (len(named) - len(exact)) + len(within) + 4.0 * codes
        if score and (best is None or score > best[0]) and (named or codes or len(within) == len(wanted)):
            best = (score, group, frozenset(named) | (rest & frozenset(t.stem for t in q.terms)))
    return (best[1], best[2]) if best else None


def of_group(q: Question, facts: Sequence[Fact], now: int, today: date) -> Own | None:
    picked = pick_group(q, facts)
    if picked is None:
        return None
    group, noun = picked
    kept, rest, limits = matching(q, group, noun, today)
    name = noun_of(q, group, noun)
    if not kept:
        return Own(nothing=f"None of your {plural(name)} matches {quoted(limits)}.", rest=rest, noun=noun, name=name)
    chosen, lead, nothing = _by_time(q, kept, now, name)
    prefer = frozenset(s for f in chosen[:1] for v in kinds(f.fields) for s in stems(v)) if len(chosen) == 1 else _EMPTY
    return Own(
        facts=tuple(chosen[:SHOWN]),
        lead=lead,
        rest=rest,
        prefer=prefer,
        noun=noun,
        nothing=nothing,
        name=name,
        more=max(len(chosen) - SHOWN, 0),
    )


def matching(
    q: Question, group: Sequence[Fact], noun: Stems, today: date
) -> tuple[list[Fact], tuple[Term, ...], list[str]]:
    """Facts that hold every value the question names; what no fact explains; what was asked to match."""
    words = {id(f): fact_words(f) for f in group}
    fields = frozenset(s for f in group for n in f.fields for s in stems(n)) | frozenset(stems(group[0].name))
    kept = list(group)
    rest: list[Term] = []
    limits: list[str] = [*q.codes]
    for code in q.codes:
        kept = [f for f in kept if stem(code) in words[id(f)]]
    for days in q.dates:
        limits.append(days.first.isoformat() if days.first == days.last else f"{days.first} to {days.last}")
        kept = [f for f in kept if any(days.meets(d) for d in days_of(f, today))]
    for term in q.terms:
        if term.stem in noun or term.general or names(term.stem, noun):
            continue
        holding = [f for f in kept if says(term.stem, words[id(f)])]
        if not holding and not term.word.endswith("ed") and all(names(term.stem, words[id(f)]) for f in kept):
            continue  # said otherwise (`leaves`, `departs`); a participle (`delivered`) tells one from another
        if holding and (names(term.stem, fields) or len(holding) == len(kept)):
            continue
        if holding:
            kept = holding
            limits.append(term.word)
        elif not names(term.stem, fields) and not (q.yes_no and any(says(term.stem, w) for w in words.values())):
            if q.exists or _is_limit(q, term):
                return [], (), [*limits, term.word]
            rest.append(term)
    return _headed(q, kept), tuple(rest), limits


_PREPOSITIONS = r"to|from|in|at|with|for|by|via"


def _is_limit(q: Question, term: Term) -> bool:
    """Whether a word limits what is meant (`my flight to Tokyo`), rather than asks for something of it."""
    return (
        bool(re.search(rf"\bmy\b.*\b(?:{_PREPOSITIONS})\s+(?:the\s+)?{re.escape(term.word)}\b", q.text, re.I))
        and not q.rule
    )


def _headed(q: Question, facts: Sequence[Fact]) -> list[Fact]:
    """Of facts that name the same places, those that name them after the same preposition: `to Seattle`."""
    kept = list(facts)
    for match in re.finditer(r"\b(to|from|in|at|with|for)\s+(?!(?:my|the|a|an)\b)([^\W\d_][\w-]+)", q.text, re.I):
        pattern = re.compile(
            rf"\b{match[1]}\s+(?:(?!(?:{_PREPOSITIONS}|on|and)\b)[^\s,.;]+\s+){{0,3}}?\(?{re.escape(match[2])}\b", re.I
        )
        if len(kept) > 1 and (so := [f for f in kept if pattern.search(f.text)]):
            kept = so
    return kept


def _by_time(q: Question, facts: Sequence[Fact], now: int, name: str) -> tuple[list[Fact], str, str]:
    timed = sorted((f for f in facts if f.time is not None), key=lambda f: f.time or 0)
    ahead = [f for f in timed if (f.time or 0) >= now]
    behind = [f for f in reversed(timed) if (f.time or 0) < now]
    nouns = frozenset(stems(name)) | frozenset(stems(facts[0].name))
    many = any(
        t.word in q.text and names(t.stem, nouns) and singular(t.word.lower()) != t.word.lower() for t in q.terms
    )
    match q.selector:
        case Selector.NEXT if timed:
            if not ahead:
                return behind[:1], f"None of your {plural(name)} is still to come; the last one was:", ""
            return (ahead, f"Your upcoming {plural(name)}:", "") if many else (ahead[:1], f"Your next {name}:", "")
        case Selector.LAST if timed:
            pick = behind or timed[-1:]
            return (
                (pick, f"Your past {plural(name)}, newest first:", "")
                if many and behind
                else (pick[:1], f"Your last {name}:", "")
            )
        case Selector.LATEST if timed:
            newest = timed[::-1]
            return (
                (newest, f"Your {plural(name)}, newest first:", "")
                if many
                else (newest[:1], f"Your latest {name}:", "")
            )
        case Selector.FIRST if timed:
            pool = ahead if ahead and not behind else timed
            return pool[:1], f"Your first {name}:", ""
        case _:
            ordered = [*ahead, *behind, *(f for f in facts if f.time is None)]
            if ahead and behind and not many:
                ordered = ahead
            if len(ordered) == 1:
                return ordered, f"Your {name}:", ""
            coming = "upcoming " if ahead and ordered is ahead else ""
            return ordered, f"Your {coming}{plural(name)} ({len(ordered)}):", ""


def noun_of(q: Question, group: Sequence[Fact], noun: Stems) -> str:
    """The asker's own word for it where there is one, else the group's name."""
    said = [t.word for t in q.terms if t.stem in frozenset(stems(group[0].name))]
    return singular(said[0].lower() if said else group[0].name.replace("_", " "))


def one_fact(q: Question, fact: Fact, lead: str, noun: Stems, name: str) -> Own:
    inside = fact_words(fact)
    rest = tuple(t for t in q.terms if not t.general and not names(t.stem, inside | noun))
    prefer = frozenset(s for v in kinds(fact.fields) for s in stems(v))
    return Own((fact,), lead, rest, prefer, noun, name=name)
