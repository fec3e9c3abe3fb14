"""What the asker's own profile and facts say to a question, and what that leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from headrace.answer.dates import local_day
from headrace.answer.facts import SHOWN, Own, group_words, matching, names, of_group, one_fact
from headrace.answer.fields import counted, field_named
from headrace.answer.naming import plural, quoted, singular
from headrace.answer.question import Question, Term, kinds
from headrace.answer.wording import Follow, Selector
from headrace.answer.words import TOKEN, Stems, is_code, stem, stems
from headrace.stores.profiles import Fact, Profile


def select(q: Question, profile: Profile | None, facts: Sequence[Fact], now: int, zone: int) -> Own:
    """The facts or fields a question about the asker means."""
    today = local_day(now, zone)
    group = [f for f in facts if q.follow and q.focus and f.topic == q.focus.topic]
    if group and (followed := _followed(q, group, now, today)) is not None:
        return followed
    prefer = frozenset(s for v in (kinds(profile.fields) if profile else ()) for s in stems(v))
    found = counted(q, profile, facts, now, today) or of_group(q, facts, now, today)
    if profile and (field := field_named(q, profile)) and (found is None or found.rest or not found.facts):
        return replace(field, prefer=prefer)
    return replace(found, prefer=prefer | found.prefer) if found else Own(rest=q.terms, prefer=prefer)


def _followed(q: Question, group: Sequence[Fact], now: int, today: date) -> Own | None:
    """A follow-up on a fact: itself, or its neighbour in time."""
    focus = q.focus
    assert focus is not None
    name = focus.name or group[0].name
    noun = group_words(group)
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
            return Own(nothing=f"There is no {singular(name)} of yours {word} that.", noun=noun, name=name)
        lead = f"The {singular(name)} {'after' if later else 'before'} that:"
        return one_fact(q, beyond[0], lead, noun, name)
    if q.codes or (q.dates and q.follow is Follow.ELLIPSIS):
        kept, rest, limits = matching(q, group, noun, today)
        if kept and not rest:
            return Own(
                tuple(kept[:SHOWN]),
                f"Your {singular(name) if len(kept) == 1 else plural(name)}:",
                rest,
                noun=noun,
                name=name,
            )
        return (
            Own(nothing=f"None of your {plural(name)} matches {quoted(limits)}.", noun=noun, name=name)
            if limits
            else None
        )
    if present is None:
        return _among(q, group, noun, name, now, today) if focus.key is None and not q.rule else None
    if (
        any(names(t.stem, frozenset(stems(f.name))) for t in q.terms for f in group)
        and q.follow is Follow.PRONOUN
        and q.selector
    ):
        return None
    return one_fact(q, present, f"Your {singular(name)}:", noun, name)


def related(fact: Fact, facts: Sequence[Fact]) -> list[Fact]:
    """Facts of other kinds that share an identifier under the same field's name (a flight's reservation)."""
    mine = {(n, v) for n, v in fact.fields.items() if isinstance(v, str) and TOKEN.fullmatch(v) and is_code(v)}
    return [f for f in facts if f.topic != fact.topic and any((n, f.fields.get(n)) in mine for n, _ in mine)]


def _among(q: Question, group: Sequence[Fact], noun: Stems, name: str, now: int, today: date) -> Own | None:
    """`Which of them are delivered?` after a list: those of it that say so."""
    wanted = [t for t in q.terms if not t.general and t.stem not in noun]
    if q.selector:
        return of_group(replace(q, terms=(*q.terms, Term(name, stem(name)))), group, now, today)
    if not wanted:
        return None
    kept, rest, _ = matching(q, group, noun, today)
    if rest or not kept:
        said = quoted(t.word for t in wanted)
        return Own(nothing=f"None of your {plural(name)} that I can see says {said}.", noun=noun, name=name)
    lead = f"Your {singular(name) if len(kept) == 1 else plural(name)}:"
    return Own(tuple(kept[:SHOWN]), lead, noun=noun, name=name, more=max(len(kept) - SHOWN, 0))
