"""OpenDocument texts and presentations: their text, and what is left out of it."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime

import pytest

from headrace.errors import BadInput
from headrace.knowledge.detect import detect
from headrace.knowledge.parse import parse
from headrace.knowledge.parsed import Limits, Parsed
from headrace.place import Place
from tests import documents as make

JANUARY = int(datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp() * 1_000_000)
NUMBERED = """<text:list-style style:name="N">
  <text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="."/>
  <text:list-level-style-number text:level="2" style:num-format="a" style:num-suffix=")" text:start-value="2"/>
  <text:list-level-style-number text:level="3" style:num-format="I" text:display-levels="3"/>
  </text:list-style>"""


def text(body: str, styles: str = "", masters: str = "", members: dict[str, str] | None = None) -> str:
    return parse("a.odt", make.odt(body, styles=styles, masters=masters, members=members)).text


def style(name: str, parent: str = "", properties: str = "", family: str = "paragraph", more: str = "") -> str:
    said = f'style:name="{name}" style:family="{family}" style:parent-style-name="{parent}" {more}'
    return f"<style:style {said}>{properties}</style:style>"


def item(inside: str, more: str = "") -> str:
    return f"<text:list-item {more}>{inside}</text:list-item>"


def listed(inside: str, more: str = "") -> str:
    return f"<text:list {more}>{inside}</text:list>"


def row(*cells: str) -> str:
    return f"<table:table-row>{''.join(cells)}</table:table-row>"


def cell(words: str, more: str = "") -> str:
    return f"<table:table-cell {more}><text:p>{words}</text:p></table:table-cell>"


def refused(content: bytes, limits: Limits | None = None) -> BadInput:
    with pytest.raises(BadInput) as caught:
        parse("a.odt", content, limits)
    return caught.value


def test_headings_have_their_outline_level_and_the_title_is_one() -> None:
    styles = style("P1", "Title") + style("P2", "Mine") + style("Mine", more='style:default-outline-level="3"')
    body = """<text:p text:style-name="P1">Rules</text:p>
      <text:h text:outline-level="2">Cabin <text:span>bags</text:span>
      </text:h><text:h text:outline-level="9">Deep</text:h><text:p text:style-name="P2">Fees</text:p>
      <text:p>text</text:p><text:p/><text:p># no heading</text:p>"""

    parsed = parse("a.odt", make.odt(body, styles=styles))

    assert parsed.text == "# Rules\n\n## Cabin bags\n\n###### Deep\n\n### Fees\n\ntext\n\n\\# no heading\n\n"
    assert (parsed.title, parsed.media) == ("Rules", "application/vnd.oasis.opendocument.text")


def test_white_space_is_what_the_format_says() -> None:
    body = """<text:p>
      a
      <text:span> b</text:span>c<text:s text:c="3"/>d<text:s/>e<text:tab/>f<text:line-break/>g
      <text:soft-page-break/>h</text:p>"""

    assert text(body) == "a bc   d e\tf\ng h\n\n"


def test_lists_are_nested_and_numbered_as_their_style_says() -> None:
    deepest = listed(item("<text:p>x</text:p>"))
    deeper = listed(item("<text:p>i</text:p>") + item(f"<text:p>j</text:p>{deepest}"))
    first = item(f"<text:p>one</text:p><text:p>more<text:line-break/>of it</text:p>{deeper}") + item(
        "<text:p>two</text:p>"
    )
    more = item("<text:p>seven</text:p>", 'text:start-value="7"')
    body = (
        listed(first, 'text:style-name="N" xml:id="l1"')
        + "<text:p>between</text:p>"
        + listed(item("<text:p>three</text:p>") + more, 'text:style-name="N" text:continue-list="l1"')
        + listed(item("<text:p>again</text:p>"), 'text:style-name="N"')
        + listed(item(f"<text:p>dash</text:p>{listed(item('<text:p>under</text:p>'))}"))
    )

    assert text(body, NUMBERED) == (
        "1. one\n  more\n    of it\n  b) i\n  c) j\n    1.c.I. x\n2. two\n\nbetween\n\n3. three\n7. seven\n\n"
        "1. again\n\n- dash\n  - under\n\n"
    )


