"""What language models are asked about documents, and what is taken of what they answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.knowledge.asking import BadAnswer, document, excerpt, plain
from headrace.knowledge.classify import Classify
from headrace.knowledge.summarise import Summarise

LABELS = {"invoice": "asks for money", "contract": "binds two sides", "HR policy": ""}


def classify(*, many: bool = False) -> Classify:
    return Classify(LABELS, many=many, characters=1000, max_tokens=50)


def summarise(words: int = 20) -> Summarise:
    return Summarise(max_words=words, characters=1000, max_tokens=50)


@pytest.mark.parametrize(
    "answer",
    [
        "invoice",
        " Invoice.\n",
        '"INVOICE"',
        "**invoice**",
        "```\ninvoice\n```",
        "<think>contract? no, it asks for money</think>\n\ninvoice",
        "Label: invoice",
        "The label that fits best is `invoice`.",
        "1. invoice",
    ],
)
def test_a_label_is_read_however_a_model_dresses_it_up(answer: str) -> None:
    assert classify().read(answer) == ("invoice",)
    assert classify(many=True).read(answer) == ("invoice",)


@pytest.mark.parametrize(
    "answer",
    ["", "...", "bill", "invoices", "invoice, contract", "It is not an invoice but a contract.", "x" * 5000,
     "<think>invoice", "none", "noninvoice"],
)  # fmt: skip
def test_what_is_no_label_is_refused_and_told(answer: str) -> None:
    with pytest.raises(BadAnswer, match="invoice, contract, HR policy"):
        classify().read(answer)


@pytest.mark.parametrize(
    ("answer", "labels"),
    [
        ("contract, invoice", ("invoice", "contract")),
        ("- contract\n- hr POLICY\n", ("contract", "HR policy")),
        ('["invoice"; "contract"]', ("invoice", "contract")),
        ("none", ()),
        ("None.", ()),
    ],
)
def test_several_labels_come_in_the_order_of_the_configuration(answer: str, labels: tuple[str, ...]) -> None:
    assert classify(many=True).read(answer) == labels


@pytest.mark.parametrize("answer", ["", "invoice, bill", "invoice and contract and more", "none, invoice"])
def test_several_labels_of_which_one_is_none_are_refused(answer: str) -> None:
    with pytest.raises(BadAnswer):
        classify(many=True).read(answer)


def test_what_was_told_before_holds_as_long_as_it_could_be_told_now() -> None:
    assert classify().holds(("invoice",))
    assert not classify().holds(("invoice", "contract"))
    assert not classify().holds(("bill",))
    assert not classify().holds("invoice")
    assert classify(many=True).holds(())
    assert summarise().holds("words")
    assert not summarise().holds(())


@given(st.text())
def test_no_answer_at_all_gives_another_label(answer: str) -> None:
    for many in (False, True):
        try:
            found = classify(many=many).read(answer)
        except BadAnswer:
            continue
        assert classify(many=many).holds(found)


@given(st.text(), st.integers(1, 50))
def test_a_summary_is_no_longer_than_is_allowed_and_can_be_stored(answer: str, words: int) -> None:
    try:
        found = summarise(words).read(answer)
    except BadAnswer:
        return
    assert isinstance(found, str)
    assert 0 < len(found.split()) <= words
    assert "\0" not in found
    found.encode()


def test_a_summary_that_was_cut_off_ends_with_a_sentence() -> None:
    said = "Summary: The policy is about cabin bags. It allows one of 55 cm. Larger ones cost thirty"
    assert summarise(14).read(said) == "The policy is about cabin bags. It allows one of 55 cm."
    assert summarise(50).read("**A plain one.**") == "A plain one."


def test_an_excerpt_ends_with_a_sentence_or_a_word() -> None:
    text = "One sentence here. Another one there. And a third that is cut somewhere in its middle."
    assert excerpt(text, 1000) == text
    assert excerpt(text, 45) == "One sentence here. Another one there."
    assert excerpt("word " * 100, 52) == ("word " * 10).rstrip()
    assert excerpt("x" * 100, 10) == "x" * 10


@given(st.text(), st.integers(1, 200))
def test_an_excerpt_is_a_beginning_of_its_text(text: str, most: int) -> None:
    found = excerpt(text, most)
    assert text.startswith(found)
    assert len(found) <= most


def test_a_model_is_shown_the_title_and_the_beginning_and_told_so() -> None:
    shown = document("Bags", "One. " * 100, 50)
    assert "Title: Bags" in shown
    assert "(its beginning)" in shown
    assert shown.count("One.") == 10
    assert "beginning" not in document("Bags", "One.", 50)


def test_what_models_write_around_an_answer_goes() -> None:
    assert plain("<thinking>hm\nhm</thinking> \n```text\nan answer\n```") == "an answer"
    assert plain("<think>never ends") == ""
    assert plain("a\0b\x07\tc") == "ab c"
