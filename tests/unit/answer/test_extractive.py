"""What extractive answers promise for any text, and choices that the table does not show."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.answer.context import Context
from headrace.answer.extractive import WHAT, WHO, candidates, extract
from headrace.answer.focus import read_focus
from headrace.answer.question import retrieval_queries
from headrace.answer.reading import read
from headrace.answer.units import split
from headrace.stores.conversations import Turn
from headrace.stores.knowledge import Passage
from headrace.stores.values import JSON
from tests.unit.answer.cases import CASES
from tests.unit.answer.corpora import MIA, NOW, WORLDS, chunks, stamp
from tests.unit.answer.test_cases import assert_sound

QUESTIONS = sorted({t for c in CASES for t in c.turns})
TEXTS = st.lists(
    st.one_of(
        st.text(max_size=120),
        st.sampled_from(
            ["# Title", "- item one: 5 $.", "| a | b |", "| --- | --- |", "```", "1. One. Two?", "  - in", ""]
        ),
        st.sampled_from([p.text for w in WORLDS.values() for p in w.passages]),
    ),
    max_size=8,
).map("\n".join)
ANYTHING: st.SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["topic", "key", "x"]), inner),
    max_leaves=6,
)


def _passage(text: str) -> Passage:
    return Passage("d/x.md", "d/x.md#0", 0, "Title", "", text, 0, len(text), 1.0, stamp())


@given(TEXTS)
def test_units_are_spans_in_order_without_overlap_or_white_space_around(text: str) -> None:
    at = 0
    for unit in split(text):
        assert at <= unit.start < unit.end <= len(text)
        assert text[unit.start : unit.end].strip() == text[unit.start : unit.end]
        assert unit.parent < len(split(text))
        at = unit.end


@settings(max_examples=150, deadline=None)
@given(
    question=st.one_of(st.sampled_from(QUESTIONS), st.text(max_size=80)),
    texts=st.lists(TEXTS, max_size=3),
    known=st.booleans(),
    focus=st.dictionaries(
        st.sampled_from(["terms", "codes", "days", "fact", "document", "name", "time", "own"]), ANYTHING
    ),
)
def test_any_question_of_any_text_is_answered_soundly(
    question: str, texts: list[str], known: bool, focus: dict[str, JSON]
) -> None:
    history = [Turn("user", "before", {}, NOW), Turn("assistant", "text", focus, NOW)]
    passages = [replace(_passage(t), chunk=f"d/x.md#{n}") for n, t in enumerate(texts)]
    context = Context(question, passages, MIA if known else None, (), history, NOW)
    found = extract(context)
    assert found.text
    assert_sound(context, found)
    assert retrieval_queries(question, history, NOW, 0, context.profile)
    assert set(candidates(context)) <= {
        ln.shown for p in passages for ln in read(p.text, "", p.title, p.document).lines
    }
    assert read_focus(found.focus).to_object() == found.focus


def test_the_newest_of_two_documents_that_contradict_each_other_is_quoted() -> None:
    old = chunks("a.md", "# Speed\n\nThe limit is 30 km/h in the yard.\n", "2020-01-01T00:00:00Z")
    new = chunks("b.md", "# Speed\n\nThe limit is 10 km/h in the yard.\n", "2024-01-01T00:00:00Z")
    found = extract(Context("What is the speed limit in the yard?", [*old, *new], now=NOW))
    assert "10 km/h" in found.text
    assert "30 km/h" not in found.text


def test_a_sentence_that_leans_on_the_one_before_is_quoted_with_it() -> None:
    text = "Parcels are insured up to 500 euros. However, jewellery is excluded from it."
    found = extract(Context("Is jewellery excluded?", [_passage(text)], now=NOW))
    assert found.citations[0].quote == text


def test_similarities_decide_between_sentences_that_words_do_not_tell_apart() -> None:
    text = "The lounge opens for members at six. The gate opens for members at nine."
    context = Context("When does it open for members?", [_passage(text)], now=NOW)
    preferred = extract(
        context, {"The gate opens for members at nine.": 0.9, "The lounge opens for members at six.": 0.1}
    )
    assert preferred.citations[-1].quote.endswith("The gate opens for members at nine.")


def test_who_is_not_known_is_told_so() -> None:
    assert (
        extract(Context("What is my next flight?", [_passage("Flight HAT1 is my next flight.")], now=NOW)).text == WHO
    )


def test_a_greeting_is_no_question() -> None:
    found = extract(Context("Hello!", [_passage("Hello is a word.")], now=NOW))
    assert (found.text, found.abstained) == (WHAT, True)


def test_an_unknown_word_is_named() -> None:
    found = extract(Context("How much is the spa?", [_passage("The pool is 5 euros a day.")], now=NOW))
    assert found.abstained
    assert "spa" in found.text


def test_a_fact_with_its_own_document_is_told_with_it() -> None:
    row = "Flight HAT018 from New York to Seattle on May 15, 2024 (2024-05-15) at 19:00 is boarding at gate B4."
    found = extract(Context("Which gate does my next flight leave from?", [_passage(row)], MIA, now=NOW))
    assert "gate B4" in found.text
    assert [f.key for f in found.facts] == ["EHGLP3,1"]
