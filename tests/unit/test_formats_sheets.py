"""Spreadsheets: cells as they are shown, and what stands beside them."""

from __future__ import annotations

import pytest
from lxml.etree import fromstring

from headrace.errors import BadInput
from headrace.knowledge.formats.office import chart
from headrace.knowledge.parse import parse
from headrace.knowledge.parsed import Limits
from headrace.place import Place
from tests import documents as make

SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DRAWN = "http://schemas.openxmlformats.org/drawingml/2006"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def worksheet(rows: str) -> str:
    return f'<worksheet xmlns="{SHEET}"><sheetData>{rows}</sheetData></worksheet>'


def test_numbers_are_shown_as_their_cells_show_them() -> None:
    rows = [["Zip", "Margin", "Fee", "Plain"], [(2134, "00000"), (0.256, "0.0%"), (1234.5, '"$"#,##0.00'), 0.1 + 0.2]]

    text = parse("a.xlsx", make.xlsx({"Fees": rows})).text

    assert "| 02134 | 25.6% | $1,234.50 | 0.3 |" in text


def test_formats_belong_to_their_cells_wherever_a_sheet_begins() -> None:
    """Rows and cells may say where they stand; what is empty is left out."""
    sheet = worksheet(
        '<row r="5"><c r="C5" t="str"><v>share</v></c><c r="E5" t="str"><v>id</v></c></row>'
        '<row r="9"><c r="C9" s="1"><v>0.5</v></c><c r="E9" s="2"><v>7</v></c></row>'
        '<row><c r="C10" s="1"><v>0.25</v></c><c><v>1</v></c><c s="2"><v>8</v></c></row>'
    )
    content = make.xlsx({"Gap": [[(0, "0%"), (0, "000")]]}, {"xl/worksheets/sheet1.xml": sheet})

    text = parse("a.xlsx", content).text

    assert "| share |  | id |" in text
    assert "| 50% |  | 007 |" in text
    assert "| 25% | 1 | 008 |" in text


def test_formats_that_only_have_a_number_are_known() -> None:
    styles = f'<styleSheet xmlns="{SHEET}"><cellXfs><xf/><xf numFmtId="10"/><xf numFmtId="14"/></cellXfs></styleSheet>'
    sheet = worksheet('<row><c s="1"><v>0.125</v></c><c s="2"><v>46054</v></c><c s="9"><v>3</v></c></row>')
    content = make.xlsx({"S": []}, {"xl/worksheets/sheet1.xml": sheet, "xl/styles.xml": styles})

    assert "| 12.50% | 2026-02-01 | 3 |" in parse("a.xlsx", content).text


def test_comments_stand_behind_their_sheet_with_cell_and_author() -> None:
    comments = (
        f'<comments xmlns="{SHEET}"><authors><author>Anna</author><author>tc={{1}}</author></authors><commentList>'
        '<comment ref="B2" authorId="0"><text><r><t>Anna:</t></r><r><t xml:space="preserve"> see FIN-204</t></r></text>'
        '</comment><comment ref="A1" authorId="0"><text><t>checked</t></text></comment>'
        '<comment ref="C3" authorId="1"><text><t>[Threaded comment] Your version ...</t></text></comment>'
        "</commentList></comments>"
    )
    threads = (
        '<ThreadedComments xmlns="http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments">'
        '<threadedComment ref="C3" personId="{7}" id="{1}"><text>is this net?</text></threadedComment>'
        '<threadedComment ref="C3" personId="{8}" id="{2}" parentId="{1}"><text>gross</text></threadedComment>'
        "</ThreadedComments>"
    )
    people = '<personList><person displayName="Bob" id="{7}"/><person displayName="Cleo" id="{8}"/></personList>'
    content = make.xlsx(
        {"Fees": [["kind", "fee"], ["bag", 5]], "Other": [["x"]]},
        {"xl/comments1.xml": comments, "xl/threads.xml": threads, "xl/persons/person.xml": people},
        [("c", "comments", "../comments1.xml"), ("t", "threadedComment", "../threads.xml")],
    )

    parsed = parse("a.xlsx", content)

    told = "Comments:\n\n- B2: Anna: see FIN-204\n- A1, Anna: checked\n- C3, Bob: is this net?\n- C3, Cleo: gross\n\n"
    assert f"| bag | 5 |\n\n{told}## Other" in parsed.text
    span = next(s for s in parsed.spans if s.start <= parsed.text.index("gross") < s.end)
    assert span.place == Place(sheet="Fees")


def points(*values: str) -> str:
    return "".join(f'<c:pt idx="{n}"><c:v>{v}</c:v></c:pt>' for n, v in enumerate(values) if v)


def drawn(*series: str) -> str:
    sers = "".join(f"<c:ser>{s}</c:ser>" for s in series)
    root = fromstring(f'<c:chartSpace xmlns:c="{DRAWN}/chart" xmlns:a="{DRAWN}/main">{sers}</c:chartSpace>'.encode())
    return chart(root)


