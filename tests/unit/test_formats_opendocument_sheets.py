"""OpenDocument spreadsheets: what their cells show, and what stands beside them."""

from __future__ import annotations

import pytest

from headrace.errors import BadInput
from headrace.knowledge.detect import detect
from headrace.knowledge.parse import parse
from headrace.knowledge.parsed import Limits
from headrace.place import Place
from tests import documents as make


def cell(kind: str, value: str, shown: str | None, *, times: int = 1, inside: str = "") -> str:
    """`value`: as the attribute of its kind has it; `shown`: None where the program wrote the value alone."""
    named = {"date": "date-value", "boolean": "boolean-value", "string": "string-value", "time": "time-value"}
    said = f'office:value-type="{kind}" office:{named.get(kind, "value")}="{value}"' if kind else ""
    repeated = f' table:number-columns-repeated="{times}"' if times > 1 else ""
    text = "" if shown is None else f"<text:p>{shown}</text:p>"
    return f"<table:table-cell {said}{repeated}>{inside}{text}</table:table-cell>"


def words(*texts: str) -> str:
    return "".join(f"<table:table-cell><text:p>{t}</text:p></table:table-cell>" for t in texts)


def row(*cells: str, times: int = 1) -> str:
    repeated = f' table:number-rows-repeated="{times}"' if times > 1 else ""
    return f"<table:table-row{repeated}>{''.join(cells)}</table:table-row>"


def sheet(name: str, *inside: str) -> str:
    return f'<table:table table:name="{name}">{"".join(inside)}</table:table>'


def text(tables: str, members: dict[str, str] | None = None) -> str:
    return parse("a.ods", make.ods(tables, members=members)).text


def test_an_ods_states_its_title() -> None:
    parsed = parse(
        "a.ods", make.ods(sheet("Fees", row(words("kind", "fee"))), meta="<dc:title>Fees of 2026</dc:title>")
    )

    assert parsed.title == "Fees of 2026"
    assert "## Fees\n\n| kind | fee |" in parsed.text


@pytest.mark.parametrize(
    ("kind", "value", "shown", "told"),
    [
        ("percentage", "0.2561", "25.6%", "25.6%"),
        ("currency", "1234.5", "€1,234.50", "€1,234.50"),
        ("float", "2134", "02134", "02134"),
        ("date", "2026-05-17", "17/05/26", "2026-05-17"),
        ("date", "2026-05-17T10:30:00", "17/05/26 10:30", "2026-05-17 10:30:00"),
        ("time", "PT10H30M00S", "10:30", "10:30"),
        ("boolean", "true", "WAHR", "TRUE"),
        ("string", "", "two  <text:s/>words", "two words"),
        ("percentage", "0.256", None, "25.6%"),
        ("float", "0.1", None, "0.1"),
        ("float", "12", None, "12"),
        ("float", "many", None, "many"),
        ("string", "alone", None, "alone"),
        ("time", "PT1H", None, "PT1H"),
    ],
)
def test_cells_are_told_as_they_are_shown_and_dates_so_that_nobody_mistakes_them(
    kind: str, value: str, shown: str | None, told: str
) -> None:
    assert f"| {told} |" in text(sheet("S", row(words("head", "value")), row(words("a"), cell(kind, value, shown))))


def test_sheets_have_their_places_and_rows_their_columns() -> None:
    # given sheets that begin below and beside the first cell, with rows and cells that are said once for many
    empty, fives = cell("", "", None), cell("float", "5", "5", times=2)
    fares = sheet(
        "Fares",
        row(cell("", "", None, times=3), times=4),
        row(empty, words("Fares of May")),
        f"<table:table-header-rows>{row(empty, words('route', 'fare', 'seats'))}</table:table-header-rows>",
        f"<table:table-row-group>{row(empty, words('A'), fives, times=2)}</table:table-row-group>",
        row(cell("", "", None, times=1024), times=1_000_000),
    )
    content = make.ods(fares + sheet("Empty", row(cell("", "", None))) + sheet("Bags", row(words("one", "two"))))

    parsed = parse("a.ods", content)

    assert parsed.text == (
        "## Fares\n\nFares of May\n\n| route | fare | seats |\n| --- | --- | --- |\n| A | 5 | 5 |\n| A | 5 | 5 |\n\n"
        "## Empty\n\n\n## Bags\n\n| one | two |\n| --- | --- |\n\n"
    )
    assert [s.place for s in parsed.spans] == [Place(sheet=n) for n in ("Fares", "Empty", "Bags")]


