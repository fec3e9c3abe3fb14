"""Files that are damaged, encrypted, empty, in disguise, or made to do harm: each costs itself, with a clear reason."""

from __future__ import annotations

import contextlib
import gzip
import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import BadInput
from headrace.knowledge.detect import REFUSED, detect
from headrace.knowledge.parse import parse
from headrace.knowledge.parsed import Limits, TooMuch
from headrace.registry import FORMATS
from tests import documents as make
from tests import old_office as old

GOOD: dict[str, bytes] = {
    "application/pdf": make.drawn_pdf(
        [
            make.rules_at(*((10, y, 90, y) for y in (10, 40, 70)), *((x, 10, x, 70) for x in (10, 50, 90)))
            + "".join(make.words_at(x, y, "text") for y in (50, 20) for x in (15, 55))
            + "/X1 Do\n"
        ],
        notes=[
            "/Subtype /Widget /FT /Tx /T (a) /V (text) /Rect [0 0 9 9]",
            "/Subtype /Text /Contents (text) /Rect [0 0 9 9]",
            "/Subtype /Widget /FT /Btn /T (b) /V /Y /AS /Y /AP << /N << /Y 4 0 R >> >> /Rect [0 0 9 9]",
        ],
        form=make.rules_at((10, 100, 90, 100)),
    ),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": make.docx(make.paragraph("text")),
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": make.pptx([("title", "text")]),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": make.xlsx({"Sheet": [["text"]]}),
    "application/vnd.oasis.opendocument.text": make.odt("<text:p>text</text:p>"),
    "application/vnd.oasis.opendocument.presentation": make.odp([("title", "text")]),
    "application/vnd.oasis.opendocument.text-flat-xml": make.fodt("<text:p>text</text:p>"),
    "application/vnd.oasis.opendocument.spreadsheet": make.ods(
        '<table:table table:name="S"><table:shapes/><table:table-row table:number-rows-repeated="2"><table:table-cell'
        ' office:value-type="percentage" office:value="0.2" table:number-columns-repeated="3"><office:annotation>'
        "<text:p>text</text:p></office:annotation></table:table-cell></table:table-row></table:table>"
    ),
    "application/epub+zip": make.epub(["<p>text</p>"], title="t", date=""),
    "application/msword": old.word(["text ", b"more\r"], deleted=(2050, 2052)),
    "application/vnd.ms-powerpoint": old.slides([b"title", b"text"]),
    "application/zip": make.zipped({"a.txt": "text"}),
    "message/rfc822": make.mail("subject", "text"),
    "application/rtf": (
        rb"{\rtf1\ansi\ansicpg932{\fonttbl{\f0\fcharset2 Symbol;}}"
        rb"{\info{\title \'83\'65}{\creatim\yr2026\mo1\dy1}}\pard"
        rb"\u-10179?\u-8704?{\footnote b}{\field{\*\fldinst HYPERLINK c}{\fldrslt d}}\trowd\cellx9\intbl e\cell\row}"
    ),
    "text/html": b"<!doctype html><h1>a</h1><p>text<ul><li>b<pre># c</pre></ul><blockquote>d</blockquote><table><tr>"
    b"<th rowspan=2>e<th colspan=3>f<tr><td>g</table><math><mfrac><mi>h</mi></mfrac></math><a href=i>j</a>",
    "application/rss+xml": b'<?xml version="1.0"?><rss><channel><item><title>text</title></item></channel></rss>',
    "application/x-ipynb+json": b'{"cells": [{"cell_type": "code", "source": "text"}], "nbformat": 4}',
    "text/plain": b"text",
}
SUFFIXES = {
    "application/pdf": ".pdf",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.oasis.opendocument.presentation": ".odp",
}
NAMES = st.sampled_from(
    ["a.txt", "a.pdf", "a.docx", "a.zip", "a.xml", "a", "A.XLSX", "a.eml", "a.png", "a.odt", "a.fodt"]
)


