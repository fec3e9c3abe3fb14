"""What documents of each format state of themselves, and that it is redacted as their texts are."""

from __future__ import annotations

import time

import pytest

from headrace.change import Change, Column, Op, Position, Schema
from headrace.errors import BadInput, BadRequest
from headrace.knowledge.parse import parse
from headrace.knowledge.parsed import Parsed
from headrace.knowledge.redacting import cleared
from headrace.knowledge.rows import row_template
from headrace.metadata import Metadata, decoded, metadata_of
from headrace.redaction.policy import Policy, Redactor
from headrace.redaction.rules import Rules
from headrace.uploads import Description, checked_metadata, read_metadata
from tests import documents as make


def said(path: str, content: str | bytes) -> Metadata:
    return parse(path, content.encode() if isinstance(content, str) else content).metadata


YAML = """---
title: "Cabin bags"
Author: Ada
price: 12.50
count: 3
zip: 007
country: no
at: 12:30
draft: false
date: 2024-05-01
changed: 2024-05-01 10:00:00 +02:00
quoted: "2024"
tags: [bags, cabin, 7]
people:
  - Ada
  - Bo
shop:
  name: Main
  floor: 2
long: >
  one
  two
nothing:
anchored: &x [1]
again: *x
<<: {merged: 1}
odd: !!python/object:os.system x
---
# Text
"""


def test_front_matter_in_yaml() -> None:
    assert said("a.md", YAML) == {
        "<<.merged": 1, "anchored": (1,), "at": "12:30", "author": "Ada", "changed": "2024-05-01T08:00:00Z", "count": 3,
        "country": "no", "date": "2024-05-01", "draft": False, "long": "one two", "odd": "x", "people": ("Ada", "Bo"),
        "price": 12.5, "quoted": "2024", "shop.floor": 2, "shop.name": "Main", "tags": ("bags", "cabin", 7),
        "title": "Cabin bags", "zip": "007",
    }  # fmt: skip


def test_front_matter_in_toml() -> None:
    text = (
        '+++\ntitle = "Bags"\ndate = 2024-05-01T10:00:00Z\ntags = ["a", "b"]\n[shop]\nfloor = 2\n+++\n# Not the title\n'
    )
    parsed = parse("a.md", text.encode())

    assert parsed.metadata == {
        "date": "2024-05-01T10:00:00Z", "shop.floor": 2, "tags": ("a", "b"), "title": "Bags"
    }  # fmt: skip
    assert (parsed.title, parsed.dated) == ("Bags", 1_714_557_600_000_000)


@pytest.mark.parametrize(
    "front",
    [
        "a: [1, 2", "a: " + "[" * 8000, "{" * 5000, "- a\n- b", "a", "\tx: 1", "a: 1\n---\nb: 2", "x: !!binary ?",
        "",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: &d [*c, *c]\ne: [*d, *d]", "day: 2024-13-45",
        "n: " + "9" * 5000, "f: 1e999", "? [a, b]\n: c", "a: 1\na: 2", "k: " + "v" * 20_000,
    ],
)  # fmt: skip
def test_front_matter_that_cannot_be_read_costs_nothing_but_itself(front: str) -> None:
    began = time.process_time()
    for text in (f"---\n{front}\n---\n# Text\n", f"+++\n{front}\n+++\n# Text\n"):
        parsed = parse("a.md", text.encode())
        assert "# Text" in parsed.text
        assert len(parsed.metadata) <= 5
    assert time.process_time() - began < 30, "it must not grow without end"


def test_a_page_s_meta_elements() -> None:
    html = (
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=1">'
        '<meta name="Author" content="Ada"><meta name="keywords" content="bags, cabin">'
        '<meta property="article:tag" content="a"><meta property="article:tag" content="b">'
        '<meta name="csrf-token" content="secret"><meta name="empty"></head><body><p>Text</p></body></html>'
    )
    assert said("a.html", html) == {
        "article:tag": ("a", "b"), "author": "Ada", "keywords": ("bags", "cabin"), "language": "en"
    }  # fmt: skip


def test_a_mail_s_headers() -> None:
    content = make.mail("Bags", "Hello.", date="Wed, 01 May 2024 12:00:00 +0200").replace(
        b"To: Bob <bob@example.com>", b'To: Bob <bob@example.com>, "Cy, D." <cy@example.com>\r\nMessage-ID: <1@x>'
    )
    assert said("a.eml", content) == {
        "date": "2024-05-01T10:00:00Z", "from": "ada@example.com", "message-id": "<1@x>", "subject": "Bags",
        "to": ("bob@example.com", "cy@example.com"),
    }  # fmt: skip
    assert said("a.msg", make.msg("Bags", "Hi", {}, delivered_us=1_714_557_600_000_000)) == {
        "date": "2024-05-01T10:00:00Z", "from": "Ada", "subject": "Bags"
    }  # fmt: skip


def test_a_mail_to_everybody_keeps_the_first_addresses() -> None:
    many = ",".join(f"n{n}@example.com" for n in range(1000))
    found = said("a.eml", make.mail("Bags", "Hello.").replace(b"To: Bob <bob@example.com>", f"To: {many}".encode()))

    assert found["to"] == tuple(f"n{n}@example.com" for n in range(100))


def test_a_pdf_s_information() -> None:
    content = make.pdf(["One."], title="Rules) /Author (Ada) /Keywords (bags; cabin", date="D:20240501120000+02'00'")
    assert said("a.pdf", content) == {
        "author": "Ada", "keywords": ("bags", "cabin"), "modified": "2024-05-01T10:00:00Z", "title": "Rules"
    }  # fmt: skip


