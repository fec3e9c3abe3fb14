"""LlamaIndex's filters as the filter of a search: they mean the same, or are refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.vector_stores.types import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters
from llama_index.core.vector_stores.utils import build_metadata_filter_fn

from headrace.errors import BadRequest
from headrace.integrations.llamaindex_filters import limited
from headrace.metadata import metadata_of
from headrace.stores.conditions import conditions_of
from tests.holding import holds

EQ, NE, IN, NIN = FilterOperator.EQ, FilterOperator.NE, FilterOperator.IN, FilterOperator.NIN
AND, OR, NOT = FilterCondition.AND, FilterCondition.OR, FilterCondition.NOT
BOUNDS = (FilterOperator.GT, FilterOperator.GTE, FilterOperator.LT, FilterOperator.LTE)


def one(key: str, operator: FilterOperator, value: Any = None) -> MetadataFilter:
    return MetadataFilter(key=key, operator=operator, value=value)


def both(*filters: MetadataFilter | MetadataFilters, condition: FilterCondition | None = AND) -> MetadataFilters:
    return MetadataFilters(filters=list(filters), condition=condition)


# ---- the same meaning ------------------------------------------------------------------------------------------------

WORDS, NUMBERS = st.sampled_from(["a", "b", "c"]), st.integers(-2, 2)
SAID = st.fixed_dictionaries({}, optional={"word": WORDS, "number": NUMBERS, "words": st.lists(WORDS, min_size=1)})


def _of(key: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[MetadataFilter]:
    several = st.lists(values, min_size=1, max_size=3)
    return st.one_of(
        st.builds(one, st.just(key), st.sampled_from([EQ, NE]), values),
        st.builds(one, st.just(key), st.sampled_from([IN, NIN]), several),
        st.builds(one, st.just(key), st.sampled_from(BOUNDS), values),
        st.builds(one, st.just(key), st.just(FilterOperator.IS_EMPTY)),
    )


OF_SEVERAL = st.one_of(
    st.builds(one, st.just("words"), st.just(FilterOperator.CONTAINS), WORDS),
    st.builds(
        one,
        st.just("words"),
        st.sampled_from([FilterOperator.ANY, FilterOperator.ALL]),
        st.lists(WORDS, min_size=1, max_size=3),
    ),
)
SINGLE = st.one_of(_of("word", WORDS), _of("number", NUMBERS), OF_SEVERAL)
CONDITIONS = st.sampled_from([AND, OR, NOT])


@given(SAID, st.lists(SINGLE, max_size=4), CONDITIONS)
def test_filters_hold_where_llamaindex_says(
    said: dict[str, Any], filters: list[MetadataFilter], condition: FilterCondition
) -> None:
    given_ = both(*filters, condition=condition)
    try:
        made = limited(None, given_)
    except BadRequest:
        return  # that only what must be refused is refused is shown below

    found = holds(conditions_of((made or {}).get("metadata", {})), metadata_of(said))

    assert found == build_metadata_filter_fn(lambda _: said, given_)("any")


def _holds(node: MetadataFilter | MetadataFilters, said: dict[str, Any]) -> bool:
    """As LlamaIndex means groups in groups, which its own function refuses."""
    if isinstance(node, MetadataFilter):
        return build_metadata_filter_fn(lambda _: said, both(node))("any")
    inside = [_holds(n, said) for n in node.filters]
    return {AND: all(inside), OR: any(inside), NOT: not any(inside)}[node.condition or AND]


def _group(inside: st.SearchStrategy[Any]) -> st.SearchStrategy[MetadataFilters]:
    def build(filters: list[Any], condition: FilterCondition) -> MetadataFilters:
        return both(*filters, condition=condition)

    return st.builds(build, st.lists(inside, min_size=1, max_size=3), CONDITIONS)


@given(SAID, _group(st.recursive(SINGLE, _group, max_leaves=5)))
def test_groups_in_groups_hold_too(said: dict[str, Any], filters: MetadataFilters) -> None:
    try:
        made = limited(None, filters)
    except BadRequest:
        return

    assert made is not None
    assert holds(conditions_of(made["metadata"]), metadata_of(said)) == _holds(filters, said)


@pytest.mark.parametrize(
    ("filters", "metadata"),
    [
        (both(one("a", EQ, "x"), condition=None), {"a": {"all": ["x"]}}),
        (both(one("a", EQ, "x"), one("n", BOUNDS[1], 10), one("n", BOUNDS[2], 20.5)),
         {"a": {"all": ["x"]}, "n": {"gte": 10, "lt": 20.5}}),
        (both(one("n", BOUNDS[0], 1), one("n", BOUNDS[0], 3), one("d", BOUNDS[3], "b"), one("d", BOUNDS[3], "a")),
         {"n": {"gt": 3}, "d": {"lte": "a"}}),
        (both(one("a", IN, ["x", "y"]), one("a", NE, "z"), one("a", NIN, ["z", "w"])),
         {"a": {"any": ["x", "y"], "ne": ["z", "w"]}}),
        (both(one("a", EQ, "x"), one("a", IN, ["y", "z"]), condition=OR), {"a": {"any": ["x", "y", "z"]}}),
        (both(both(one("a", EQ, "x"), one("a", EQ, "y"), condition=OR), one("b", EQ, 1)),
         {"a": {"any": ["x", "y"]}, "b": {"all": [1]}}),
        (both(one("a", EQ, "x"), one("b", FilterOperator.IS_EMPTY), condition=NOT),
         {"a": {"ne": ["x"]}, "b": {"exists": True}}),
        (both(both(one("a", NE, "x"), one("a", NE, "y"), condition=AND), condition=NOT), {"a": {"any": ["x", "y"]}}),
        (both(one("tags", FilterOperator.ALL, ["x", "y"]), one("tags", FilterOperator.CONTAINS, "z")),
         {"tags": {"all": ["x", "y", "z"]}}),
    ],
)  # fmt: skip
def test_what_a_search_can_demand_is_demanded(filters: MetadataFilters, metadata: dict[str, Any]) -> None:
    assert limited(None, filters) == {"metadata": metadata}
    assert conditions_of(metadata)


def test_filters_come_beside_the_filter_and_know_headraces_own_words() -> None:
    own = both(one("source", EQ, "policies"), one("title", FilterOperator.TEXT_MATCH_INSENSITIVE, "cabin"))
    assert limited(None, own) == {"source": "policies", "title": "cabin"}
    given_ = {"label": "money", "metadata": {"a": 1}}
    assert limited(given_, both(one("b", EQ, 2))) == {"label": "money", "metadata": {"a": 1, "b": {"all": [2]}}}
    assert given_ == {"label": "money", "metadata": {"a": 1}}
    assert limited(given_, None) == given_
    assert limited(None, both()) is None
    assert limited(None, None) is None


# ---- refused by name -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "named"),
    [
        (both(one("a", FilterOperator.TEXT_MATCH, "x")), "`a` text_match 'x'"),
        (both(one("a", BOUNDS[0], 3), condition=NOT), "not `a` > 3"),
        (both(one("a", FilterOperator.ALL, ["x", "y"]), condition=NOT), "not `a` all"),
        (both(one("a", EQ, "x"), one("b", EQ, "x"), condition=OR), "`a` and `b`"),
        (both(one("a", BOUNDS[0], 3), one("a", BOUNDS[2], 1), condition=OR), "alternatives (or) over `a`"),
        (both(both(one("a", EQ, "x"), one("a", EQ, "y")), one("a", EQ, "z"), condition=OR), "alternatives (or)"),
        (both(one("a", IN, ["x", "y"]), one("a", IN, ["y", "z"])), "two lists of values for `a`"),
        (both(one("a", BOUNDS[0], 3), one("a", BOUNDS[0], "x")), "`a` beyond a number and beyond a text"),
        (both(one("a", FilterOperator.IS_EMPTY), both(one("a", FilterOperator.IS_EMPTY), condition=NOT)), "is empty"),
        (both(one("a", IN, "x")), "`a` in 'x'"),
        (both(one("a", IN, [])), "`a` in \\[\\]"),
        (both(one("a", EQ, ["x"])), "`a` == \\['x'\\]"),
        (both(one("a", EQ)), "`a` == None"),
        (both(both()), "a group of no filters"),
        (both(one("document", EQ, "docs/a.md")), "`document` == 'docs/a.md'"),
        (both(one("source", NE, "policies")), "`source` != 'policies'"),
        (both(one("source", EQ, "a"), one("source", EQ, "b")), "`source` twice"),
    ],
)
def test_what_a_search_cannot_demand_is_named(filters: MetadataFilters, named: str) -> None:
    with pytest.raises(BadRequest, match=named.replace("(", "\\(").replace(")", "\\)")):
        limited(None, filters)


def test_a_field_is_said_once() -> None:
    with pytest.raises(BadRequest, match="`a` in `filter` and in `filters`"):
        limited({"metadata": {"a": 1}}, both(one("a", EQ, 2)))
    with pytest.raises(BadRequest, match="`source` twice"):
        limited({"source": "x"}, both(one("source", EQ, "y")))