def refused(path: str, content: bytes, limits: Limits | None = None) -> BadInput:
    with pytest.raises(BadInput) as caught:
        parse(path, content, limits)
    error = caught.value
    assert error.step.startswith(f"parse {path}")
    assert error.expected
    assert error.remedy
    return error


@given(NAMES, st.sampled_from(sorted(GOOD)))
def test_a_file_is_what_its_content_is_whatever_it_is_called(name: str, media: str) -> None:
    assert detect(name, GOOD[media]) == media


@given(NAMES | st.text(max_size=20), st.binary(max_size=300))
def test_every_content_has_a_type_that_is_read_or_refused(name: str, content: bytes) -> None:
    media = detect(name, content)
    assert media in FORMATS or media in REFUSED or content.startswith(b"PK")


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(sorted(GOOD)), st.data())
def test_a_file_cut_off_or_altered_is_read_or_refused(media: str, data: st.DataObject) -> None:
    content = bytearray(GOOD[media])
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    for _ in range(data.draw(st.integers(0, 3))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))

    with contextlib.suppress(BadInput):  # and no other error
        parsed = parse("file", bytes(content), Limits(ocr=False))
        assert "\0" not in parsed.text
        assert all(0 <= s.start < s.end <= len(parsed.text) for s in parsed.spans)


def test_a_package_whose_first_name_does_not_unpack_is_damaged() -> None:
    with io.BytesIO() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
            package.writestr("mimetype", "application/epub+zip" * 4)
        content = bytearray(file.getvalue())
    content[30 + len("mimetype")] = 0xFF  # the first block of its packed bytes is of no known kind

    assert detect("a.epub", bytes(content)) == "application/epub+zip"
    refused("a.epub", bytes(content))


def test_a_password_is_told() -> None:
    assert refused("a.pdf", make.pdf(["secret"], encrypted=True)).got == "one with a password"
    wide = "EncryptedPackage".encode("utf-16-le") + b"\0\0"
    assert refused("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600 + wide).got.endswith("with a password")
    package = bytearray(make.zipped({"a.txt": "text"}))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        package[package.index(mark) + at] |= 1
    assert refused("a.zip", bytes(package)).got == "one with a password"


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.xlsx", "a.odt", "a.odp", "a.png", "a.zip"])
def test_an_empty_file_that_should_not_be_is_told(name: str) -> None:
    assert refused(name, b"").got == "an empty file"


def test_an_empty_text_is_an_empty_document() -> None:
    assert parse("a.md", b"").text == ""


@pytest.mark.parametrize("media", [m for m in sorted(GOOD) if "officedocument" in m or m in SUFFIXES])
def test_half_a_file_is_told_to_be_damaged(media: str) -> None:
    suffix = SUFFIXES.get(media, ".docx")
    content = GOOD[media]

    error = refused("a" + suffix, content[:40] + b"\0" * 20)

    assert "damaged" in error.got
    assert "whole" in error.expected


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (gzip.compress(b"text", mtime=0), "a gzip archive"),
        (b"\x7fELF\x02\x01\x01" + b"\0" * 60, "a program"),
        (b"SQLite format 3\0" + b"\0" * 60, "an SQLite database"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 60, "an unknown program"),
        (bytes(range(256)), "byte 0x80 at offset 128"),
    ],
    ids=["gzip", "program", "database", "unknown", "bytes"],
)
def test_what_is_known_but_not_read_is_named(content: bytes, got: str) -> None:
    assert got in refused("report.pdf", content).got


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "application/pdf", "headrace.knowledge.formats.not_there:parse")

    assert "headrace[documents]" in refused("a.pdf", GOOD["application/pdf"]).remedy


def test_a_bomb_is_not_unpacked() -> None:
    bomb = make.zipped({"zeros.txt": b" " * (40 << 20)})
    assert len(bomb) < 100_000

    assert isinstance(refused("a.zip", bomb), TooMuch)
    assert "unpacked" in refused("a.zip", bomb, Limits(unpacked=1 << 20)).remedy


