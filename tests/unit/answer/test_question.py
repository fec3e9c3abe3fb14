"""Questions as they are understood: dates, codes, what is asked, what is leaned on, what is searched for."""

from __future__ import annotations

from datetime import date

import pytest

from headrace.answer.dates import asked_dates, dates_in
from headrace.answer.question import retrieval_queries, understand
from headrace.answer.wording import Expect, Follow, Selector
from headrace.answer.words import is_code, stem
from headrace.stores.conversations import Turn
from headrace.stores.values import Object
from tests.unit.answer.corpora import MIA, NOW

WEDNESDAY = date(2024, 5, 15)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("on May 22", "2024-05-22", "2024-05-22"),
        ("22 May 2024", "2024-05-22", "2024-05-22"),
        ("the 22nd of May", "2024-05-22", "2024-05-22"),
        ("2024-05-22", "2024-05-22", "2024-05-22"),
        ("2024-05-22T10:00:00", "2024-05-22", "2024-05-22"),
        ("5/22/2024", "2024-05-22", "2024-05-22"),
        ("22/5/2024", "2024-05-22", "2024-05-22"),
        ("22.5.2024", "2024-05-22", "2024-05-22"),
        ("Sept. 3, 2023", "2023-09-03", "2023-09-03"),
        ("on January 2", "2024-01-02", "2024-01-02"),
        ("on December 30", "2023-12-30", "2023-12-30"),
        ("today", "2024-05-15", "2024-05-15"),
        ("tomorrow", "2024-05-16", "2024-05-16"),
        ("the day after tomorrow", "2024-05-17", "2024-05-17"),
        ("yesterday", "2024-05-14", "2024-05-14"),
        ("next Monday", "2024-05-20", "2024-05-20"),
        ("on Friday", "2024-05-17", "2024-05-17"),
        ("next Wednesday", "2024-05-22", "2024-05-22"),
        ("last Monday", "2024-05-13", "2024-05-13"),
        ("in 3 days", "2024-05-18", "2024-05-18"),
        ("in two weeks", "2024-05-29", "2024-05-29"),
        ("next week", "2024-05-20", "2024-05-26"),
        ("this month", "2024-05-01", "2024-05-31"),
        ("next month", "2024-06-01", "2024-06-30"),
        ("May 2023", "2023-05-01", "2023-05-31"),
        ("in December", "2023-12-01", "2023-12-31"),
    ],
)
def test_dates_as_people_write_them(text: str, first: str, last: str) -> None:
    found = asked_dates(f"Is it open {text}?", WEDNESDAY)
    assert [(d.first.isoformat(), d.last.isoformat()) for d in found] == [(first, last)]


@pytest.mark.parametrize("text", ["May I bring a dog?", "in 2024", "May 45", "2024-13-01", "a 5/10 chance", "1.2.3"])
def test_what_is_no_date(text: str) -> None:
    assert asked_dates(text, WEDNESDAY) == ()


def test_a_date_without_a_year_meets_the_one_that_has_it() -> None:
    (asked,) = asked_dates("on 2023-05-22", WEDNESDAY)
    (written,) = dates_in("due on May 22", WEDNESDAY)
    assert asked.meets(written)
    assert not asked.meets(*dates_in("due on May 22, 2024", WEDNESDAY))


@pytest.mark.parametrize(("word", "code"), [("HAT170", True), ("4WQ150", True), ("1.10.3", True), ("v2.0.1", True)])
def test_codes(word: str, code: bool) -> None:
    assert is_code(word) is code


@pytest.mark.parametrize("word", ["22nd", "30kg", "2024", "LAX", "3.5", "MAX", "5pm"])
def test_what_is_no_code(word: str) -> None:
    assert not is_code(word)


def test_stems_unite_forms_and_number_words() -> None:
    assert stem("Cancellations") == stem("cancelled") == stem("cancel")
    assert stem("three") == stem("3") == stem("3.0")
    assert stem("1,450") == "1450"


