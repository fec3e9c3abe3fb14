"""What the asker's own profile and facts say to a question: which of them are meant, and what that leaves open."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

import msgspec

from headrace.answer.dates import Dates, dates_in, local_day
from headrace.answer.question import Follow, Question, Selector, Term, kinds
from headrace.answer.words import TOKEN, is_code, is_stop, stem, stems, synonyms
from headrace.stores import JSON, Fact, Object, Profile

Stems = frozenset[str]
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


def select(q: Question, profile: Profile | None, facts: Sequence[Fact], now: int, zone: int) -> Own:
    """The facts or fields a question about the asker means."""
    today = local_day(now, zone)
    if q.focus and q.focus.topic and q.follow and (group := [f for f in facts if f.topic == q.focus.topic]):
        if (found := _followed(q, group, now, today)) is not None:
            return found
    prefer = frozenset(s for v in (kinds(profile.fields) if profile else ()) for s in stems(v))
    found = _counted(q, profile, facts, now, today) or _of_group(q, facts, now, today)
    if profile and (field := _field(q, profile)) and (found is None or found.rest or not found.facts):
        return replace(field, prefer=prefer)
    return replace(found, prefer=prefer | found.prefer) if found else Own(rest=q.terms, prefer=prefer)


# ---- facts ----------------------------------------------------------------------------------------------------------


def fact_words(fact: Fact) -> Stems:
    """Stems of a fact's sentence, its fields' names and their values."""
    texts = [fact.text, *fact.fields.keys(), *(plain_value(v) for v in fact.fields.values())]
    return frozenset(stem(t) for text in texts for t in TOKEN.findall(text) if not is_stop(t))


def codes_of(fact: Fact) -> tuple[str, ...]:
    """Identifiers that a fact names (`HAT170`), as written."""
    return tuple(dict.fromkeys(t for v in fact.fields.values() for t in TOKEN.findall(plain_value(v)) if is_code(t)))


def days_of(fact: Fact, today: date) -> tuple[Dates, ...]:
    return dates_in(fact.text, today) + dates_in(" ".join(plain_value(v) for v in fact.fields.values()), today)


def _names(term: str, words: Stems) -> bool:
    return term in words or bool(synonyms(term) & words)


def _group_words(facts: Sequence[Fact]) -> Stems:
    return frozenset(stems(f"{facts[0].name} {facts[0].table.rpartition('.')[2]}"))


def _groups(facts: Sequence[Fact]) -> list[list[Fact]]:
    found: dict[str, list[Fact]] = {}
    for fact in facts:
        found.setdefault(fact.topic, []).append(fact)
    return list(found.values())


def _pick_group(q: Question, facts: Sequence[Fact]) -> tuple[list[Fact], Stems] | None:
    """The group a question's nouns name, best first by name, then by its fields and sentences."""
    wanted = [t for t in q.terms if not t.general or t.stem in {s for f in facts for s in stems(f.name)}]
    best: tuple[float, list[Fact], Stems] | None = None
    for group in _groups(facts):
        head, rest = frozenset(stems(group[0].name)), _group_words(group)
        inside = _EMPTY.union(*(fact_words(f) for f in group))
        named = [t.stem for t in wanted if _names(t.stem, head)]
        exact = [t.stem for t in wanted if t.stem in head]
        within = [t.stem for t in wanted if t.stem in rest | inside or _names(t.stem, rest)]
        codes = sum(1 for c in q.codes if stem(c) in inside)
        score = 3.0 * len(exact) + 2.5 * (len(named) - len(exact)) + len(within) + 4.0 * codes
        if score and (best is None or score > best[0]) and (named or codes or len(within) == len(wanted)):
            best = (score, group, frozenset(named) | (rest & frozenset(t.stem for t in q.terms)))
    return (best[1], best[2]) if best else None


def _of_group(q: Question, facts: Sequence[Fact], now: int, today: date) -> Own | None:
    picked = _pick_group(q, facts)
    if picked is None:
        return None
    group, noun = picked
    kept, rest, limits = _filter(q, group, noun, today)
    name = _noun(q, group, noun)
    if not kept:
        return Own(nothing=f"None of your {_plural(name)} matches {_quoted(limits)}.", rest=rest, noun=noun, name=name)
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


