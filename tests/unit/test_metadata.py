"""Metadata of documents: what of them is kept, and what a search may demand of them."""

from __future__ import annotations

import json
import math
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import BadRequest
from headrace.limiting import demands
from headrace.limiting import given as given_as
from headrace.metadata import (
    CHARACTERS,
    FIELDS,
    LONGEST_FIELD,
    LONGEST_TEXT,
    VALUES,
    decoded,
    encoded,
    field_name,
    metadata_of,
    restored,
    values_of,
)
from headrace.stores.conditions import MOST_CONDITIONS, MOST_VALUES, Condition, conditions_in, conditions_of

SINGLE = st.one_of(
    st.text(max_size=1200), st.integers(), st.floats(), st.booleans(), st.none(), st.dates(), st.datetimes()
)
SAID = st.dictionaries(st.text(max_size=120), st.one_of(SINGLE, st.lists(SINGLE, max_size=120)), max_size=80)


@given(SAID)
def test_what_is_kept_is_within_bounds_and_stays_as_it_is(said: dict[str, object]) -> None:
    kept = metadata_of(said)

    assert len(kept) <= FIELDS
    assert list(kept) == sorted(kept)
    assert all(0 < len(n) <= LONGEST_FIELD and field_name(n) == n for n in kept)
    for value in kept.values():
        assert 1 <= len(values_of(value)) <= VALUES
        assert all(not isinstance(v, str) or 0 < len(v) <= LONGEST_TEXT for v in values_of(value))
        assert all(not isinstance(v, float) or math.isfinite(v) for v in values_of(value))
    assert sum(len(n) + sum(len(str(v)) for v in values_of(value)) for n, value in kept.items()) <= CHARACTERS
    assert encoded(metadata_of(kept)) == encoded(kept)


@given(SAID)
def test_json_gives_back_what_was_encoded(said: dict[str, object]) -> None:
    kept = metadata_of(said)

    assert repr(decoded(encoded(kept))) == repr(kept)
    assert repr(restored(json.loads(encoded(kept)))) == repr(kept)
    json.loads(encoded(kept).encode())


def test_names_and_values_are_brought_to_one_form() -> None:
    said = {
        "Price Group": " red\n wine ", "price_group": "said before", "Whole": 5.0, "LARGE": 2**53, "nul": "a\0b",
        "day": date(2024, 5, 1), "at": datetime(2024, 5, 1, 2, tzinfo=timezone(timedelta(hours=2))), "nan": math.nan,
        "tags": ["a", "b", "a", None, 1, True], "none": None, "empty": "", "long": "x" * 1001, "deep": {"a": 1},
    }  # fmt: skip

    assert metadata_of(said) == {
        "at": "2024-05-01T00:00:00Z", "day": "2024-05-01", "large": str(2**53), "nul": "a b",
        "price_group": "red wine", "tags": ("a", "b", 1, True), "whole": 5,
    }  # fmt: skip
    assert metadata_of({"a": 1}, {"A": 2, "b": 3}) == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    ("said", "conditions"),
    [
        ({"Dept": "hr"}, [Condition("dept", "any", ("hr",))]),
        ({"dept": ["hr", "it", "hr"]}, [Condition("dept", "any", ("hr", "it"))]),
        ({"n": 5.0, "m": True}, [Condition("n", "any", (5,)), Condition("m", "any", (True,))]),
        ({"price": {"gte": 10, "lt": 20}}, [Condition("price", "gte", (10,)), Condition("price", "lt", (20,))]),
        ({"t": {"all": ["a", "b"], "any": "c"}}, [Condition("t", "all", ("a", "b")), Condition("t", "any", ("c",))]),
        ({"by": {"ne": ["x", "y"], "exists": True}}, [Condition("by", "none", ("x", "y")), Condition("by", "exists")]),
        ({"d": {"exists": False}, "n": {"gt": "2024"}}, [Condition("d", "absent"), Condition("n", "gt", ("2024",))]),
        ({}, []),
    ],
)  # fmt: skip
def test_a_filter_is_read_as_conditions(said: dict[str, object], conditions: list[Condition]) -> None:
    assert list(conditions_of(said)) == conditions


