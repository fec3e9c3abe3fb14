"""Each format: its text, where in it things stand, and what it says of its own time."""

from __future__ import annotations

import io
import struct
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import fastavro
import pyarrow
import pytest
from PIL import Image, ImageDraw
from pyarrow import parquet

from headrace.errors import BadInput
from headrace.knowledge.formats.text import decode
from headrace.knowledge.parse import parse
from headrace.knowledge.parsed import Limits, Parsed
from headrace.place import Place
from tests import documents as make

JANUARY = int(datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp() * 1_000_000)


def at(parsed: Parsed, words: str) -> Place | None:
    """Where some words of a text stand."""
    start = parsed.text.index(words)
    return next((s.place for s in parsed.spans if s.start <= start < s.end), None)


def test_a_pdf_s_text_stands_on_its_pages_under_its_bookmarks() -> None:
    content = make.pdf(["Bags are free.", "Fees apply."], title="Rules", date="D:20260131130000+01'00'", marks="Fees")

    parsed = parse("rules.pdf", content)

    assert (parsed.title, parsed.media, parsed.markdown) == ("Rules", "application/pdf", False)
    assert at(parsed, "Bags") == Place(page=1)
    assert at(parsed, "Fees") == Place(page=2)
    assert parsed.outline == ((parsed.text.index("Fees"), 1, "Fees"),)
    assert parsed.dated == JANUARY


def test_a_word_document_is_markdown() -> None:
    table = "".join(
        "<w:tr>" + "".join(f"<w:tc>{make.paragraph(c)}</w:tc>" for c in row) + "</w:tr>" for row in ("AB", "12")
    )
    link = '<w:p><w:hyperlink r:id="l1"><w:r><w:t>the desk</w:t></w:r></w:hyperlink></w:p>'
    gone = "<w:p><w:del><w:r><w:delText>deleted</w:delText></w:r></w:del><w:ins><w:r><w:t>new</w:t></w:r></w:ins></w:p>"
    listed = make.paragraph("an item", '<w:numPr><w:ilvl w:val="1"/></w:numPr>')
    body = make.paragraph("Cabin bags", '<w:pStyle w:val="H2"/>') + listed + f"<w:tbl>{table}</w:tbl>" + link + gone

    parsed = parse("a.docx", make.docx(body, modified="2026-01-31T12:00:00Z", links={"l1": "https://example.com/desk"}))

    assert parsed.text.split("\n\n") == [
        "## Cabin bags", "  - an item", "| A | B |\n| --- | --- |\n| 1 | 2 |", "[the desk](https://example.com/desk)",
        "new", "",
    ]  # fmt: skip
    assert (parsed.title, parsed.dated) == ("Cabin bags", JANUARY)


def test_a_word_document_s_numbers_are_counted() -> None:
    def level(n: int, kind: str, text: str, more: str = "") -> str:
        said = f'<w:start w:val="1"/><w:numFmt w:val="{kind}"/>{more}<w:lvlText w:val="{text}"/>'
        return f'<w:lvl w:ilvl="{n}">{said}</w:lvl>'

    h2 = '<w:pStyle w:val="H2"/>'
    numbering = (
        f'<w:abstractNum w:abstractNumId="0">{level(0, "decimal", "%1", h2)}'
        f"{level(1, 'lowerLetter', '(%2)')}{level(2, 'decimal', '%1.%3.')}</w:abstractNum>"
        f'<w:abstractNum w:abstractNumId="1">{level(0, "upperRoman", "%1")}{level(1, "bullet", "o")}</w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>'
        '<w:num w:numId="3"><w:abstractNumId w:val="1"/>'
        '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="4"/></w:lvlOverride></w:num>'
    )
    styles = '<w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr>'

    def item(text: str, list_id: int, level: int = 0, style: str = "") -> str:
        return make.paragraph(text, f'{style}<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{list_id}"/></w:numPr>')

    body = (
        make.paragraph("Scope", h2) + item("a", 1, 1) + item("b", 1, 1) + make.paragraph("Term", h2)
        + item("c", 1, 1) + item("deep", 1, 2) + item("x", 2) + item("y", 2) + item("point", 2, 1) + item("z", 3)
        + item("Plain", 0, 0, h2) + item("# no heading", 0)
    )  # fmt: skip

    parsed = parse("a.docx", make.docx(body, numbering=numbering, style=styles))

    assert parsed.text.split("\n\n") == [
        "## 1 Scope", "  (a) a", "  (b) b", "## 2 Term", "  (a) c", "    2.1. deep", "I. x", "II. y", "  - point",
        "IV. z", "## Plain", "\\# no heading", "",
    ]  # fmt: skip
    assert parsed.title == "Scope"