def test_an_item_is_counted_once_where_it_has_words() -> None:
    gap = item("<text:p/><text:p>two</text:p><text:p>more</text:p>")
    goes_on = item(listed(item("<text:p>c</text:p>")))
    inner = listed(item("<text:p>b</text:p>"))
    body = listed(item(f"<text:p>one</text:p>{inner}") + goes_on + gap, 'text:style-name="N"')

    assert text(body, NUMBERED) == "1. one\n  b) b\n  c) c\n2. two\n  more\n\n"


def test_a_heading_in_a_list_is_a_heading() -> None:
    inside = item('<text:h text:outline-level="1">Part</text:h>') + item("<text:p>point</text:p>")

    assert text(listed(inside)) == "# Part\n\n- point\n\n"


def test_tables_have_empty_cells_where_others_reach() -> None:
    inner = f"<table:table>{row(cell('x'), cell('y'))}</table:table>"
    body = f"""<table:table><table:table-header-rows>{row(cell("A"), cell("B"), cell("C"))}</table:table-header-rows>
      <table:table-rows>{row(cell("wide"), "<table:covered-table-cell/>", cell("1"))}
      <table:table-row table:number-rows-repeated="2">{cell("r", 'table:number-columns-repeated="2"')}
      <table:table-cell table:number-columns-repeated="16000"/></table:table-row>
      {row(cell("in"), f"<table:table-cell>{inner}</table:table-cell>")}</table:table-rows></table:table>"""

    assert text(body) == (
        "| A | B | C |\n| --- | --- | --- |\n| wide |  | 1 |\n| r | r |  |\n| r | r |  |\n| in | x y |  |\n\n"
    )


def test_links_have_their_targets() -> None:
    body = """<text:p><text:a xlink:href="https://example.com/desk">the <text:span>desk</text:span></text:a>,
      <text:a xlink:href="https://a.example">https://a.example</text:a>,
      <text:a xlink:href="#Fees">fees</text:a></text:p>"""

    assert text(body) == "[the desk](https://example.com/desk), https://a.example, fees\n\n"


def test_notes_and_comments_stand_at_the_end() -> None:
    def note(kind: str, words: str) -> str:
        said = f"<text:note-citation>1</text:note-citation><text:note-body><text:p>{words}</text:p></text:note-body>"
        return f'<text:note text:note-class="{kind}">{said}</text:note>'

    said = "<dc:creator>Ada</dc:creator><dc:date>2026-01-31</dc:date><text:p>why</text:p><text:p>so</text:p>"
    comment = f"<office:annotation>{said}</office:annotation>"
    body = f"<text:p>a{note('endnote', 'last')}{note('footnote', 'first')}{comment}.</text:p>"

    assert text(body) == "a.\n\n- first\n\n- last\n\n- Ada: why so\n\n"


def test_deleted_and_hidden_text_is_left_out() -> None:
    styles = (
        style("Off", properties='<style:text-properties text:display="none"/>', family="text")
        + style("P9", "Gone")
        + style("Gone", properties='<style:text-properties text:display="none"/>')
    )
    body = """<text:tracked-changes><text:changed-region><text:deletion><text:p>deleted</text:p></text:deletion>
      </text:changed-region></text:tracked-changes>
      <text:p>a<text:change text:change-id="1"/><text:span text:style-name="Off">secret</text:span> b</text:p>
      <text:p text:style-name="P9">hidden</text:p>
      <text:section text:display="none"><text:p>hidden</text:p></text:section>
      <text:section><text:p>shown</text:p></text:section>
      <text:p>hidden<text:hidden-paragraph text:is-hidden="true"/></text:p>
      <text:p>c<text:hidden-text text:is-hidden="true">hidden</text:hidden-text></text:p>"""

    assert text(body, styles) == "a b\n\nshown\n\nc\n\n"