def test_core_and_custom_properties_of_office_files() -> None:
    types = "http://schemas.openxmlformats.org/officeDocument/2006/docPropsVTypes"
    custom = "".join(
        f'<property name="{name}"><vt:{kind} xmlns:vt="{types}">{text}</vt:{kind}></property>'
        for name, kind, text in (
            ("Client", "lpwstr", "ACME"), ("Floor", "i4", "3"), ("Rate", "r8", "0.5"), ("Open", "bool", "true"),
            ("Due", "filetime", "2024-05-01T10:00:00Z"), ("Odd", "i4", "x"),
        )
    )  # fmt: skip
    body = make.paragraph("Text")
    core = "Bags</dc:title><dc:creator>Ada</dc:creator><cp:keywords>a, b</cp:keywords><dc:title>"
    with_custom = make.docx(
        body, title=core, modified="2024-05-01T10:00:00Z", custom=f"<Properties>{custom}</Properties>"
    )

    found = said("a.docx", with_custom)

    expected = {
        "author": "Ada", "client": "ACME", "due": "2024-05-01T10:00:00Z", "floor": 3, "keywords": ("a", "b"),
        "modified": "2024-05-01T10:00:00Z", "odd": "x", "open": True, "rate": 0.5,
    }  # fmt: skip
    assert {n: v for n, v in found.items() if n != "title"} == expected
    assert "client" not in said("b.docx", make.docx(body, custom="<Properties>no end"))


def test_a_book_s_description() -> None:
    content = make.epub(
        ["<p>One</p>"], title="Bags</title><creator>Ada</creator><creator>Bo</creator><title>", date="2024"
    )
    assert said("a.epub", content)["author"] == ("Ada", "Bo")
    assert said("a.epub", content)["date"] == "2024"


# ---- rows ------------------------------------------------------------------------------------------------------------

COLUMNS = {
    "id": "int4", "name": "text", "price": "numeric", "at": "timestamptz", "tags": "_text", "about": "jsonb",
    "on": "bool", "raw": "bytea", "made": "datetime(6)", "many": "_int4", "odd": "numeric",
}  # fmt: skip
SCHEMA = Schema("shop", "public.items", tuple(Column(n, t) for n, t in COLUMNS.items()), ("id",))


def test_columns_are_a_row_s_metadata() -> None:
    row = (
        7, "Bag", "12.50", "2024-05-01 12:00:00+02", '{a,"b c"}', '{"size": {"cm": 55}, "colours": ["red", "blue"]}',
        True, b"x", "2024-05-01 10:00:00.000000", "{1,2}", "NaN",
    )  # fmt: skip
    change = Change(SCHEMA, Op.CREATE, Position(1), 1, 1, (7,), None, row)

    assert row_template("shop.public.items", "x", metadata=list(COLUMNS)).said(change) == {
        "about.colours": ("red", "blue"), "about.size.cm": 55, "at": "2024-05-01T10:00:00Z", "id": 7,
        "made": "2024-05-01T10:00:00Z", "many": (1, 2), "name": "Bag", "on": True, "price": 12.5,
        "tags": ("a", "b c"),
    }  # fmt: skip
    assert row_template("shop.public.items", "x").said(change) == {}
    with pytest.raises(BadInput, match="no column 'colour'"):
        row_template("shop.public.items", "x", metadata=["colour"]).said(change)


# ---- redaction -------------------------------------------------------------------------------------------------------


def test_metadata_are_redacted_as_texts_are() -> None:
    metadata = metadata_of(
        {
            "from": "ada@example.com", "to": ["bo@example.com", "the desk"], "price": 12.5, "card": 4532276644577020,
            "reviewer": "Zoltan Quux", "cy@example.com": "yes", "public": True, "born": "2001-02-03",
        }
    )  # fmt: skip
    parsed = Parsed("t", "Patient name: Zoltan Quux", False, metadata=metadata)

    done = cleared(parsed, Redactor([Rules()], Policy({})))

    assert done.metadata == {
        "[email]": "yes", "born": "[BIRTH_DATE]", "card": "[CARD]", "from": "[EMAIL]", "price": 12.5, "public": True,
        "reviewer": "[NAME]", "to": ("[EMAIL]", "the desk"),
    }  # fmt: skip
    assert cleared(parsed, Redactor([Rules()], Policy({}, "keep"))).metadata == metadata
    assert cleared(Parsed("t", "x", False), Redactor([Rules()], Policy({}))).metadata == {}


# ---- what somebody says who gives a document -------------------------------------------------------------------------


def test_given_metadata_are_kept_in_one_form() -> None:
    text = read_metadata('{"Price": 5.0, "tags": ["b", "a", ""], "none": null, "empty": ""}')

    assert decoded(text) == {"price": 5, "tags": ("b", "a")}
    assert read_metadata("") == read_metadata("{}") == read_metadata("null") == ""
    assert checked_metadata({"b": 1, "a": 2}) == checked_metadata({"a": 2, "b": 1})
    assert Description(metadata="x").metadata == "x"


@pytest.mark.parametrize(
    "text",
    [
        "[1]", "{", '{"a": {"b": 1}}', '{"a": [[1]]}', '{"x": "' + "y" * 1001 + '"}', '{" ": 1}', '{"A": 1, "a": 2}',
        '{"' + "n" * 101 + '": 1}', "{" + ",".join(f'"f{n}": 1' for n in range(65)) + "}", '{"a": "   "}',
        '{"a": [' + ",".join(str(n) for n in range(101)) + "]}",
        "{" + ",".join(f'"f{n}": "{"x" * 1000}"' for n in range(20)) + "}",
    ],
)  # fmt: skip
def test_given_metadata_beyond_the_bounds_are_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="metadata"):
        read_metadata(text)
