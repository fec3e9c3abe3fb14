"""What a profile's fields, aggregates and the number of its facts say to a question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

from headrace.answer.facts import SHOWN, Own, matching, names, pick_group
from headrace.answer.naming import plain_value, plural, singular
from headrace.answer.question import Question
from headrace.answer.wording import Selector, stems_of
from headrace.answer.words import stems
from headrace.stores.profiles import Fact, Profile
from headrace.stores.values import JSON, Object

_TOTAL = re.compile(r"\b(?:how\s+much|total|altogether|in\s+all|sum|average|overall)\b", re.I)


def counted(q: Question, profile: Profile | None, facts: Sequence[Fact], now: int, today: date) -> Own | None:
    """`How many reservations do I have?`: from an aggregate, or from the facts when none is out of sight."""
    if profile is None or not (q.count or _TOTAL.search(q.text)):
        return None
    if not (q.selector or q.codes or q.dates) and (name := _aggregate(q, profile)):
        value = profile.aggregates[name]
        label = name.replace("_", " ")
        said = (
            f"You have {value} {label if str(value) != '1' else singular(label)}."
            if q.count
            else f"Your {label}: {value}."
        )
        return Own((profile_fact(profile, {name: value}, said),), stated=said, name=singular(label))
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
        open_terms = [t for t in q.terms if not t.general and not t.soft and not names(t.stem, words)]
        hit = sum(1 for t in q.terms if names(t.stem, words))
        if hit and not open_terms and (best is None or (exact, -len(words)) > best[:2]):
            best = (exact, -len(words), name)
    return best[2] if best else None


def _count_facts(q: Question, profile: Profile, facts: Sequence[Fact], now: int, today: date) -> Own | None:
    picked = pick_group(q, facts)
    if picked is None:
        return None
    group, noun = picked
    if not any(names(t.stem, frozenset(stems(group[0].name))) for t in q.terms):
        return None
    kept, rest, _ = matching(q, group, noun, today)
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
    what = singular(name) if len(kept) == 1 else plural(name)
    seen = f" among the newest {len(group)}" if total is not None and total > len(group) else ""
    adjective = "matching " if len(kept) != len(group) and q.selector is not Selector.NEXT else ""
    adjective = "upcoming " if q.selector is Selector.NEXT else adjective
    said = f"You have {len(kept) or 'no'} {adjective}{what}{seen}{':' if kept else '.'}"
    return Own(tuple(kept[:SHOWN]), stated=said, noun=noun, name=name, more=max(len(kept) - SHOWN, 0))


_ATTRIBUTES = stems_of("address number level status tier name type date id class value")


def field_named(q: Question, profile: Profile) -> Own | None:
    """The profile's field that a question names."""
    wanted = [t for t in q.terms if not (q.selector and t.general)]
    best: tuple[int, int, str] | None = None
    for name, value in profile.fields.items():
        if value is None or value == "":
            continue
        words = stems(name.replace("_", " "))
        hit = sum(1 for t in wanted if names(t.stem, frozenset(words)))
        exact = sum(1 for t in wanted if t.stem in words)
        if hit and (best is None or (hit + exact, -len(words)) > (best[0], best[1])):
            best = (hit + exact, -len(words), name)
    if best is None:
        return None
    label = best[2].replace("_", " ")
    words = frozenset(stems(label))
    same = [n for n in profile.fields if _same_part(n, best[2], q) and profile.fields[n] not in (None, "")]
    said = " ".join(_field_said(n, profile.fields[n]) for n in same)
    shown = frozenset(stems(said))
    rest = tuple(
        t
        for t in wanted
        if not t.general and t.stem not in _ATTRIBUTES and not names(t.stem, words) and not names(t.stem, shown)
    )
    fact = profile_fact(profile, {n: profile.fields[n] for n in same}, said)
    return Own((fact,), stated=said, rest=rest, name=label)


def _same_part(name: str, best: str, q: Question) -> bool:
    """Whether a field is the one meant, or another of its kind: `my name` means first and last name."""
    if name == best:
        return True
    asked = {t.stem for t in q.terms}
    one, other = stems(name.replace("_", " ")), stems(best.replace("_", " "))
    return one[-1:] == other[-1:] and set(one) & asked == set(other) & asked == {*one[-1:]} and len(one) == len(other)


def _field_said(name: str, value: JSON) -> str:
    shown = plain_value(value)
    plain = isinstance(value, str | int | float) and ", " not in shown
    return f"Your {name.replace('_', ' ')} {'is' if plain else 'on file:'} {shown}."


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
