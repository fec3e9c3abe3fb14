"""What says the same is shown once; what differs in a number or a name is not the same."""

from __future__ import annotations

from headrace.answer.distinct import distinct
from headrace.change import Position, Stamp
from headrace.stores.knowledge import Passage

LONG = (
    "Whoever loses a book replaces it with the same edition or pays what a new copy costs, plus 4 euros for the work; "
    "children under 14 pay half of that at every branch of the library in Bergen and elsewhere in the county."
)


def passage(name: str, text: str, heading: str = "") -> Passage:
    stamp = Stamp("docs", Position(1), 1)
    return Passage(name, f"{name}#0", 0, name, heading, text, 0, len(text), 0.5, stamp)


def kept(*passages: Passage, most: int = 10) -> list[tuple[str, tuple[str, ...]]]:
    return [(p.document, p.duplicates) for p in distinct(passages, most)]


def test_a_copy_is_left_out_and_named() -> None:
    copies = [passage("a", LONG), passage("b", LONG), passage("c", LONG.replace("  ", " ") + "\n")]

    assert kept(*copies, passage("d", "something else")) == [("a", ("b#0", "c#0")), ("d", ())]


def test_a_few_ordinary_words_make_no_difference() -> None:
    assert kept(passage("a", LONG), passage("b", LONG.replace("what a new copy", "what a fresh copy"))) == [
        ("a", ("b#0",))
    ]


def test_another_number_or_name_is_another_text() -> None:
    texts = [LONG, LONG.replace("4 euros", "5 euros"), LONG.replace("Bergen", "Cork")]

    assert kept(*(passage(str(n), t) for n, t in enumerate(texts))) == [("0", ()), ("1", ()), ("2", ())]


def test_short_texts_are_what_they_say_under_their_heading() -> None:
    assert kept(passage("a", "Yes.", "Dogs"), passage("b", "Yes.", "Cats")) == [("a", ()), ("b", ())]
    assert kept(passage("a", "Yes.", "Dogs"), passage("b", "Yes.", "Dogs")) == [("a", ("b#0",))]


def test_only_so_many_are_kept_and_copies_are_named_behind_them_too() -> None:
    assert kept(passage("a", LONG), passage("b", "another text"), passage("c", LONG), most=1) == [("a", ("c#0",))]
