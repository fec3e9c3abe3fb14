"""Word and PowerPoint files of before 2007: what they hold, and those that are damaged or made to do harm."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest

from headrace.errors import BadInput
from headrace.knowledge.parse import parse
from headrace.knowledge.parsed import Limits, Parsed
from headrace.place import Place
from tests import documents as make
from tests import old_office as old

DATA = Path(__file__).parents[1] / "data" / "formats"
CHANGED = int(datetime(2005, 6, 7, 8, 9, 10, tzinfo=UTC).timestamp() * 1_000_000)


def read(name: str) -> Parsed:
    return parse(name, (DATA / name).read_bytes())


def refused(content: bytes, limits: Limits | None = None) -> BadInput:
    with pytest.raises(BadInput) as caught:
        parse("old", content, limits)
    return caught.value


def test_an_old_word_document_is_markdown() -> None:
    parsed = read("rules.doc")

    assert parsed.text.split("\n\n") == [
        "Airline handbook", "# Kabinengepäck für alle", "Größe und Gewicht – „zählen“ für 10 €.", "## Fees",
        "| Kind | Fee | Note |\n| --- | --- | --- |\n| Bag | 12 | two lines |\n| Seat | 7 | a\\|b |",
        "日本語の文章です。", "- first item", "- second item", "- numbered",
        "See [the desk](https://example.com/desk?a=1) for more.", "Seen again", "Kept  text", "emoji 😀 after", "page",
        "line one\nline two\ttab non-breaking", "| outer |  |\n| --- | --- |\n|  | in1 in2 in3 in4 |", "end",
        "Confidential", "- Carol: Is this so?", "",
    ]  # fmt: skip
    assert (parsed.title, parsed.dated, parsed.media) == ("Cabin rules", CHANGED, "application/msword")


def test_an_old_document_states_what_a_new_one_does() -> None:
    said = dict(read("rules.doc").metadata)

    assert {name: said[name] for name in ("title", "author", "last_modified_by", "keywords", "subject")} == {
        "title": "Cabin rules", "author": "Ada Lovelace", "last_modified_by": "Bob", "keywords": ("bags", "fees"),
        "subject": "Bags",
    }  # fmt: skip
    assert {name: said[name] for name in ("description", "created", "modified", "appversion")} == {
        "description": "About bags", "created": "2004-05-06T07:08:09Z", "modified": "2005-06-07T08:09:10Z",
        "appversion": "14.0000",
    }  # fmt: skip


def test_notes_of_an_old_word_document_stand_at_its_end() -> None:
    parsed = read("notes.doc")

    assert parsed.text == (
        "# Foot rules\n\n# Head A\n\nText with a note and more.\n\n## Head B\n\n| A | B |\n| --- | --- |\n| 1 | 2 |\n\n"
        "- one\n\n  - deep\n\nquoted\n\n- The footnote text.\n\n"
    )


def test_old_slides_have_titles_and_notes() -> None:
    parsed = read("deck.ppt")

    assert parsed.text == (
        "# Gepäck für alle\n\nUntertitel 日本語\n\n# Fees\n\nBags are free\nSeats cost 7 €\n\n### Notes\n\n"
        "say it slowly\nand twice\n\n# Table\n\ncell 00\n\ncell 01\n\ncell 10\n\ncell 11\n\na free box\n\n# Slide 4\n\n"
    )
    assert [(s.place, parsed.text[s.start : s.start + 6]) for s in parsed.spans] == [
        (Place(slide=1), "# Gepä"), (Place(slide=2), "# Fees"), (Place(slide=3), "# Tabl"), (Place(slide=4), "# Slid"),
    ]  # fmt: skip
    assert (parsed.title, parsed.dated, parsed.metadata["keywords"]) == ("Bags deck", CHANGED, ("a", "b"))


def test_slides_that_only_the_outline_has_are_read() -> None:
    assert parse("a", old.slides([b"Gep\xe4ck", b"One\x0bTwo"])).text == "# Gepäck\n\n# One Two\n\n"


def test_pieces_are_read_in_order_each_in_its_encoding() -> None:
    parsed = parse("a.doc", old.word([b"\x93bags\x94 \x80 \xe4", "日本\ud83d", "\ude00\r", b"b\x1ec\x1fd\x01\r"]))

    assert parsed.text == "“bags” € ä日本😀\n\nb-cd\n\n"


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ('a \x13 HYPERLINK "https://x.org/y" \x14the \x13PAGE\x14one\x15\x15 b', "a [the one](https://x.org/y) b"),
        ('a \x13 HYPERLINK "https://example.com" \x14https://example.com\x15', "a https://example.com"),
        ('a \x13 HYPERLINK \\l "part" \x14the part\x15', "a the part"),
        ("a \x13 XE \x13 DATE \x14 today \x15 \x15b", "a b"),
        ("a \x13 DATE \x14today", "a  DATE today"),
        ("a \x15b\x14", "a b"),
    ],
)  # fmt: skip
def test_fields_are_their_results(field: str, text: str) -> None:
    assert parse("a.doc", old.word([field + "\r"])).text == text + "\n\n"


def test_cells_stay_in_order_where_their_text_is_deleted() -> None:
    table = b"A\x07B\x07\x07"

    assert parse("a.doc", old.word([table])).text == "| A | B |  |\n| --- | --- | --- |\n\n"
    assert parse("a.doc", old.word([table], deleted=(2048, 2051))).text == ""
    assert parse("a.doc", old.word([table], deleted=(2048, 2050))).text == "|  | B |  |\n| --- | --- | --- |\n\n"


def test_a_password_is_told() -> None:
    assert refused(old.word(["text"], flags=old.ENCRYPTED)).got == "one with a password"
    assert refused(old.slides([b"text"], token=old.ENCRYPTED_TOKEN)).got == "one with a password"


def test_word_95_is_told() -> None:
    assert refused(old.word(["text"], number=0x0065)).got == "one of Word 95 or before"


def test_a_text_that_is_cut_off_is_read_as_far_as_it_goes() -> None:
    places = struct.pack("<II", 0, 3000) + struct.pack("<HIH", 0, 4090 * 2 | 1 << 30, 0)
    table = b"\x02" + struct.pack("<I", len(places)) + places

    assert parse("a.doc", old.word([b"x" * 4000], table=table)).text == "x" * (6048 - 4090) + "\n\n"


def test_pieces_that_use_the_same_characters_over_and_over_are_refused() -> None:
    count = 40
    places = struct.pack(f"<{count + 1}I", *range(0, 3000 * (count + 1), 3000))
    pieces = places + struct.pack("<HIH", 0, 2048 * 2 | 1 << 30, 0) * count
    table = b"\x02" + struct.pack("<I", len(pieces)) + pieces

    assert "pieces that do not follow" in refused(old.word([b"x" * 3000], table=table)).got


def test_edits_in_a_circle_end() -> None:
    content = old.slides([b"text"])
    at = content.index(struct.pack("<HHI", 0, 0x0FF5, 28)) - 512 - 512

    assert parse("a.ppt", old.slides([b"text"], before=at)).text == "# text\n\n"


def test_slides_that_lie_in_one_another_are_not_read_again_and_again() -> None:
    drawn = b""
    for _ in range(60):
        drawn = old.record(0x03EE, drawn + bytes(8), container=True)

    assert parse("a.ppt", old.slides([b"text"] * 2, drawn=drawn, places=[0, 8])).text == "# text\n\n# text\n\n"
    assert "lie in one another" in refused(old.slides([b"text"] * 60, drawn=drawn, places=range(0, 480, 8))).got


def test_slides_are_counted() -> None:
    assert "pages" in refused(old.slides([b"text"] * 11), Limits(pages=10)).remedy


@pytest.mark.parametrize(
    ("at", "value"),
    [(30, b"\x40\0"), (32, b"\x40\0"), (44, b"\xff\xff\xff\x0f"), (64, b"\xff\xff\xff\x0f"), (72, b"\xff\xff\xff\x0f")],
    ids=["sectors", "mini sectors", "table", "mini table", "more of the table"],
)
def test_a_header_that_does_not_fit_the_file_is_refused(at: int, value: bytes) -> None:
    content = bytearray(old.word(["text"]))
    content[at : at + len(value)] = value

    assert "damaged" in refused(bytes(content)).got


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (old.word(["text"]), "WordDocument"),
        (make.msg("subject", "text", {}, delivered_us=0), "__substg1.0_1000001F"),
    ],
    ids=["word", "message"],
)
def test_a_stream_in_a_circle_is_not_read_for_as_long_as_it_is_said_to_be(content: bytes, name: str) -> None:
    """18 kilobytes took gigabytes of memory."""
    entry = content.index(name.encode("utf-16-le"))
    (start,) = struct.unpack_from("<I", content, entry + 116)
    circle = bytearray(content)
    struct.pack_into("<I", circle, entry + 120, 0x7FFFFFFF)
    struct.pack_into("<I", circle, 512 + 4 * (start + 7), start)  # behind its last sector comes its first

    assert "longer" in refused(bytes(circle)).got


def test_a_compound_file_without_its_program_s_stream_is_damaged() -> None:
    assert "damaged" in refused(make.compound({"WordDocument/x": b""})).got


def test_a_compound_file_that_only_speaks_of_a_program_is_of_another() -> None:
    named = make.compound({"a": "WordDocument".encode("utf-16-le") + b"\0\0"})

    assert "unknown program" in refused(named).got
