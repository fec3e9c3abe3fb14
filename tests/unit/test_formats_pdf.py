"""PDF: tables at their place, headings by size, what is filled in and noted."""

from __future__ import annotations

import pytest
from PIL import Image, ImageDraw

from headrace.knowledge.parse import parse
from headrace.place import Place
from tests import documents as make
from tests.documents import rules_at, words_at

TABLE = "| Kind | Fee |\n| --- | --- |\n| bag | 12 |\n| seat | 7 |"
ROWS = (("Kind", "Fee"), ("bag", "12"), ("seat", "7"))


def cells(x: float = 110, y: float = 680, width: float = 100, height: float = 20) -> str:
    return "".join(
        words_at(x + m * width, y - n * height, cell) for n, row in enumerate(ROWS) for m, cell in enumerate(row)
    )


LEVEL = [(100, y, 300, y) for y in (695, 675, 655, 635)]
UPRIGHT = [(x, 635, x, 695) for x in (100, 200, 300)]
GRID = rules_at(*LEVEL, *UPRIGHT)
HEADER_RULED = rules_at(*((100, y, 300, y) for y in (695, 675, 615)), *((x, 615, x, 695) for x in (100, 200, 300)))
BEFORE, AFTER = words_at(72, 720, "Before."), words_at(72, 600, "After.")


def body(lines: int, y: float = 600) -> str:
    return "".join(words_at(72, y - 14 * n, f"Plain words of a paragraph, line {n}.") for n in range(lines))


def text(content: str, rotate: int = 0) -> str:
    return parse("a.pdf", make.drawn_pdf([content], rotate=rotate)).text


@pytest.mark.parametrize(
    "drawn",
    [
        GRID,
        "".join(f"{x} {y} 100 20 re S\n" for x in (100, 200) for y in (675, 655, 635)),
        "".join(f"{x} {y} 98 18 re f\n" for x in (101, 201) for y in (676, 656, 636)),
        "".join(f"{a} {b} {max(c - a, 0.5)} {max(d - b, 0.5)} re f\n" for a, b, c, d in [*LEVEL, *UPRIGHT]),
        "0.5 0 0 0.5 50 0 cm\n" + "".join(f"100 {y} m 500 {y} l S\n" for y in (1390, 1350, 1310, 1270))
        + "".join(f"{x} 1270 m {x} 1390 l S\n" for x in (100, 300, 500)) + "2 0 0 2 -100 0 cm\n",
        rules_at(*LEVEL, (200, 635, 200, 695)),
        rules_at(*LEVEL[1:3], *UPRIGHT),
        rules_at(*LEVEL),
        rules_at(*LEVEL[:2], LEVEL[3]),
    ],
    ids=["lines", "boxes", "shades", "thin boxes", "scaled", "no sides", "no top", "level only", "booktabs"],
)  # fmt: skip
def test_a_table_is_known_by_its_rulings(drawn: str) -> None:
    assert text(drawn + BEFORE + cells() + AFTER) == f"Before.\n\n{TABLE}\n\nAfter.\n\n"


def test_a_table_in_a_form_xobject_is_a_table() -> None:
    inside = "1 0 0 1 -10 -20 cm\n" + GRID
    content = make.drawn_pdf([BEFORE + cells() + "1 0 0 1 10 20 cm /X1 Do\n"], form=inside)

    assert parse("a.pdf", content).text == f"Before.\n\n{TABLE}\n\n"


@pytest.mark.parametrize(
    ("rotate", "turn"), [(90, "0 1 -1 0 612 0"), (180, "-1 0 0 -1 612 792"), (0, "0 -1 1 0 0 700")]
)
def test_a_turned_table_is_read_the_way_its_words_run(rotate: int, turn: str) -> None:
    turned = f"{turn} cm\n" + GRID + cells()

    assert text(turned, rotate) == f"{TABLE}\n\n"