def test_slides_have_titles_and_notes() -> None:
    parsed = parse("a.pptx", make.pptx([("One", "first"), ("Two", "second")], notes={2: "say it slowly"}))

    assert parsed.text == "# One\n\nfirst\n\n# Two\n\nsecond\n\n### Notes\n\nsay it slowly\n\n"
    assert at(parsed, "first") == Place(slide=1)
    assert at(parsed, "slowly") == Place(slide=2)
    assert parsed.title == "One"


@pytest.mark.parametrize(
    ("comments", "people"),
    [
        (
            '<p:cmLst xmlns:p="P"><p:cm authorId="0"><p:pos x="1" y="2"/><p:text>whose number?</p:text></p:cm>'
            '<p:cm authorId="1"><p:text>finance</p:text></p:cm></p:cmLst>',
            '<p:cmAuthorLst xmlns:p="P"><p:cmAuthor id="0" name="Anna"/><p:cmAuthor id="1" name="Bob"/>'
            "</p:cmAuthorLst>",
        ),
        (
            '<n:cmLst xmlns:n="N" xmlns:a="A"><n:cm id="{1}" authorId="{A}"><n:replyLst><n:reply authorId="{B}">'
            "<n:txBody><a:p><a:r><a:t>finance</a:t></a:r></a:p></n:txBody></n:reply></n:replyLst><n:txBody><a:bodyPr/>"
            "<a:p><a:r><a:t>whose number?</a:t></a:r></a:p></n:txBody></n:cm></n:cmLst>",
            '<n:authorLst xmlns:n="N"><n:author id="{A}" name="Anna"/><n:author id="{B}" name="Bob"/></n:authorLst>',
        ),
    ],
    ids=["old", "new"],
)
def test_slides_have_their_comments(comments: str, people: str) -> None:
    parsed = parse("a.pptx", make.pptx([("One", "first"), ("Two", "second")], comments=comments, people=people))

    told = "# One\n\nfirst\n\n### Comments\n\n- Anna: whose number?\n- Bob: finance\n\n# Two"
    assert parsed.text.startswith(told)
    assert at(parsed, "finance") == Place(slide=1)


def test_a_slide_s_relations_are_read_once() -> None:
    """A deck of hundreds of slides must not reach the limit of packed files by what is read again."""
    deck = make.pptx([(f"Title {n}", "text") for n in range(20)], notes=dict.fromkeys(range(1, 21), "aside"))

    assert parse("a.pptx", deck, Limits(members=90)).text.count("aside") == 20


def test_sheets_are_tables_under_their_names() -> None:
    parsed = parse("a.xlsx", make.xlsx({"Fees": [["kind", "amount"], ["bag", 12.5], ["se|at", 7]], "Other": [["x"]]}))

    assert parsed.text == (
        "## Fees\n\n| kind | amount |\n| --- | --- |\n| bag | 12.5 |\n| se\\|at | 7 |\n\n## Other\n\n| x |\n| --- |\n\n"
    )
    assert at(parsed, "12.5") == Place(sheet="Fees")
    assert at(parsed, "| x") == Place(sheet="Other")


def test_a_book_is_its_chapters_in_order() -> None:
    parsed = parse("b.epub", make.epub(["<h1>One</h1><p>a</p>", "<h1>Two</h1>"], title="Book", date="2026-01-31"))

    assert (parsed.title, parsed.text) == ("Book", "# One\n\na\n\n# Two\n\n")
    assert parsed.dated == JANUARY - 12 * 3600 * 1_000_000


def test_a_mail_is_its_headers_text_and_attachments() -> None:
    content = make.mail(
        "Your bag", "It was found.", {"bag.pdf": make.pdf(["a red bag"]), "x.bin": b"\0\xff\1\2"},
        date="Sat, 31 Jan 2026 13:00:00 +0100",
    )  # fmt: skip

    parsed = parse("post/1", content)

    assert (parsed.title, parsed.media, parsed.dated) == ("Your bag", "message/rfc822", JANUARY)
    assert "From: Ada <ada@example.com>" in parsed.text
    assert "It was found." in parsed.text
    assert at(parsed, "a red bag") == Place(member="bag.pdf", page=1)
    assert "- x.bin: not read, " in parsed.text