def test_levels_of_a_chart_s_categories_stand_under_each_other() -> None:
    levels = f"<c:lvl>{points('London', 'Leeds', 'Paris')}</c:lvl><c:lvl>{points('GB', '', 'FR')}</c:lvl>"
    category = f"<c:cat><c:multiLvlStrRef><c:multiLvlStrCache>{levels}</c:multiLvlStrCache></c:multiLvlStrRef></c:cat>"

    found = drawn(f"{category}<c:val>{points('8', '1', '9')}</c:val>")

    assert found.split("\n")[2:5] == ["| GB / London | 8 |", "| GB / Leeds | 1 |", "| FR / Paris | 9 |"]


def test_each_series_of_points_stands_at_its_own_places() -> None:
    def series(name: str, x: tuple[str, ...], y: tuple[str, ...]) -> str:
        at, values = f"<c:xVal>{points(*x)}</c:xVal>", f"<c:yVal>{points(*y)}</c:yVal>"
        return f"<c:tx><c:v>{name}</c:v></c:tx>{at}{values}"

    found = drawn(series("a", ("1", "2"), ("3", "4")), series("b", ("1", "2"), ("5", "6")), series("c", ("7",), ("8",)))

    assert found == (
        "|  | a | b | c, at | c |\n| --- | --- | --- | --- | --- |\n| 1 | 3 | 5 | 7 | 8 |\n| 2 | 4 | 6 |  |  |\n\n"
    )


def test_charts_and_text_boxes_stand_behind_their_sheet() -> None:
    chart = (
        f'<c:chartSpace xmlns:c="{DRAWN}/chart" xmlns:a="{DRAWN}/main"><c:chart><c:title><c:tx><c:rich><a:p><a:r>'
        "<a:t>By region</a:t></a:r></a:p></c:rich></c:tx></c:title><c:plotArea><c:barChart><c:ser><c:tx>"
        '<c:v>Margin</c:v></c:tx><c:cat><c:strRef><c:strCache><c:pt idx="0"><c:v>North</c:v></c:pt>'
        "</c:strCache></c:strRef></c:cat><c:val>"
        '<c:numRef><c:numCache><c:formatCode>0.0%</c:formatCode><c:pt idx="0"><c:v>0.256</c:v></c:pt>'
        "</c:numCache></c:numRef></c:val></c:ser></c:barChart></c:plotArea></c:chart></c:chartSpace>"
    )
    drawing = (
        f'<x:wsDr xmlns:x="{DRAWN}/spreadsheetDrawing" xmlns:a="{DRAWN}/main" xmlns:r="{RELATIONS}"><x:oneCellAnchor>'
        "<x:sp><x:txBody><a:p><a:r><a:t>Preliminary until audit KX-77</a:t></a:r></a:p></x:txBody></x:sp>"
        "</x:oneCellAnchor><x:twoCellAnchor><x:graphicFrame><a:graphic><a:graphicData>"
        f'<c:chart xmlns:c="{DRAWN}/chart" r:id="c"/></a:graphicData></a:graphic></x:graphicFrame></x:twoCellAnchor>'
        "</x:wsDr>"
    )
    relations = f'<Relationships xmlns="{PACKAGE}"><Relationship Id="c" Type="x/chart" Target="../charts/c.xml"/>'
    content = make.xlsx(
        {"S": [["a", "b"], [1, 2]]},
        {
            "xl/drawings/d.xml": drawing,
            "xl/drawings/_rels/d.xml.rels": relations + "</Relationships>",
            "xl/charts/c.xml": chart,
        },
        [("d", "drawing", "../drawings/d.xml")],
    )

    text = parse("a.xlsx", content).text

    assert "\n\nPreliminary until audit KX-77\n\n| By region | Margin |\n| --- | --- |\n| North | 25.6% |\n" in text


def test_a_part_that_is_damaged_is_told() -> None:
    content = make.xlsx({"S": [["a"]]}, {"xl/comments1.xml": "<comments>"}, [("c", "comments", "../comments1.xml")])

    with pytest.raises(BadInput, match="well-formed XML"):
        parse("a.xlsx", content)


def test_a_part_is_counted_once() -> None:
    """Sheets are read twice, by two readers; a limit is on what is packed in the file."""
    content = make.xlsx({f"S{n}": [[(0.5, "0%")]] for n in range(10)})

    assert parse("a.xlsx", content, Limits(members=18)).text.count("50%") == 10
    with pytest.raises(BadInput, match="packed files"):
        parse("a.xlsx", content, Limits(members=10))


def test_a_part_that_many_refer_to_is_counted_each_time() -> None:
    """A small file could else cost the reading of a large part a thousand times over."""
    comments = [(f"c{n}", "comments", "../comments1.xml") for n in range(50)]
    content = make.xlsx({"S": [["a"]]}, {"xl/comments1.xml": "<comments/>"}, comments)

    assert parse("a.xlsx", content, Limits(members=60)).text
    with pytest.raises(BadInput, match="packed files"):
        parse("a.xlsx", content, Limits(members=40))
