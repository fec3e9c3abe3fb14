"""Tokens counted word by word are those of the whole text."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from headrace.knowledge.counting import Count, counter

words = st.sampled_from("bag Grüße naïve 東京 $12.50 HAT170 [CLS] [MASK]x can't ünderstand́ ffi Ⅷ".split())
blanks = st.text(" \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u2003\u2028\u2029\u200b\u0301\ufeff\0\ufffd", min_size=1, max_size=3)
anything = st.text(st.characters(codec="utf-8"), max_size=8)
texts = st.lists(st.one_of(words, blanks, anything, st.just("x" * 150)), max_size=25).map("".join)


@lru_cache(maxsize=1)
def tokenizer() -> Tokenizer:
    file = files("headrace.models").joinpath("data/all-MiniLM-L6-v2/tokenizer.json")
    if not file.is_file():
        pytest.skip("the model's files are not built: make dev")
    made = Tokenizer.from_str(file.read_text("utf-8"))
    made.no_truncation()
    made.no_padding()
    return made


@lru_cache(maxsize=3)
def counted(most: int) -> Count:
    count = counter(tokenizer(), most)
    assert count is not None
    return count


def tokens(text: str) -> int:
    return len(tokenizer().encode(text, add_special_tokens=False).ids)


@settings(deadline=None, max_examples=400)
@given(texts)
@example("page one\x0cpage two")
@example("a\x1fb c\x85d e\x0bf g\xa0h")
def test_a_text_has_as_many_tokens_as_its_words(text: str) -> None:
    assert counted(10_000)(text) == tokens(text)


@settings(deadline=None, max_examples=400)
@given(st.lists(st.tuples(texts, st.integers(0, 60)), min_size=1, max_size=6), st.sampled_from([3, 12]))
@example([("a b", 0), ("a bc", 0)], 3)
@example([("a b c d e", 0), ("a b c d ef", 0), ("a b c", 0), ("a b cd", 0)], 3)
@example([("a\x0bb", 0), ("a", 1), ("a\x0b b", 0)], 12)
def test_a_text_is_counted_as_far_as_it_matters_whatever_was_counted_before(
    tried: list[tuple[str, int]], most: int
) -> None:
    """As a splitter tries: texts that go on from each other, or are cut short."""
    for text, cut in tried:
        for part in (text, text[:cut], text[: cut + 1], text + " and more", text + "more"):
            assert min(counted(most)(part), most + 1) == min(tokens(part), most + 1)


def test_a_tokenizer_whose_words_depend_on_each_other_is_not_counted_by_words() -> None:
    whole = Tokenizer(models.BPE())
    whole.pre_tokenizer = pre_tokenizers.ByteLevel()

    assert counter(whole, 200) is None