def _filter(
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
        if term.stem in noun or term.general or _names(term.stem, noun):
            continue
        holding = [f for f in kept if _names(term.stem, words[id(f)])]
        if holding and (_names(term.stem, fields) or len(holding) == len(kept)):
            continue
        if holding:
            kept = holding
            limits.append(term.word)
        elif not _names(term.stem, fields) and not (q.yes_no and any(_names(term.stem, w) for w in words.values())):
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
    many = any(t.word in q.text and _names(t.stem, nouns) and _one(t.word.lower()) != t.word.lower() for t in q.terms)
    match q.selector:
        case Selector.NEXT if timed:
            if not ahead:
                return behind[:1], f"None of your {_plural(name)} is still to come; the last one was:", ""
            return (ahead, f"Your upcoming {_plural(name)}:", "") if many else (ahead[:1], f"Your next {name}:", "")
        case Selector.LAST if timed:
            pick = behind or timed[-1:]
            return (
                (pick, f"Your past {_plural(name)}, newest first:", "")
                if many and behind
                else (pick[:1], f"Your last {name}:", "")
            )
        case Selector.LATEST if timed:
            newest = timed[::-1]
            return (
                (newest, f"Your {_plural(name)}, newest first:", "")
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
            return ordered, f"Your {coming}{_plural(name)} ({len(ordered)}):", ""


def _followed(q: Question, group: Sequence[Fact], now: int, today: date) -> Own | None:
    """A follow-up on a fact: itself, or its neighbour in time."""
    focus = q.focus
    assert focus is not None
    name = focus.name or group[0].name
    noun = _group_words(group)
    present = next((f for f in group if focus.is_fact(f)), None)
    at = present.time if present else focus.time
    if q.selector in (Selector.AFTER, Selector.BEFORE):
        if at is None:
            return None
        later = q.selector is Selector.AFTER
        order = sorted((f for f in group if f.time is not None), key=lambda f: (f.time or 0, f.key), reverse=not later)
        start = (at, focus.key or "")
        beyond = [f for f in order if (((f.time or 0), f.key) > start) == later and not focus.is_fact(f)]
        if not beyond:
            word = "after" if later else "before"
            return Own(nothing=f"There is no {_one(name)} of yours {word} that.", noun=noun, name=name)
        lead = f"The {_one(name)} {'after' if later else 'before'} that:"
        return _one_fact(q, beyond[0], lead, noun, name)
    if q.codes or (q.dates and q.follow is Follow.ELLIPSIS):
        kept, rest, limits = _filter(q, group, noun, today)
        if kept and not rest:
            return Own(
                tuple(kept[:SHOWN]),
                f"Your {_one(name) if len(kept) == 1 else _plural(name)}:",
                rest,
                noun=noun,
                name=name,
            )
        return (
            Own(nothing=f"None of your {_plural(name)} matches {_quoted(limits)}.", noun=noun, name=name)
            if limits
            else None
        )
    if present is None:
        return None
    if (
        any(_names(t.stem, frozenset(stems(f.name))) for t in q.terms for f in group)
        and q.follow is Follow.PRONOUN
        and q.selector
    ):
        return None
    return _one_fact(q, present, f"Your {_one(name)}:", noun, name)


def _one_fact(q: Question, fact: Fact, lead: str, noun: Stems, name: str) -> Own:
    inside = fact_words(fact)
    rest = tuple(t for t in q.terms if not t.general and not _names(t.stem, inside | noun))
    prefer = frozenset(s for v in kinds(fact.fields) for s in stems(v))
    return Own((fact,), lead, rest, prefer, noun, name=name)


def related(fact: Fact, facts: Sequence[Fact]) -> list[Fact]:
    """Facts of other kinds that share an identifier under the same field's name (a flight's reservation)."""
    mine = {(n, v) for n, v in fact.fields.items() if isinstance(v, str) and TOKEN.fullmatch(v) and is_code(v)}
    return [f for f in facts if f.topic != fact.topic and any((n, f.fields.get(n)) in mine for n, _ in mine)]


# ---- counts and fields ----------------------------------------------------------------------------------------------

_TOTAL = re.compile(r"\b(?:how\s+much|total|altogether|in\s+all|sum|average|overall)\b", re.I)


def _counted(q: Question, profile: Profile | None, facts: Sequence[Fact], now: int, today: date) -> Own | None:
    """`How many reservations do I have?`: from an aggregate, or from the facts when none is out of sight."""
    if profile is None or not (q.count or _TOTAL.search(q.text)):
        return None
    if not (q.selector or q.codes or q.dates) and (name := _aggregate(q, profile)):
        value = profile.aggregates[name]
        label = name.replace("_", " ")
        said = (
            f"You have {value} {label if str(value) != '1' else _one(label)}." if q.count else f"Your {label}: {value}."
        )
        return Own((profile_fact(profile, {name: value}, said),), stated=said, name=_one(label))
    return _count_facts(q, profile, facts, now, today) if q.count else None


def _aggregate(q: Question, profile: Profile) -> str | None:
    """The aggregate, or number among the fields, that the question's words name best."""
    best: tuple[int, int, str] | None = None
    groups = {frozenset(stems(f.name)) for f in profile.facts}
    for name in profile.aggregates:
        if not q.count and frozenset(stems(name.replace("_", " "))) in groups:
            continue  # how many there are is not how much
        words = frozenset(stems(name.replace("_", " ")))
        exact = sum(1 for t in q.terms if t.stem in words)
        open_terms = [t for t in q.terms if not t.general and not t.soft and not _names(t.stem, words)]
        hit = sum(1 for t in q.terms if _names(t.stem, words))
        if hit and not open_terms and (best is None or (exact, -len(words)) > best[:2]):
            best = (exact, -len(words), name)
    return best[2] if best else None


def _count_facts(q: Question, profile: Profile, facts: Sequence[Fact], now: int, today: date) -> Own | None:
    picked = _pick_group(q, facts)
    if picked is None:
        return None
    group, noun = picked
    if not any(_names(t.stem, frozenset(stems(group[0].name))) for t in q.terms):
        return None
    kept, rest, _ = _filter(q, group, noun, today)
    if rest:
        return None
    if q.selector is Selector.NEXT:
        kept = [f for f in kept if f.time is not None and f.time >= now]
    elif q.selector in (Selector.LAST, Selector.LATEST):
        kept = [f for f in kept if f.time is not None and f.time < now]
    name = group[0].name
    total = next(
        (v for n, v in profile.aggregates.items() if isinstance(v, int) and set(stems(n)) == set(stems(name))), None
    )
    what = _one(name) if len(kept) == 1 else _plural(name)
    seen = f" among the newest {len(group)}" if total is not None and total > len(group) else ""
    adjective = "matching " if len(kept) != len(group) and q.selector is not Selector.NEXT else ""
    adjective = "upcoming " if q.selector is Selector.NEXT else adjective
    said = f"You have {len(kept) or 'no'} {adjective}{what}{seen}{':' if kept else '.'}"
    return Own(tuple(kept[:SHOWN]), stated=said, noun=noun, name=name, more=max(len(kept) - SHOWN, 0))


_ATTRIBUTES = frozenset(
    stem(w) for w in ["address", "number", "level", "status", "tier", "name", "type", "date", "id", "class", "value"]
)


def _field(q: Question, profile: Profile) -> Own | None:
    """The profile's field that a question names."""
    wanted = [t for t in q.terms if not (q.selector and t.general)]
    best: tuple[int, int, str] | None = None
    for name, value in profile.fields.items():
        if value is None or value == "":
            continue
        words = stems(name.replace("_", " "))
        hit = sum(1 for t in wanted if _names(t.stem, frozenset(words)))
        exact = sum(1 for t in wanted if t.stem in words)
        if hit and (best is None or (hit + exact, -len(words)) > (best[0], best[1])):
            best = (hit + exact, -len(words), name)
    if best is None:
        return None
    name = best[2]
    words = frozenset(stems(name.replace("_", " ")))
    value = profile.fields[name]
    shown = plain_value(value)
    rest = tuple(
        t
        for t in wanted
        if not t.general and t.stem not in _ATTRIBUTES and not _names(t.stem, words | frozenset(stems(shown)))
    )
    said = f"Your {name.replace('_', ' ')} {'is' if isinstance(value, str | int | float) and not shown.count(', ') else 'on file:'} {shown}."
    return Own((profile_fact(profile, {name: value}, said),), stated=said, rest=rest, name=name.replace("_", " "))


def about(profile: Profile) -> Own:
    """All that the profile itself says."""
    shown = "; ".join(
        f"{n.replace('_', ' ')}: {plain_value(v)}" for n, v in profile.fields.items() if v not in (None, "")
    )
    said = f"Your profile says {shown}."
    return Own((profile_fact(profile, profile.fields, said),), stated=said)


def profile_fact(profile: Profile, fields: Object, said: str) -> Fact:
    """A part of the profile as a fact, so that it can be cited."""
    return Fact("profile", "profile", profile.id, "profile", fields, said, None, profile.stamp)


# ---- words ----------------------------------------------------------------------------------------------------------


def plain_value(value: JSON) -> str:
    """A field's value as a person reads it."""
    if isinstance(value, str) and value[:1] in "[{":
        try:
            return plain_value(msgspec.json.decode(value))
        except msgspec.DecodeError:
            return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(plain_value(v) for v in value.values())
    if isinstance(value, list):
        return "; ".join(plain_value(v) for v in value)
    return "" if value is None else str(value)


def _noun(q: Question, group: Sequence[Fact], noun: Stems) -> str:
    """The asker's own word for it where there is one, else the group's name."""
    said = [t.word for t in q.terms if t.stem in frozenset(stems(group[0].name))]
    return _one(said[0].lower() if said else group[0].name.replace("_", " "))


def _one(name: str) -> str:
    low = name.lower()
    if low.endswith("ies") and len(low) > 4:
        return name[:-3] + "y"
    if low.endswith(("sses", "xes", "ches", "shes")):
        return name[:-2]
    return name[:-1] if low.endswith("s") and not low.endswith(("ss", "us", "is")) else name


def _plural(name: str) -> str:
    one = _one(name)
    if one.endswith(("s", "x", "ch", "sh")):
        return one + "es"
    return one[:-1] + "ies" if one.endswith("y") and one[-2:-1] not in "aeiou" else one + "s"


def _quoted(limits: Iterable[str]) -> str:
    return " and ".join(f"“{x}”" for x in dict.fromkeys(limits)) or "that"