def test_a_message_in_a_message_keeps_its_headers() -> None:
    inner, outer = EmailMessage(), EmailMessage()
    inner["Subject"], inner["From"] = "Bags", "ann@example.org"
    inner.set_content("Two are free.")
    outer["Subject"], outer["From"] = "Fwd: Bags", "bo@example.org"
    outer.set_content("See below.")
    outer.add_attachment(inner)

    parsed = parse("a.eml", outer.as_bytes())

    assert parsed.text.strip() == (
        "# Fwd: Bags\n\nFrom: bo@example.org\n\nSee below.\n\n## attachment 1.eml\n\n"
        "# Bags\n\nFrom: ann@example.org\n\nTwo are free."
    )


def test_a_mailbox_is_all_of_its_messages() -> None:
    mails = [make.mail("Bags", "Two are free.\n>From the desk"), make.mail("Fees", "From 12 euros.")]
    box = b"".join(b"From ann@example.org Sat Jan 31 13:00:00 2026\n" + mail + b"\n" for mail in mails)

    parsed = parse("inbox", box)

    assert parsed.media == "application/mbox"
    assert [at(parsed, words) for words in ("From the desk", "From 12 euros.")] == [
        Place(member="message 1.eml"), Place(member="message 2.eml")
    ]  # fmt: skip
    assert [line for line in parsed.text.splitlines() if line.startswith("#")] == ["# Bags", "# Fees"]


def test_an_archive_is_what_is_in_it_as_deep_as_it_goes() -> None:
    inner = make.zipped({"deep.txt": "the bottom", "slides.pptx": make.pptx([("Title", "body")])})

    members = {"docs/a.md": "# A\n\ntext", "inner.zip": inner, "__MACOSX/a": b"\0", "e": b""}
    parsed = parse("a.bin", make.zipped(members))

    assert parsed.media == "application/zip"
    assert at(parsed, "text") == Place(member="docs/a.md")
    assert at(parsed, "the bottom") == Place(member="inner.zip/deep.txt")
    assert at(parsed, "body") == Place(member="inner.zip/slides.pptx", slide=1)


def test_a_mail_is_one_behind_whatever_servers_and_filters_wrote() -> None:
    filtered = "".join(f"X-Filter-{n}: {'a' * 60}\r\n {'b' * 60}\r\n" for n in range(200))
    mail = f"Received: from a by b; Sat, 31 Jan 2026 12:00:00 +0000\r\n{filtered}".encode() + make.mail(
        "Bag", "It is red."
    )

    assert len(filtered) > 20_000
    assert parse("one", mail).media == "message/rfc822"
    assert parse("one", mail).title == "Bag"


def test_a_feed_s_entries_stand_under_their_titles() -> None:
    feed = """<?xml version="1.0"?><rss version="2.0"><channel><title>News</title>
      <lastBuildDate>Sat, 31 Jan 2026 12:00:00 GMT</lastBuildDate><item><title>A &amp; B</title>
      <description>&lt;p&gt;Bags &lt;b&gt;are&lt;/b&gt; free.&lt;/p&gt;</description></item></channel></rss>"""

    parsed = parse("feed.xml", feed.encode())

    assert (parsed.title, parsed.dated) == ("News", JANUARY)
    assert parsed.text == "# News\n\n## A & B\n\nBags are free.\n\n"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Fish & chips", "Fish & chips"),
        ("caf&eacute;&nbsp;bar &amp; &#233; &#XE9;", "café\u00a0bar & é é"),
        ("R&D;x &nothing; &#0;", "R&D;x &nothing;"),
        ("<![CDATA[<p>1 &lt; 2 & 3</p>]]>", "1 < 2 & 3"),
        ("a\x0bb", "ab"),
        ("open <b>bold", "open bold"),
    ],
)
def test_a_feed_that_is_no_xml_is_read_as_far_as_it_can_be_told(written: str, read: str) -> None:
    feed = f"""\n<?xml version="1.0" encoding="windows-1252"?><rss><channel><title>News & more</title>
      <item><title>One</title><content:encoded>{written}</content:encoded></item>
      <item><title>Two</title><description>Grüße</description></item></channel></rss>\n<!-- made -->"""

    parsed = parse("feed.xml", feed.encode("cp1252"))

    assert parsed.title == "News & more"
    assert [line for line in parsed.text.split("\n") if line] == [
        "# News & more", "## One", read, "## Two", "Grüße"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "feed",
    [
        "<rss><channel><title>R & D</title><item><title>One</title></item><item><tit",
        "<rss><channel><title>R & D</title></channel></rss><item>more</item>",
        "<rss>&" + "<item>" * 1000 + "</rss>",
        "<rss>" + "<!-- &" * 1000,
    ],
)
def test_a_feed_that_breaks_off_or_cannot_be_read_to_its_end_is_told(feed: str) -> None:
    with pytest.raises(BadInput, match="a feed that is w"):
        parse("feed.xml", feed.encode())


