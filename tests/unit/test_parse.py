"""Files to text with titles and headings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import BadInput
from headrace.knowledge.formats.markdown import headings
from headrace.knowledge.formats.text import decode
from headrace.knowledge.parse import parse


def heads(text: str) -> list[tuple[int, str]]:
    found = headings(text)
    assert [at for at, _, _ in found] == sorted(at for at, _, _ in found)
    for at, _, words in found:
        assert at == 0 or text[at - 1] in "\r\n", "an offset is the start of a line"
        assert words in text[at:]
    return [(level, words) for _, level, words in found]


def test_markdown_stands_as_it_is_under_its_first_heading() -> None:
    text = "Intro\n\n# Cabin *bags*\n\n## Size ##\ntext\n"

    parsed = parse("policies/bags.md", text.encode())

    assert (parsed.title, parsed.text, parsed.markdown) == ("Cabin *bags*", text, True)
    assert headings(text) == [(7, 1, "Cabin *bags*"), (23, 2, "Size")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# A\n```\n# not\n```\n# B", [(1, "A"), (1, "B")]),
        ("```\n~~~\n# not\n```\n# B", [(1, "B")]),
        ("````md\n```\n# not\n```\n````\n## B", [(2, "B")]),
        ("~~~\n# not, and never closed", []),
        ("``` `inline` ```\n# B", [(1, "B")]),
        ("# C#\n## F# ##\n### a#b", [(1, "C#"), (2, "F#"), (3, "a#b")]),
        ("#hashtag\n####### seven\n    # code\n   # three spaces", [(1, "three spaces")]),
        ("Title\n=====\n\ntext\n\nPart\n---\n", [(1, "Title"), (2, "Part")]),
        ("text\n\n---\n\nmore\n***\n", []),
        ("- item\n---\n> quote\n---\n| a |\n---\n", []),
        ("# A\r\n\r\ntext\r\n## B\r\n", [(1, "A"), (2, "B")]),
        ("---\ntitle: x\n# comment\n---\n# B\n", [(1, "B")]),
        ("#\n# \n## B", [(2, "B")]),
    ],
)
def test_headings_are_those_of_markdown(text: str, expected: list[tuple[int, str]]) -> None:
    assert heads(text) == expected


@given(
    st.lists(st.sampled_from(["# A", "text", "```", "~~~~", "---", "===", "", "\r", "  ## B #", "    x"])).map(
        "\n".join
    )
)
def test_headings_are_found_in_any_text(text: str) -> None:
    heads(text)


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ('---\ntitle: "Fees & more"\nx: 1\n---\n# Other\n', "Fees & more"),
        ("---\r\ntitle: Fees\r\n---\r\ntext", "Fees"),
        ("---\nauthor: a\n---\n# Other\n", "Other"),
        ("no heading at all", "my file"),
    ],
)
def test_a_title_comes_from_front_matter_heading_or_name(content: str, title: str) -> None:
    assert parse("a/my-file.MD", content.encode()).title == title


def test_plain_text_is_taken_as_it_is() -> None:
    parsed = parse("logs/error_log.txt", b"# not a heading\n<b>not html</b>\n")

    assert (parsed.title, parsed.markdown) == ("error log", False)
    assert parsed.text == "# not a heading\n<b>not html</b>\n"


def test_html_is_its_visible_text() -> None:
    page = """<!doctype html><html><head><title> Bag
        rules </title><style>p {}</style><script>var x = "<p>no</p>"</script></head>
        <body><nav>Home</nav><h1>Cabin <em>bags</em></h1><p>One   bag,<br>10 kg &amp; free.</p>
        <!-- hidden --> <ul><li>small</li><li>soft</li></ul>
        <pre>a  b
  c</pre><table><tr><td>fee</td><td>$5</td></tr></table><noscript>no</noscript><p>Ende – ü</p></body></html>"""

    parsed = parse("bags.html", page.encode())

    assert parsed.title == "Bag rules"
    assert parsed.markdown
    lines = [line for line in parsed.text.split("\n") if line]
    assert lines == [
        "Home", "# Cabin bags", "One bag,", "10 kg & free.", "- small", "- soft", "```", "a  b", "  c", "```", "fee",
        "$5", "Ende – ü",
    ]  # fmt: skip
    assert heads(parsed.text) == [(1, "Cabin bags")]


@pytest.mark.parametrize("content", ["", "   ", "<!-- only -->", "<html></html>", "<p"])
def test_html_without_text_is_an_empty_document(content: str) -> None:
    parsed = parse("a/empty page.html", content.encode())

    assert (parsed.title, parsed.text) == ("empty page", "")


def test_html_is_known_by_its_beginning_too_and_declared_encodings_do_not_matter() -> None:
    page = '<?xml version="1.0" encoding="iso-8859-1"?><html><meta charset="latin1"><p>Grüße</p></html>'

    assert parse("a.xhtml", page.encode()).text == "Grüße"
    assert parse("page", b" <!-- x --><!DOCTYPE HTML><p>hello</p>").text == "hello"
    assert not parse("page.txt", b"about <html> tags").markdown


def test_deep_html_is_read_without_an_end_to_the_stack() -> None:
    parsed = parse("deep.html", ("top" + "<div>" * 20_000 + "bottom" + "</div>" * 20_000).encode())

    assert parsed.text == "top"  # the parser goes no deeper than 2048


def test_a_byte_order_mark_is_left_out() -> None:
    assert parse("a.md", b"\xef\xbb\xbf# A\n").text == "# A\n"
    assert decode("a", b"\xef\xbb\xbf") == ""


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (b"ok \xff", "byte 0xff at offset 3"),
        (b"a\0b", "a NUL character at offset 1"),
        (b"\xc3", "byte 0xc3 at offset 0"),
    ],
)
@pytest.mark.parametrize("name", ["a.md", "a.html", "a.txt"])
def test_what_is_not_utf_8_text_is_told_where(name: str, content: bytes, got: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse(name, content)

    assert caught.value.got == got
    assert caught.value.step == f"parse {name}"


@given(
    st.sampled_from(["a.md", "a.html", "a.txt", "a"]), st.text(st.characters(codec="utf-8", exclude_characters="\0"))
)
def test_any_text_is_parsed(name: str, text: str) -> None:
    parsed = parse(name, text.encode())

    assert "\0" not in parsed.text
    if not parsed.markdown or name == "a.md":
        assert parsed.text == text.removeprefix("\ufeff")