def test_drawings_are_their_text_pictures_their_description() -> None:
    body = """<text:p>See <draw:frame><draw:image xlink:href="Pictures/1.jpg"/><svg:title>A</svg:title><svg:desc>A red
      bag</svg:desc></draw:frame> and <draw:frame><draw:image xlink:href="Pictures/2.png"/></draw:frame>this
      <draw:frame><draw:object-ole/><svg:title>A drawing</svg:title></draw:frame>.
      <draw:frame><draw:text-box><text:p>boxed</text:p></draw:text-box></draw:frame><draw:g><draw:custom-shape>
      <text:p>drawn</text:p></draw:custom-shape></draw:g></text:p>"""

    assert text(body).split("\n\n") == [
        "See ![A red bag](data:image/jpeg;base64...) and this ![A drawing](data:image/png;base64...).",
        "boxed", "drawn", "",
    ]  # fmt: skip


def test_a_chart_is_its_values() -> None:
    values = f"<table:table>{row(cell(''), cell('Fee'))}{row(cell('bag'), cell('12'))}</table:table>"
    chart = f"<chart:chart><chart:title><text:p>Fees</text:p></chart:title>{values}</chart:chart>"
    body = f"<office:body><office:chart>{chart}</office:chart></office:body>"
    object = f"<office:document-content NAMES>{body}</office:document-content>"
    frame = '<draw:frame><draw:object xlink:href="./Object 1"/></draw:frame>'

    found = text(f"<text:p>a{frame}</text:p>", members={"Object 1/content.xml": object})

    assert found == "a\n\nFees\n\n|  | Fee |\n| --- | --- |\n| bag | 12 |\n\n"


def test_a_formula_is_what_was_typed() -> None:
    names = 'xmlns="http://www.w3.org/1998/Math/MathML"'
    letters = "<mrow><mi>a</mi> <mo>+</mo> <mi>b</mi></mrow>"
    typed = f"<semantics>{letters}<annotation encoding='StarMath 5.0'>{{a}} over {{b}}</annotation></semantics>"
    members = {"One/content.xml": f"<math {names}>{letters}</math>", "Two/content.xml": f"<math {names}>{typed}</math>"}
    frames = "".join(f'<draw:frame><draw:object xlink:href="{n}/"/></draw:frame>, ' for n in ("./One", "Two"))

    assert text(f"<text:p>{frames}end</text:p>", members=members) == "a+b, {a} over {b}, end\n\n"


def test_code_keeps_its_blanks_and_is_no_heading() -> None:
    body = """<text:p text:style-name="P1"># setup</text:p><text:p text:style-name="P1"/>
      <text:p text:style-name="P1"><text:s text:c="4"/>return 1</text:p><text:p>text</text:p>"""

    assert text(body, style("P1", "Preformatted_20_Text")) == "```\n# setup\n\n    return 1\n```\n\ntext\n\n"


def test_headers_and_footers_stand_once() -> None:
    def master(name: str) -> str:
        header, footer = "<style:header><text:p>ACME</text:p></style:header>", "<style:footer><text:p>"
        page = "Page <text:page-number>1</text:page-number></text:p></style:footer>"
        unseen = '<style:header-left style:display="false"><text:p>left</text:p></style:header-left>'
        return f'<style:master-page style:name="{name}">{header}{unseen}{footer}{page}</style:master-page>'

    assert text("<text:p>text</text:p>", masters=master("A") + master("B")) == "ACME\n\ntext\n\nPage\n\n"


def at(parsed: Parsed, words: str) -> Place | None:
    start = parsed.text.index(words)
    return next((s.place for s in parsed.spans if s.start <= start < s.end), None)


def test_slides_have_titles_and_notes() -> None:
    parsed = parse("a.odp", make.odp([("One", "first"), ("", "second")], {2: "say it slowly"}))

    assert parsed.text == "# One\n\nfirst\n\n# Slide 2\n\nsecond\n\n### Notes\n\nsay it slowly\n\n"
    assert at(parsed, "first") == Place(slide=1)
    assert at(parsed, "slowly") == Place(slide=2)
    assert (parsed.title, parsed.media) == ("One", "application/vnd.oasis.opendocument.presentation")