def test_a_notebook_is_its_cells() -> None:
    book = """{"cells": [{"cell_type": "markdown", "source": ["# Fees\\n", "text"]}, {"cell_type": "code",
      "source": "print(1)", "outputs": [{"output_type": "stream", "text": ["1\\n"]}]}],
      "metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}"""

    parsed = parse("a.ipynb", book.encode())

    assert parsed.text == "# Fees\ntext\n\n```python\nprint(1)\n```\n\n```\n1\n```\n\n"
    assert parsed.title == "Fees"


def test_a_notebook_of_an_old_format_is_its_cells_too() -> None:
    book = """{"metadata": {"name": "", "kernelspec": "python"}, "nbformat": 3, "nbformat_minor": 0, "worksheets": [
      {"cells": [{"cell_type": "heading", "level": 2, "source": ["Fees"]}, {"cell_type": "code", "language": "python",
      "input": ["print(1)\\n", "print(2)"], "outputs": [{"output_type": "stream", "text": ["1\\n", "2\\n"]}]}]},
      {"cells": [{"cell_type": "markdown", "source": "last"}]}]}"""

    parsed = parse("fees.ipynb", book.encode())

    assert parsed.text == "## Fees\n\n```python\nprint(1)\nprint(2)\n```\n\n```\n1\n2\n```\n\nlast\n\n"
    assert parsed.title == "fees"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", 'kind,amount\nbag,12\n"a, b",7\n'),
        ("a.csv", "kind;amount\nbag;12\na, b;7\n"),
        ("a.tsv", "kind\tamount\nbag\t12\na, b\t7\n"),
    ],
)
def test_separated_values_are_a_table(name: str, text: str) -> None:
    assert parse(name, text.encode()).text == "| kind | amount |\n| --- | --- |\n| bag | 12 |\n| a, b | 7 |\n"


def test_json_in_one_line_is_indented() -> None:
    line = '{"bags": [' + ", ".join(f'{{"weight": {n}}}' for n in range(60)) + "]}"

    assert parse("a.json", line.encode()).text.split("\n")[:4] == ["{", ' "bags": [', "  {", '   "weight": 0']
    assert parse("a.json", b'{"a":1}').text == '{"a":1}'
    assert parse("a.jsonl", f"{line}\n{line}\n".encode()).text == f"{line}\n{line}\n"


def test_rst_titles_are_headings_by_order_of_their_marks() -> None:
    text = """=====
Rules
=====

:date: 2026-01-31T12:00:00Z

Bags
----
Free. See `fees`_.

.. code-block:: python
   :linenos:

   def f():
       return 1

Size
~~~~

Fees
----
# not a heading
"""
    parsed = parse("a.rst", text.encode())

    assert parsed.text == (
        "# Rules\n\n:date: 2026-01-31T12:00:00Z\n\n## Bags\nFree. See `fees`_.\n\n```python\ndef f():\n    return 1\n"
        "```\n\n### Size\n\n## Fees\n\\# not a heading\n"
    )
    assert (parsed.title, parsed.dated) == ("Rules", JANUARY)


def test_rtf_is_its_text() -> None:
    head = rb"{\rtf1\ansi{\info{\title Rules}}{\fonttbl{\f0 Arial;}}"

    parsed = parse("a.txt", head + rb"\f0 Gr\u252?n \b bags\b0\par free.}")

    assert (parsed.title, parsed.text) == ("Rules", "Grün bags\n\nfree.")