def test_a_merged_cell_s_text_stands_in_its_first_place() -> None:
    level = [*LEVEL[:2], (200, 655, 300, 655), LEVEL[3]]
    upright = [(100, 635, 100, 695), (200, 635, 200, 675), (300, 635, 300, 695)]
    shown = words_at(110, 680, "Fees") + words_at(110, 660, "bag") + words_at(210, 660, "12") + words_at(210, 640, "7")
    shown += words_at(110, 640, "or seat")

    assert text(rules_at(*level, *upright) + shown) == "Fees\n\n| bag or seat | 12 |\n| --- | --- |\n|  | 7 |\n\n"


def test_rows_that_are_not_ruled_apart_are_rows_by_their_lines() -> None:
    more = words_at(110, 620, "dog") + words_at(210, 620, "20")

    assert text(HEADER_RULED + cells() + more) == f"{TABLE}\n| dog | 20 |\n\n"


def test_lines_of_words_in_one_cell_are_one_row() -> None:
    shown = words_at(110, 680, "Kind") + words_at(210, 680, "Fee") + words_at(110, 660, "a bag")
    shown += words_at(110, 640, "that is") + words_at(110, 620, "large") + words_at(210, 660, "12")

    assert text(HEADER_RULED + shown) == "| Kind | Fee |\n| --- | --- |\n| a bag that is large | 12 |\n\n"


def test_tables_of_one_width_are_two_where_text_or_an_upright_rule_is_between() -> None:
    upper = rules_at(*((100, y, 300, y) for y in (695, 675, 635))) + cells()
    lower = rules_at(*((100, y, 300, y) for y in (595, 575, 535))) + cells(y=580)
    boxed = rules_at(*((100, y, 300, y) for y in (495, 475, 455, 435)), (200, 435, 200, 495)) + cells(y=480)
    between = words_at(102, 610, "Words that go on from one side to the other")

    assert text(upper + between + lower + boxed) == (
        f"{TABLE}\n\nWords that go on from one side to the other\n\n{TABLE}\n\n{TABLE}\n\n"
    )


def test_words_cut_within_a_cell_are_joined() -> None:
    long = words_at(110, 661, "extra-", 8) + words_at(110, 652, "ordinary", 8) + words_at(110, 643, "bags", 8)
    drawn = rules_at((100, 695, 300, 695), (100, 675, 300, 675), (100, 635, 300, 635), *UPRIGHT)

    assert text(drawn + cells()[: cells().index("BT /F1 12 Tf 110 660")] + long + words_at(210, 661, "9")) == (
        "| Kind | Fee |\n| --- | --- |\n| extraordinary bags | 9 |\n\n"
    )


@pytest.mark.parametrize(
    ("drawn", "shown", "expected"),
    [
        ("100 600 300 120 re S\n", cells(), "Kind Fee\nbag 12\nseat\n7"),
        (GRID, words_at(110, 680, "No data"), "No data"),
        (
            "".join(f"100 {y} 300 20 re S\n" for y in (675, 655, 635)),
            "".join(words_at(110, y, "A box of words") for y in (680, 660, 640)),
            "A box of words\nA box of words\nA box of words",
        ),
        (rules_at(*LEVEL[:2]), cells(), "Kind Fee\nbag 12\nseat\n7"),
    ],
    ids=["frame", "chart", "boxes below each other", "two rules"],
)
def test_what_is_ruled_and_no_table_is_lines(drawn: str, shown: str, expected: str) -> None:
    assert text(drawn + shown) == expected + "\n\n"


def test_columns_of_running_text_between_rules_are_no_table() -> None:
    shown = "".join(
        words_at(x, y, "some words that fill the line from here on", 10) for x in (72, 320) for y in (640, 690)
    )

    assert "|" not in text(rules_at(*((72, y, 540, y) for y in (720, 660, 600))) + shown)


def test_a_row_s_line_without_a_first_cell_belongs_to_the_row_above() -> None:
    shown = cells() + words_at(210, 626, "each")

    assert text(rules_at(*LEVEL[:2], (100, 615, 300, 615)) + shown) == TABLE.replace("| 7 |", "| 7 each |") + "\n\n"