META = """<dc:title>Bags</dc:title><meta:initial-creator>Ada</meta:initial-creator><dc:creator>Bo</dc:creator>
  <dc:subject>Travel</dc:subject><meta:keyword>a, b</meta:keyword><meta:keyword>c</meta:keyword>
  <meta:creation-date>2024-05-01T10:00:00</meta:creation-date><dc:date>2026-01-31T12:00:00.123456789</dc:date>
  <meta:document-statistic meta:word-count="3"/>
  <meta:user-defined meta:name="Floor" meta:value-type="float">3</meta:user-defined>
  <meta:user-defined meta:name="Open" meta:value-type="boolean">true</meta:user-defined>
  <meta:user-defined meta:name="Client">ACME</meta:user-defined>"""


@pytest.mark.parametrize("content", [make.odt("", meta=META), make.fodt("", meta=META)], ids=["package", "one file"])
def test_what_it_states_of_itself(content: bytes) -> None:
    parsed = parse("a", content)

    assert (parsed.title, parsed.dated) == ("Bags", JANUARY + 123_456)
    assert dict(parsed.metadata) == {
        "author": "Ada", "client": "ACME", "created": "2024-05-01T10:00:00Z", "floor": 3, "keywords": ("a", "b", "c"),
        "last_modified_by": "Bo", "modified": "2026-01-31T12:00:00Z", "open": True, "subject": "Travel",
        "title": "Bags",
    }  # fmt: skip


def test_a_text_in_one_file_is_read_without_its_pictures() -> None:
    image = "<draw:image><office:binary-data>" + "AAAA\n" * 2_500_000 + "</office:binary-data></draw:image>"
    body = f'<text:h text:outline-level="1">Bags</text:h><text:p><draw:frame>{image}</draw:frame>free</text:p>'

    parsed = parse("a.xml", make.fodt(body))

    assert (parsed.text, parsed.media) == ("# Bags\n\nfree\n\n", "application/vnd.oasis.opendocument.text-flat-xml")


def test_a_package_made_again_is_known_by_its_content() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(make.odp([("One", "first")]))) as old, zipfile.ZipFile(made, "w") as new:
        for name in sorted(old.namelist()):
            new.writestr(name, old.read(name))

    assert detect("a.zip", made.getvalue()) == "application/vnd.oasis.opendocument.presentation"
    assert detect("a.odt", make.zipped({"content.xml": "<page>text</page>"})) == "application/zip"


def test_a_password_is_told() -> None:
    manifest = """<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><m:file-entry
      m:full-path="content.xml"><m:encryption-data/></m:file-entry></m:manifest>"""

    assert (
        refused(make.odt("", members={"META-INF/manifest.xml": manifest, "content.xml": "\1"})).got
        == "one with a password"
    )


def test_what_is_repeated_in_what_is_repeated_does_not_grow_without_end() -> None:
    inside = "text"
    for _ in range(8):
        repeated = (
            f'<table:table-cell table:number-columns-repeated="999"><text:p>x</text:p>{inside}</table:table-cell>'
        )
        rows = f'<table:table-row table:number-rows-repeated="999999">{repeated}</table:table-row>'
        inside = f"<table:table>{rows}</table:table>"
    spaces = '<text:p>a<text:s text:c="999999999"/>b</text:p>'

    assert len(text(spaces + inside)) < 10_000_000


def test_a_table_that_is_longer_than_its_file_is_counted_as_it_is_made() -> None:
    wide, narrow = row(*[cell("x")] * 1000), row(cell("y")) * 2000

    error = refused(make.odt(f"<table:table>{wide}{narrow}</table:table>"), Limits(characters=100_000))

    assert "characters" in error.remedy


def test_what_refers_to_itself_ends() -> None:
    box = "<draw:text-box><text:p>t</text:p></draw:text-box>"
    frame = f'<draw:frame><draw:object xlink:href="./Object 1"/>{box}</draw:frame>'
    chart = f"<chart:chart><chart:title><text:p>c{frame}</text:p></chart:title></chart:chart>"
    object = f"<office:document-content NAMES>{chart}</office:document-content>"
    ring = style("A", "B") + style("B", "A")

    found = text(f'<text:p text:style-name="A">{frame}</text:p>', ring, members={"Object 1/content.xml": object})

    assert found == "c t\n\nt\n\n"