def test_rows_of_parquet_and_avro_are_tables(tmp_path: Path) -> None:
    rows = [{"kind": "bag", "fee": 12.5}, {"kind": "seat", "fee": None}]
    expected = "| kind | fee |\n| --- | --- |\n| bag | 12.5 |\n| seat |  |\n"
    columns = {"kind": ["bag", "seat"], "fee": [12.5, None]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    schema = {
        "type": "record", "name": "fee",
        "fields": [{"name": "kind", "type": "string"}, {"name": "fee", "type": ["null", "double"]}],
    }  # fmt: skip
    avro = io.BytesIO()
    fastavro.writer(avro, schema, rows)

    assert parse("a", (tmp_path / "a.parquet").read_bytes()).text == expected
    assert parse("b", avro.getvalue()).text == expected


def picture(text: str) -> bytes:
    image = Image.new("RGB", (360, 60), "white")
    ImageDraw.Draw(image).text((10, 10), text, fill="black", font_size=30)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def test_a_picture_is_the_text_in_it() -> None:
    assert "BAGS 4711" in parse("scan.dat", picture("BAGS 4711")).text


def test_a_picture_is_not_read_where_that_is_switched_off_or_too_large() -> None:
    with pytest.raises(BadInput) as caught:
        parse("scan.png", picture("x"), Limits(ocr=False))
    assert "[documents] ocr" in caught.value.remedy

    with pytest.raises(BadInput) as caught:
        parse("scan.png", picture("x"), Limits(pixels=1000))
    assert caught.value.got == "360 x 60"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.html", b'<html><meta charset="windows-1252"><p>Gr\xfc\xdfe</p>'),
        ("a.md", "Grüße".encode("utf-16")),
        ("a.txt", "Grüße, and some more text".encode("utf-16-le")),
        ("a.py", b"# -*- coding: latin-1 -*-\n# Gr\xfc\xdfe"),
    ],
)
def test_text_in_an_encoding_that_is_stated_or_certain_is_read(name: str, content: bytes) -> None:
    assert "Grüße" in parse(name, content).text


@pytest.mark.parametrize(
    "text",
    [
        "Straße;Größe;Preis\nMüllerstraße 5;42;12,50 €\nÖlfilter;3;1,20\n",
        "Le prix élevé de l’été à Genève : 12 € où ça s’arrête. Références déjà reçues.",
        "El niño comió mañana y se fue a España. ¿Qué pasó? ¡Adiós!",
        "På øya bor det færre enn før, og Åse drar over på lørdag.",
        "The café’s menu – “free” refills cost £3, at 21°C.",
    ],
)
def test_what_windows_writes_in_western_europe_is_read(text: str) -> None:
    assert decode("a.csv", text.encode("cp1252")) == text


def test_what_is_beside_a_page_s_main_part_is_left_out() -> None:
    page = """<html><meta property="article:published_time" content="2026-01-31T12:00:00Z"><nav>Menu</nav><main>
      <h1>Bags</h1><p>See <a href="/fees" title="All fees">the fees</a><span hidden>no</span>.</p>
      <table><tr><th>kind<th>fee</tr><tr><td>bag<td>12</tr></table><footer>(c)</footer></main></html>"""

    parsed = parse("a.html", page.encode())

    assert parsed.text == ('# Bags\n\nSee [the fees](/fees "All fees").\n\n| kind | fee |\n| --- | --- |\n| bag | 12 |')
    assert parsed.dated == JANUARY


def test_front_matter_states_a_date() -> None:
    assert parse("a.md", b"---\ntitle: A\ndate: 2026-01-31T12:00:00Z\n---\ntext").dated == JANUARY
    assert parse("a.md", b"---\ndate: someday\n---\ntext").dated is None


def test_an_outlook_message_is_its_headers_text_and_attachments() -> None:
    attached = {"bag.docx": make.docx(make.paragraph("red"))}
    content = make.msg("Your bag", "It was found.", attached, delivered_us=JANUARY)

    parsed = parse("a.msg", content)

    assert (parsed.title, parsed.media, parsed.dated) == ("Your bag", "application/vnd.ms-outlook", JANUARY)
    assert parsed.text.startswith("# Your bag\n\nFrom: Ada\n\nIt was found.\n\n## bag.docx\n\nred")
    assert at(parsed, "red") == Place(member="bag.docx")


def test_a_locked_sheet_of_old_excel_says_so() -> None:
    records = [(0x809, bytes(16)), (0x2F, bytes(54))]  # a workbook begins, and is encrypted
    stream = b"".join(struct.pack("<2H", kind, len(data)) + data for kind, data in records)

    with pytest.raises(BadInput, match="with a password"):
        parse("a.xls", make.compound({"Workbook": stream}))


def test_sheets_of_old_excel_are_read() -> None:
    parsed = parse("a.bin", (Path(__file__).parents[1] / "data" / "formats" / "sheets.xls").read_bytes())

    assert parsed.media == "application/vnd.ms-excel"
    assert "| Alpha | Beta | Gamma | Delta |" in parsed.text
    assert at(parsed, "affc7dad") == Place(sheet="09060124-b5e7-4717-9d07-3c046eb")
