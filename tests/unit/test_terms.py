"""Words to terms: the same for chunks and for queries."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace.knowledge.terms import STOP, bag, query_terms, term, words

anything = st.text(st.characters(codec="utf-8"), max_size=80)
blanks = st.sampled_from(" \t\n\x0b\x0c\x1c\x1f\x85\xa0\u2002\u2028\u3000\u200b\u0301\u00a8'’")
texts = st.lists(st.one_of(anything, blanks, st.just("ﬁnd"), st.just("runTarget")), max_size=8).map("".join)


@given(texts)
@example("a\xa0b ¨c\u3000\u0301d e\u2028f\x85g\x1ch ﬁ\u2002x " + "東京" * 40 + "x" * 70)
def test_a_bag_counts_every_word_once(text: str) -> None:
    made = bag(text)

    assert dict(zip(made.terms.tolist(), made.counts.tolist(), strict=True)) == Counter(map(term, words(text)))
    assert made.length == len(words(text))
    assert made.terms.tolist() == sorted(set(made.terms.tolist())), "ascending, each once"
    assert (made.terms.dtype, made.counts.dtype) == (np.int64, np.uint16)


@given(texts)
def test_what_a_query_asks_for_is_found_in_its_own_text(text: str) -> None:
    asked = query_terms(text)

    assert np.isin(asked, bag(text).terms).all()
    assert asked.tolist() == sorted(set(asked.tolist()))
    assert len(asked) > 0 or not words(text), "a query of stop words alone asks for these"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Flights", "flight"),
        ("cancelled", "cancel"),
        ("ＢＡＧ", "bag"),
        ("STRASSE", "straße"),
        ("airline's", "airline"),
        ("airline’s", "airline's"),
        ("HAT170", "hat170"),
    ],
)
def test_words_that_mean_the_same_are_one_term(one: str, other: str) -> None:
    assert bag(one).terms.tolist() == bag(other).terms.tolist()


def test_codes_and_numbers_keep_what_they_are() -> None:
    assert words("HAT170 on May 22: $12.50, o'clock") == ["hat170", "on", "may", "22", "12", "50", "o'clock"]
    assert term("22s") != term("22")


def test_an_identifier_is_found_by_its_parts_and_as_a_whole() -> None:
    assert words("DiffExecutor.run_target") == ["diff", "executor", "diffexecutor", "run", "target", "run_target"]
    assert words("HTTPServer parseURL _private") == [
        "http", "server", "httpserver", "parse", "url", "parseurl", "private",
    ]  # fmt: skip
    assert words("HAT170 GPUs Straße ___") == ["hat170", "gpus", "strasse"]
    assert set(query_terms("what does run target do").tolist()) <= set(bag("fn runTarget()").terms.tolist())


def test_a_term_is_the_same_in_every_process() -> None:
    assert (term("flight"), term("hat170")) == (6537076153054869291, -8866997059318435382)


def test_stop_words_count_only_when_there_are_no_others() -> None:
    assert query_terms("what is the bag fee").tolist() == query_terms("bag fee").tolist()
    assert len(query_terms("what is the")) == 3
    assert {"the", "what", "is"} <= STOP


def test_counts_stop_at_what_their_type_holds() -> None:
    made = bag("bag " * 70_000)

    assert (made.counts.tolist(), made.length) == ([0xFFFF], 70_000)