@pytest.mark.parametrize(
    ("text", "expects"),
    [
        ("How much is it?", {Expect.PRICE, Expect.AMOUNT}),
        ("At what price?", {Expect.PRICE}),
        ("How many bags?", {Expect.NUMBER}),
        ("How long does it take?", {Expect.DURATION}),
        ("When does it open?", {Expect.TIME}),
        ("Who is it?", {Expect.PERSON}),
        ("Is it open?", set[Expect]()),
    ],
)
def test_what_is_asked_for(text: str, expects: set[Expect]) -> None:
    assert understand(text, (), NOW).expects == expects


def _after(focus: Object) -> list[Turn]:
    return [Turn("user", "?", {}, NOW), Turn("assistant", "!", focus, NOW)]


FLIGHT: Object = {"terms": ["flight"], "fact": {"topic": "t", "key": "k"}, "name": "flight", "time": NOW, "own": True}
ROW: Object = {"terms": ["business"], "codes": ["HAT170"], "days": [["2024-05-22", "2024-05-22"]]}


@pytest.mark.parametrize(
    ("text", "selector", "follow"),
    [
        ("And the one after?", Selector.AFTER, Follow.ELLIPSIS),
        ("What about the next one?", Selector.AFTER, Follow.ELLIPSIS),
        ("and before that?", Selector.BEFORE, Follow.ELLIPSIS),
        ("Can I cancel it?", None, Follow.PRONOUN),
        ("and in economy?", None, Follow.ELLIPSIS),
        ("What about May 23?", None, Follow.ELLIPSIS),
        ("What is my next flight?", Selector.NEXT, None),
        ("Which policy applies to dogs?", None, None),
    ],
)
def test_follow_ups(text: str, selector: Selector | None, follow: Follow | None) -> None:
    found = understand(text, _after(FLIGHT), NOW)
    assert (found.selector, found.follow) == (selector, follow)


def test_without_a_conversation_nothing_is_leaned_on() -> None:
    assert understand("and in economy?", (), NOW).follow is None


def test_a_follow_up_is_searched_for_with_what_it_leaves_out() -> None:
    assert retrieval_queries("and in economy?", _after(ROW), NOW) == ["and in economy? HAT170 business 2024-05-22"]
    (query,) = retrieval_queries("what about May 23?", _after(ROW), NOW)
    assert "2024-05-23" in query
    assert "2024-05-22" not in query
    (query,) = retrieval_queries("and the day after?", _after(ROW), NOW)
    assert "2024-05-23" in query


def test_a_relative_day_is_searched_for_as_a_date() -> None:
    assert retrieval_queries("Is HAT170 available tomorrow?", (), NOW) == ["Is HAT170 available tomorrow? 2024-05-16"]


@pytest.mark.parametrize("text", ["Is flight HAT170 delayed?", "What is the status of HAT170?", "Where is HAT170 now?"])
def test_how_a_thing_stands_is_searched_for_with_today(text: str) -> None:
    assert retrieval_queries(text, (), NOW) == [f"{text} 2024-05-15"]


@pytest.mark.parametrize("text", ["Was HAT170 delayed?", "Is a dog allowed?", "What does HAT170 cost?"])
def test_what_is_not_asked_of_today_is_searched_for_as_it_is(text: str) -> None:
    assert retrieval_queries(text, (), NOW) == [text]


def test_a_rule_is_also_searched_for_with_the_askers_own_case() -> None:
    focus: Object = {
        "terms": ["flight"],
        "fact": {"topic": MIA.facts[2].topic, "key": MIA.facts[2].key},
        "name": "flight",
    }
    first, second = retrieval_queries("Can I cancel it?", _after(focus), NOW, 0, MIA)
    assert first == "Can I cancel it? flight"
    assert "business" in second
    assert "gold" in second