def test_a_file_that_lies_about_its_size_is_damaged() -> None:
    content = bytearray(make.zipped({"a.txt": "text " * 1000}))
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = (10).to_bytes(4, "little")

    assert "damaged" in refused("a.zip", bytes(content)).got


def test_packed_files_have_a_depth_and_a_number() -> None:
    content = make.zipped({"a.txt": "text"})
    for _ in range(5):
        content = make.zipped({"inner.zip": content})

    assert "deep" in refused("a.zip", content).expected
    assert "members" in refused("a.zip", make.zipped({f"{n}.txt": "x" for n in range(9)}), Limits(members=8)).remedy


def test_a_quine_ends() -> None:
    """An archive that holds itself, as far as its depth goes."""
    content = b"text"
    for n in range(30):
        content = make.zipped({f"{n}.zip" if n else "a.txt": content}, zipfile.ZIP_STORED)

    assert "deep" in refused("a.zip", content).expected


def test_entities_are_not_expanded() -> None:
    laughs = '<!DOCTYPE rss [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
    feed = '<?xml version="1.0"?><rss><channel><title>x</title></channel></rss>'.replace("<rss>", f"{laughs}<rss>", 1)
    body = "<w:p><w:r><w:t>&b;</w:t></w:r></w:p>"
    word = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(make.docx(body))) as old, zipfile.ZipFile(word, "w") as new:
        for info in old.infolist():
            text = old.read(info)
            new.writestr(info, laughs.encode() + text if info.filename == "word/document.xml" else text)

    assert "entities" in refused("a.docx", word.getvalue()).expected
    with pytest.raises(BadInput) as caught:
        parse("feed", feed.encode(), media="application/rss+xml")
    assert "entities" in caught.value.expected


def test_pages_and_text_are_counted() -> None:
    assert "pages" in refused("a.pdf", make.pdf(["x"] * 11), Limits(pages=10)).remedy
    assert "pages" in refused("a.xlsx", make.xlsx({f"S{n}": [["x"]] for n in range(11)}), Limits(pages=10)).remedy
    assert "characters" in refused("a.pdf", make.pdf(["words"] * 30), Limits(characters=100)).remedy
    assert "characters" in refused("a.csv", b"a,b\n" * 100, Limits(characters=500)).remedy


def test_what_is_too_much_inside_an_archive_is_too_much_for_all_of_it() -> None:
    content = make.zipped({"good.txt": "fine", "long.pdf": make.pdf(["x"] * 11)})

    assert isinstance(refused("a.zip", content, Limits(pages=10)), TooMuch)


def test_deep_structures_do_not_end_the_stack() -> None:
    deep = "[" * 200_000 + "]" * 200_000
    body = "<w:sdt><w:sdtContent>" * 2000 + make.paragraph("x") + "</w:sdtContent></w:sdt>" * 2000

    assert parse("a.json", deep.encode()).text
    refused("a.ipynb", ('{"nbformat": 4, "cells": [{"cell_type": "code", "source": ' + deep + "}]}").encode())
    with contextlib.suppress(BadInput):  # and no other error
        assert "x" in parse("a.docx", make.docx(body)).text


@pytest.mark.parametrize(
    "content", [b"<!-- a -->" * 400, b"<!--" * 1000, b"<!a>" * 1000, b"<?x>" * 1000, b" " * 4000 + b"x"]
)
def test_what_begins_like_a_page_for_long_is_told_at_once(content: bytes) -> None:
    """It was tried in every way to read comments once, which never ended."""
    assert detect("notes", content) == "text/plain"


def test_a_page_behind_comments_is_a_page() -> None:
    assert detect("a", b"<?xml version='1.0'?><!-- a --><!-- b -->\n<!DOCTYPE html><p>") == "text/html"
    assert detect("a", b"<!-- a --><html><p>") == "text/html"
    assert detect("a", b'<?xml version="1.0"?><!DOCTYPE rss SYSTEM "x"><rss>') == "application/rss+xml"
