"""Which passages contest each other, and which only look as if they did."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace.answer.contested import newest_first
from headrace.change import Position, Stamp
from headrace.stores.knowledge import Passage

DAY = 86_400_000_000
NOW = 20_000 * DAY


def passage(
    name: str, text: str, day: int, *, dated: bool = True, title: str = "", us: int = 0, score: float = 0.5
) -> Passage:
    stamp = Stamp("docs", Position(day + 1), NOW + us if dated else day * DAY + us)
    at = day * DAY if dated else None
    return Passage(name, f"{name}#0", 0, title, "", text, 0, len(text), score, stamp, dated=at)


def order(query: str, *passages: Passage) -> list[tuple[str, str | None]]:
    ranked = newest_first(query, [replace(p, score=1 - n / 10) for n, p in enumerate(passages)], NOW)
    assert [p.score for p in ranked] == sorted((p.score for p in ranked), reverse=True)
    assert {p.chunk for p in ranked} == {p.chunk for p in passages}
    return [(p.document, p.superseded_by) for p in ranked]


def test_the_newest_value_leads_and_the_others_name_it() -> None:
    old = passage("a", "The chief executive of Acme is Ada Brandt.", 100)
    newer = passage("b", "It rained. Acme has made Boris Chen its chief executive. Shares fell.", 300)
    middle = passage("c", "Carla Duval is the chief executive of Acme.", 200)
    apart = passage("d", "Acme sells tyres.", 400)

    found = order("Who is the chief executive of Acme?", old, apart, newer, middle)

    assert found == [("b", None), ("d", None), ("c", "b#0"), ("a", "b#0")]


@pytest.mark.parametrize("dated", [True, False])
def test_a_time_is_the_documents_own_or_its_commits(dated: bool) -> None:
    old = passage("a", "A monthly ticket of Corvus Rail costs 40 euros.", 100, dated=dated)
    new = passage("b", "A monthly ticket of Corvus Rail costs 45 euros.", 101, dated=dated)

    assert order("price of a monthly ticket of Corvus Rail", old, new) == [("b", None), ("a", "b#0")]


def test_what_restates_a_value_supersedes_nothing() -> None:
    old = passage("a", "The headquarters of Acme is in Bergen.", 100)
    new = passage("b", "From its headquarters in Bergen, Acme runs everything.", 300)

    assert order("Where is the headquarters of Acme?", old, new) == [("a", None), ("b", None)]


def test_different_things_do_not_contest_each_other_and_two_years_of_one_page_do() -> None:
    # Rows of one table.
    one = passage("air/public.flights/H1", "Flight H1 to Oslo is delayed by 20 minutes.", 100, title="flights H1")
    two = passage("air/public.flights/H2", "Flight H2 to Oslo is delayed by 90 minutes.", 200, title="flights H2")
    assert order("delayed flight to Oslo", one, two) == [(one.document, None), (two.document, None)]

    # Pages of two places, built alike.
    here = passage("a", "Breakfast in the hotel costs 12 euros a head.", 100, title="Hotel Bergen")
    there = passage("b", "Breakfast in the hotel costs 14 euros a head.", 200, title="Hotel Cork")
    assert order("what does breakfast cost in Bergen hotel", here, there) == [("a", None), ("b", None)]

    pages = [passage("a", here.text, 100, title="Hotel 2023"), passage("b", there.text, 200, title="Hotel 2024")]
    assert order("what does breakfast cost in the hotel", *pages) == [("b", None), ("a", "b#0")]

    # A newer text that has fewer of the query's words, and one of another company.
    right = passage("a", "The chief executive of Acme is Ada Brandt.", 100)
    less = passage("b", "Acme is 90 years old.", 300)
    other = passage("c", "The chief executive of Corvus is Boris Chen.", 300)
    found = order("chief executive of Acme", right, less, other)
    assert found == [("a", None), ("b", None), ("c", None)]


def test_code_is_not_prose() -> None:
    one = passage("a", "fn run_target(Input) -> Result { DiffExecutor.run(3) }", 100)
    two = passage("b", "fn run_target(Output) -> Result { DiffExecutor.run(4) }", 200)

    assert order("run_target of DiffExecutor", one, two) == [("a", None), ("b", None)]


def test_documents_that_came_in_together_are_compared_strictly() -> None:
    one = passage("a", "The chief executive of Acme is Ada Brandt.", 100, dated=False)
    loose = passage(
        "b", "Boris Chen met the unions as chief executive of Acme on the usual terms.", 100, dated=False, us=9
    )
    alike = passage("c", "The chief executive of Acme is Carla Duval.", 100, dated=False, us=9)

    assert order("chief executive of Acme", one, loose) == [("a", None), ("b", None)]
    assert order("chief executive of Acme", one, alike) == [("c", None), ("a", "c#0")]


def test_what_is_dated_ahead_does_not_lead_yet() -> None:
    now = passage("a", "A monthly ticket of Corvus Rail costs 40 euros.", 100)
    ahead = passage("b", "A monthly ticket of Corvus Rail costs 45 euros.", 30_000)

    assert order("monthly ticket of Corvus Rail", now, ahead)[0] == ("a", None)