@pytest.mark.parametrize(
    ("said", "where", "expected"),
    [
        ({"price": {"gt": None}}, "filter.metadata.price.gt", "a number"),
        ({"price": {"gte": True}}, "filter.metadata.price.gte", "a number or a text"),
        ({"price": {"gte": [1]}}, "filter.metadata.price.gte", "a text of 1 to 1000"),
        ({"price": {"gteq": 1}}, "filter.metadata.price", "one of eq, ne"),
        ({"price": {}}, "filter.metadata.price", "a value, a list"),
        ({"price": None}, "filter.metadata.price", "a text of 1 to 1000"),
        ({"tags": []}, "filter.metadata.tags", "1 to 100 values"),
        ({"tags": {"any": [str(n) for n in range(MOST_VALUES + 1)]}}, "filter.metadata.tags.any", "1 to 100 values"),
        ({"tags": ["a", {"b": 1}]}, "filter.metadata.tags", "a text of 1 to 1000"),
        ({"draft": {"exists": "no"}}, "filter.metadata.draft.exists", "true or false"),
        ({" ": 1}, "filter.metadata. ", "a field's name"),
        ({"x" * 101: 1}, "filter.metadata.xxx", "a field's name"),
        ({str(n): n for n in range(MOST_CONDITIONS + 1)}, "filter.metadata", "at most 32"),
    ],
)
def test_a_filter_that_cannot_be_understood_is_told_where(said: dict[str, object], where: str, expected: str) -> None:
    with pytest.raises(BadRequest) as caught:
        conditions_of(said)

    assert caught.value.step.startswith(f"read {where}")
    assert expected in caught.value.expected


@pytest.mark.parametrize("text", ["", "null", "[]", "{", '{"a":' + "[" * 30_000])
def test_conditions_that_are_no_json_object_are_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="read metadata: expected a JSON object"):
        conditions_in(text, "metadata")
    assert conditions_in('{"a": "x"}', "metadata") == (Condition("a", "any", ("x",)),)
    with pytest.raises(BadRequest, match=r"read metadata\.a\.above"):
        conditions_in('{"a": {"above": 1}}', "metadata")


def test_the_nearest_operator_is_named() -> None:
    with pytest.raises(BadRequest, match="Did you mean `exists`"):
        conditions_of({"a": {"exist": True}})


def test_demands_of_the_command_line() -> None:
    texts = [
        "category=bags", "price>=10", "price<20.5", "tags=a", "tags=b", "author!=ada lovelace", "draft", "!old",
        'year="2024"', "on=true",
    ]  # fmt: skip
    found = demands(texts)

    assert found == {
        "category": {"all": ["bags"]}, "price": {"gte": 10, "lt": 20.5}, "tags": {"all": ["a", "b"]},
        "author": {"ne": ["ada lovelace"]}, "draft": {"exists": True}, "old": {"exists": False},
        "year": {"all": ["2024"]}, "on": {"all": [True]},
    }  # fmt: skip
    assert len(conditions_of(found)) == 9
    assert given_as(["a=1", "b=x=y", "c=p", "c=q"]) == {"a": 1, "b": "x=y", "c": ["p", "q"]}


@pytest.mark.parametrize("text", ["", "=x", ">5", "a==", "!"])
def test_what_demands_nothing_is_refused(text: str) -> None:
    if text == "a==":  # a value may hold anything
        assert demands([text]) == {"a": {"all": ["="]}}
        return
    with pytest.raises(BadRequest, match="key=value"):
        demands([text])


def test_a_bound_that_comes_twice_is_refused() -> None:
    for read, texts in ((demands, ["a>1", "a>2"]), (given_as, ["a"])):
        with pytest.raises(BadRequest):
            read(texts)


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda x: (
                st.lists(x, max_size=3)
                | st.dictionaries(st.sampled_from(["eq", "gt", "any", "exists", "x"]), x, max_size=3)
            ),
        ),
        max_size=4,
    )
)
def test_no_filter_fails_otherwise_than_as_a_bad_request(said: dict[str, Any]) -> None:
    try:
        found = conditions_of(said)
    except BadRequest:
        return
    assert all(c.field == field_name(c.field) and len(c.values) == len(set(map(repr, c.values))) for c in found)