def test_a_page_s_large_lines_are_its_headings_and_the_first_its_title() -> None:
    first = (
        words_at(72, 740, "The great", 24) + words_at(72, 712, "report", 24) + words_at(72, 660, "Fees", 16) + body(12)
    )
    content = make.drawn_pdf([first, words_at(72, 740, "Seats", 16) + body(12)])

    parsed = parse("a.pdf", content)

    at = parsed.text.index
    assert parsed.outline == ((0, 1, "The great report"), (at("Fees"), 2, "Fees"), (at("Seats"), 2, "Seats"))
    assert (parsed.title, parsed.stated) == ("The great report", True)


def test_a_heading_stands_where_it_is_in_the_text_behind_a_table() -> None:
    content = make.drawn_pdf([BEFORE + GRID + cells() + words_at(72, 615, "Sei\\337", 16) + body(12)])

    parsed = parse("a.pdf", content)

    assert parsed.outline == ((parsed.text.index("Seiß"), 1, "Seiß"),)


@pytest.mark.parametrize(
    "content",
    [
        words_at(72, 740, "Large", 24) + body(4),
        "".join(words_at(72, 780 - 30 * n, f"Large {n}", 24) + body(1, 770 - 30 * n) for n in range(12)),
        words_at(72, 740, "1,204 - 77", 24) + body(12),
        words_at(72, 640, "O", 36) + words_at(110, 640, "nce upon a time there was a bag.") + body(12),
        "".join(words_at(72, 770 - 26 * n, f"Large words of a quotation {n}", 20) for n in range(4)) + body(40, 640),
    ],
    ids=["hardly any text", "much of it", "numbers", "large first letter", "large paragraph"],
)
def test_what_is_large_and_no_heading(content: str) -> None:
    parsed = parse("a.pdf", make.drawn_pdf([content]))

    assert (parsed.outline, parsed.title) == ((), "a")


def test_a_first_section_s_heading_is_no_title() -> None:
    parsed = parse("a.pdf", make.drawn_pdf([words_at(72, 640, "1 Introduction", 20) + body(12)]))

    assert (parsed.outline, parsed.title) == (((0, 1, "1 Introduction"),), "a")


def field(kind: str, name: str, more: str) -> str:
    return f"/Subtype /Widget /FT /{kind} /T ({name}) /Rect [0 0 9 9] {more}"


BUTTON = "/AP << /N << /Off 4 0 R /{0} 4 0 R >> >> /AS /{1} /V /{1}"


def test_what_is_filled_into_a_form_stands_after_its_page() -> None:
    notes = [
        field("Tx", "form[0].name[0]", "/V (Ada)"),
        field("Tx", "n", "/TU (Surname) /V (Love\\nlace)"),
        field("Tx", "empty", ""),
        field("Tx", "secret", "/V (hush) /Ff 8192"),
        field("Tx", "hidden", "/V (gone) /F 2"),
        field("Ch", "colour", "/V (t) /Ff 131072 /Opt [[(t) (Teal)] [(r) (Red)]]"),
        field("Btn", "agreed", BUTTON.format("Yes", "Yes")),
        field("Btn", "size", BUTTON.format("Large", "Large")),
        field("Btn", "later", BUTTON.format("Yes", "Off")),
        field("Tx", "n", "/TU (Surname) /V (Love\\nlace)"),
    ]
    parsed = parse("a.pdf", make.drawn_pdf([BEFORE, AFTER], notes=notes))

    assert parsed.text == (
        "Before.\n\n- name: Ada\n- Surname: Love lace\n- colour: Teal\n- agreed: yes\n- size: Large\n\nAfter.\n\n"
    )
    assert [s.place for s in parsed.spans if s.start <= parsed.text.index("Teal") < s.end] == [Place(page=1)]


