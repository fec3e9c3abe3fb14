"""Chunks cover their text, at the places they name, and fit the model."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from headrace.knowledge.chunk import CHUNK_TOKENS, chunk
from headrace.knowledge.parsed import Parsed, Span
from headrace.place import Place

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


def spanned(*parts: tuple[str, Place]) -> Parsed:
    """A Markdown text of parts that stand at places."""
    spans: list[Span] = []
    at = 0
    for text, place in parts:
        spans.append(Span(at, at + len(text), place))
        at += len(text)
    return Parsed("title", "".join(text for text, _ in parts), True, spans=tuple(spans))


def test_a_chunk_never_leaves_its_slide_sheet_or_file() -> None:
    places = [Place(slide=1), Place(slide=2), Place(sheet="A"), Place(member="a"), Place(member="b", page=1)]

    pieces = chunk(spanned(*[(f"# Head {n}\n\nshort\n\n", p) for n, p in enumerate(places)]), tokenizer())

    assert [p.place for p in pieces] == places
    assert [p.heading for p in pieces] == [f"Head {n}" for n in range(5)]


def test_a_chunk_may_go_on_over_pages_and_says_so() -> None:
    pages = [(f"short page {n}\n\n", Place(page=n, member="a.pdf")) for n in (1, 2, 3)]

    (piece,) = chunk(spanned(*pages), tokenizer())

    assert piece.place == Place(page=1, last_page=3, member="a.pdf")


def test_headings_of_one_file_do_not_stand_above_another() -> None:
    pieces = chunk(spanned(("# A\n\ntext\n\n", Place(member="a")), ("text", Place(member="b"))), tokenizer())

    assert [p.heading for p in pieces] == ["A", ""]


def test_an_outline_gives_headings_where_the_text_has_none() -> None:
    text = "word " * 150 + "\n\n" + "other " * 150
    parsed = Parsed("t", text, False, outline=((0, 1, "One"), (10, 2, "Sub"), (text.index("other"), 1, "Two")))

    pieces = chunk(parsed, tokenizer())

    assert pieces[0].heading == "One"
    assert pieces[-1].heading == "Two"


LINES = "\n".join(f"Line {n} of minutes that somebody took down, each of which says one thing." for n in range(40))


@pytest.mark.parametrize("text", [LINES, LINES + "\n- a dash that means nothing\n"])
def test_markdown_in_which_nothing_is_marked_is_cut_as_plain_text(text: str) -> None:
    pieces = chunk(Parsed("title", text, True), tokenizer())

    assert len(pieces) > 1
    assert pieces == chunk(Parsed("title", text, False), tokenizer())
    assert all(piece.text.startswith("Line ") for piece in pieces), "at the ends of lines"


CODE = "```\n" + "\n\n".join(f"value_{n} = compute({n})" for n in range(12)) + "\n```"
ITEMS = [f"- Item {n} of a list that somebody took down\n  and that goes on in another line." for n in range(40)]


def test_a_block_of_code_without_any_heading_stays_together() -> None:
    text = "\n".join(LINES.split("\n")[:9]) + "\n\n" + CODE + "\n\n" + LINES

    assert any(CODE in piece.text for piece in chunk(Parsed("title", text, True), tokenizer()))


def test_items_of_a_list_without_any_heading_stay_whole() -> None:
    pieces = chunk(Parsed("title", "\n".join(ITEMS), True), tokenizer())

    assert len(pieces) > 1
    assert all(piece.text.lstrip().startswith("- Item") for piece in pieces)
