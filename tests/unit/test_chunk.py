"""Chunks cover their text, at the places they name, and fit the model."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from headrace.knowledge.chunk import CHUNK_TOKENS, chunk
from headrace.knowledge.parsed import Parsed

WORDS = "bag fee flight Grüße naïve 東京 $12.50 HAT170 https://a.example/x?y=1 antidisestablishmentarianism".split()
lines = st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join)
blocks = st.one_of(
    lines,
    lines.map(lambda line: "# " + line),
    lines.map(lambda line: "- " + line),
    st.just("```\n# code\n```"),
    st.just("x" * 3000),
    st.just("| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 60),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=80),
)
texts = st.lists(blocks, max_size=12).map("\n\n".join)


@lru_cache(maxsize=1)
def tokenizer() -> Tokenizer:
    file = files("headrace.models").joinpath("data/all-MiniLM-L6-v2/tokenizer.json")
    if not file.is_file():
        pytest.skip("the model's files are not built: make dev")
    return Tokenizer.from_str(file.read_text("utf-8"))


@settings(deadline=None, max_examples=60)
@given(texts, st.booleans())
def test_chunks_are_exact_places_in_order_that_leave_no_word_out(text: str, markdown: bool) -> None:
    pieces = chunk(Parsed("title", text, markdown), tokenizer())

    upto = 0
    for piece in pieces:
        assert text[piece.start : piece.end] == piece.text
        assert piece.text.strip()
        assert not text[upto : piece.start].strip(), "nothing but white space between chunks"
        upto = piece.end
    assert not text[upto:].strip()


@settings(deadline=None, max_examples=40)
@given(texts, st.booleans())
def test_chunks_fit_the_model(text: str, markdown: bool) -> None:
    for piece in chunk(Parsed("title", text, markdown), tokenizer()):
        assert len(tokenizer().encode(piece.text, add_special_tokens=False).ids) <= CHUNK_TOKENS


def test_chunks_know_the_headings_above_them() -> None:
    filler = "word " * 150
    text = f"intro {filler}\n\n# Bags\n\n{filler}\n\n## Cabin\n\n{filler}\n\n# Fees\n\n{filler}\n"

    pieces = chunk(Parsed("title", text, True), tokenizer())

    above = [p.heading for p in pieces]
    assert above[0] == ""
    assert list(dict.fromkeys(above)) == ["", "Bags", "Bags › Cabin", "Fees"]
    plain = chunk(Parsed("title", text, False), tokenizer())
    assert {p.heading for p in plain} == {""}


@pytest.mark.parametrize("text", ["", " \n\n\t"])
def test_a_text_without_words_has_no_chunks(text: str) -> None:
    assert chunk(Parsed("title", text, True), tokenizer()) == []