def test_comments_stand_after_their_page_with_who_made_them() -> None:
    kinds = ("Text", "FreeText", "Highlight", "Underline", "StrikeOut", "Stamp", "Caret", "Popup", "Link")
    notes = [f"/Subtype /{kind} /Rect [0 0 9 9] /Contents (in {kind})" for kind in kinds]
    notes[0] += " /T (Ada)"
    notes.append("/Subtype /Text /Rect [0 0 9 9] /T (Bob)")
    notes.append(field("Tx", "name", "/V (Ada)"))

    assert parse("a.pdf", make.drawn_pdf([BEFORE], notes=notes)).text == (
        "Before.\n\n- name: Ada\n\n- Ada: in Text\n- in FreeText\n- in Highlight\n- in Underline\n- in StrikeOut\n"
        "- in Stamp\n- in Caret\n\n"
    )


def test_half_a_character_in_a_bookmark_or_a_title_is_left_out() -> None:
    half = "\\376\\377\\330\\001"

    marked = parse("a.pdf", make.pdf(["Bags"], marks=half))
    titled = parse("a.pdf", make.pdf(["Bags"], title=half))

    assert (marked.text, titled.text, titled.title) == ("Bags\n\n", "Bags\n\n", "a")


def test_a_hyphen_at_a_line_s_end_stays_before_a_digit_or_a_capital() -> None:
    lines = ["An extra-", "ordinary pre-", "2020 part of Baden-", "Baden."]
    shown = "".join(words_at(72, 700 - 14 * n, line) for n, line in enumerate(lines))

    assert text(shown) == "An extraordinary pre-2020 part of Baden-Baden.\n\n"


@pytest.mark.parametrize(
    "content",
    [
        "1e38 0 0 1e38 1e38 1e38 cm\n" + GRID + cells(),
        GRID + "BT /F1 1e38 Tf 1e38 1e38 -1e38 1e38 1e38 1e38 Tm (far) Tj ET\n" + body(12),
        rules_at(*((-1e30, y, 1e30, y) for y in (1, 2e9, 3e30))) + cells(),
        "0 0 0 0 0 0 cm\n" + GRID + cells(),
    ],
)
def test_numbers_beyond_any_page_do_no_harm(content: str) -> None:
    assert "\n\n" in text(content) or not text(content)


@pytest.mark.parametrize(
    "content",
    [
        "".join(rules_at((6 * n, 0, 6 * n, 2000), (0, 6 * n, 2000, 6 * n)) for n in range(299)) + cells(),
        rules_at(*((1, n, 300, n) for n in range(5100))) + cells(),
        "0 0 m " + "9 9 l 18 0 l " * 11_000 + "S\n" + cells(),
        GRID + words_at(10, 10, "word " * 4100) + cells(),
    ],
    ids=["cells", "paths", "segments", "characters"],
)
def test_a_drawing_s_words_stay_lines(content: str) -> None:
    found = text(content)

    assert "|" not in found
    assert "Kind Fee\nbag 12" in found


def shown(words: str, width: int, height: int) -> str:
    """A content stream's part that shows a picture of some words, its lower left corner that of the page."""
    image = Image.new("L", (612, 700), "white")
    ImageDraw.Draw(image).text((100, 300), words, fill="black", font_size=60)
    return f"q {width} 0 0 {height} 0 0 cm BI /W 612 /H 700 /BPC 8 /CS /G /F /AHx ID {image.tobytes().hex()}> EI Q\n"


def test_a_scan_with_a_number_put_on_it_is_read_with_it() -> None:
    stamp = words_at(30, 770, "ACME-0001234 confidential, copy 3 of 4")
    scan = parse("a.pdf", make.drawn_pdf([shown("BAGS 4711", 612, 700) + stamp]))
    small = parse("a.pdf", make.drawn_pdf([shown("BAGS 4711", 306, 350) + stamp]))

    assert scan.text == "ACME-0001234 confidential, copy 3 of 4\nBAGS 4711\n\n"
    assert small.text == "ACME-0001234 confidential, copy 3 of 4\n\n"