def test_what_stands_beside_the_cells_is_told_behind_them() -> None:
    # given a chart and a text box on the sheet, another box in a cell, and comments
    box = "<draw:frame><draw:text-box><text:p>{}</text:p></draw:text-box></draw:frame>"
    chart = '<draw:frame><draw:object xlink:href="./Object 1"/></draw:frame>'
    said = "<dc:creator>Ann</dc:creator><dc:date>2026-05-01</dc:date><text:p>check it</text:p>"
    note = f"<office:annotation>{said}</office:annotation>"
    values = sheet("local", row(words("", "May")), row(words("A"), cell("float", "7", "7")))
    drawn = (
        "<office:document-content NAMES><office:body><office:chart><chart:chart>"
        f"<chart:title><text:p>Seats sold</text:p></chart:title>{values}"
        "</chart:chart></office:chart></office:body></office:document-content>"
    )
    tables = sheet(
        "S",
        f"<table:shapes>{chart}{box.format('Not final')}</table:shapes>",
        row(words("route", "fare"), times=1),
        row(words("A", "1"), times=2),
        row(cell("", "", None, times=27), cell("float", "5", "5", inside=note)),
        row(cell("string", "", "B", inside=box.format("In a cell"))),
    )

    found = text(tables + sheet("T", row(words("x", "y"))), {"Object 1/content.xml": drawn})

    assert "| route | fare |" in found
    assert "Seats sold\n\n|  | May |\n| --- | --- |\n| A | 7 |\n\nNot final\n\nIn a cell\n\n" in found
    assert "Comments:\n\n- AB4, Ann: check it\n\n" in found
    assert "| B |" in found
    assert found.index("check it") < found.index("## T")


def test_a_table_inside_a_cell_is_its_text_and_no_sheet() -> None:
    inner = f"<table:table-cell>{sheet('inner', row(words('deep', 'er')))}</table:table-cell>"

    found = text(sheet("S", row(words("a", "b")), row(words("c"), inner)))

    assert "## inner" not in found
    assert "| a | b |\n| --- | --- |\n| c | deep er |\n" in found


def test_what_is_drawn_in_a_cell_is_not_its_value() -> None:
    drawn = "<draw:rect><text:p>in a shape</text:p></draw:rect>"

    found = text(sheet("S", row(words("a", "b")), row(words("c"), cell("float", "5", "5", inside=drawn))))

    assert "| c | 5 |\n\nin a shape\n" in found


def test_what_is_said_to_be_repeated_is_bounded() -> None:
    wide = row(cell("string", "", "x" * 500, times=1000), times=1_000_000)

    with pytest.raises(BadInput):
        parse("a.ods", make.ods(sheet("S", wide)), Limits(characters=100_000))
    assert len(text("".join(sheet(f"S{n}", wide) for n in range(20)))) < 3_000_000


def test_a_template_is_read_too() -> None:
    media = "application/vnd.oasis.opendocument.spreadsheet-template"
    content = make.ods(sheet("S", row(words("a", "b"))), members={"mimetype": media})

    assert detect("a.ots", content) == media
    assert "| a | b |" in parse("a.ots", content).text


def test_what_is_locked_or_damaged_says_so() -> None:
    locked = (
        '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><m:file-entry>'
        "<m:encryption-data/></m:file-entry></m:manifest>"
    )

    with pytest.raises(BadInput, match="password"):
        parse("a.ods", make.ods("", members={"META-INF/manifest.xml": locked, "content.xml": "\1"}))
    with pytest.raises(BadInput, match="well-formed"):
        parse("a.ods", make.ods("", members={"content.xml": "<office:body"}))
