"""Bytes of a file to text with a title: Markdown and plain text as they stand, HTML by its visible text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

from lxml import html as lxml_html
from lxml.etree import ParserError
from lxml.html import HtmlElement

from headrace.clock import to_us
from headrace.errors import BadInput

MARKDOWN = frozenset({".md", ".markdown", ".mdx", ".mdown", ".mkd"})
HTML = frozenset({".html", ".htm", ".xhtml"})

_LOOKS_HTML = re.compile(r"\s*(<!--.*?-->\s*)*<(!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL)
# https://spec.commonmark.org/0.31.2/ sections 4.2 to 4.5, a line without its end at a time.
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))??(?:[ \t]+#+)?[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*")
_NO_PARAGRAPH = re.compile(r"[ \t]*(?:$|[-*+>|][ \t|-]|[-*_=+>|]+$|\d+[.)][ \t])| {4}|\t")
_FRONT_MATTER = re.compile(r"\A---\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*(.+?)[ \t]*$", re.MULTILINE)
_FRONT_DATE = re.compile(
    r"^date:[ \t]*[\"']?(\d{4}-\d\d-\d\d(?:[T ][0-9:.]+(?:Z|[+-]\d\d:?\d\d)?)?)[\"']?[ \t]*$", re.MULTILINE
)
_BLOCKS = frozenset(
    """
    address article aside blockquote body br caption dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4
    h5 h6 header hr html li main nav ol p pre section table tbody td tfoot th thead title tr ul
    """.split()
)
_HIDDEN = frozenset({"script", "style", "noscript", "template", "head", "svg", "iframe", "object"})
_HEADINGS = {f"h{n}": n for n in range(1, 7)}


@dataclass(frozen=True, slots=True)
class Parsed:
    """Text in which chunks and citations have their places. `markdown`: headings are `#` lines.

    `dated`: the time that the document states of itself, microseconds.
    """

    title: str
    text: str
    markdown: bool
    dated: int | None = None


def parse(path: str, content: bytes) -> Parsed:
    """A file's text and title. Raises BadInput for what is not UTF-8 text."""
    text = decode(path, content)
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in HTML or (suffix not in MARKDOWN and _LOOKS_HTML.match(text[:2000])):
        return _html(path, text)
    if suffix in MARKDOWN:
        return Parsed(_markdown_title(text) or _name(path), text, True, _front_date(text))
    return Parsed(_name(path), text, False)


def decode(path: str, content: bytes) -> str:
    """UTF-8 (a byte order mark is left out). Raises BadInput with the place of the first wrong byte."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wrong = content[error.start : error.start + 1].hex()
        raise _bad(path, f"byte 0x{wrong} at offset {error.start}") from None
    nul = text.find("\0")
    if nul >= 0:
        raise _bad(path, f"a NUL character at offset {nul}")
    return text


def headings(text: str) -> list[tuple[int, int, str]]:
    """A Markdown text's headings outside code fences and front matter: (character offset, level, words)."""
    found: list[tuple[int, int, str]] = []
    fence = ""
    above: tuple[int, str] | None = None  # a paragraph's first and so far only line: an underline makes it a heading
    fresh = True  # whether the next line may begin a paragraph
    for at, line in _lines(text):
        mark = _FENCE.fullmatch(line)
        if fence:
            closes = mark is not None and mark[1].startswith(fence) and not mark[2].strip()
            fence = "" if closes else fence
            above, fresh = None, True
        elif mark:
            fence = mark[1]
        elif above and (under := _UNDERLINE.fullmatch(line)):
            found.append((above[0], 1 if under[1][0] == "=" else 2, above[1]))
            above, fresh = None, True
        elif heading := _HEADING.fullmatch(line):
            if heading[2]:
                found.append((at, len(heading[1]), heading[2].strip()))
            above, fresh = None, True
        else:
            paragraph = not _NO_PARAGRAPH.match(line)
            above = (at, line.strip()) if paragraph and fresh else None
            fresh = not line.strip()
    return found


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Each line behind the front matter with its offset, without its end."""
    front = _FRONT_MATTER.match(text)
    at = front.end() if front else 0
    for line in text[at:].split("\n"):
        yield at, line.removesuffix("\r")
        at += len(line) + 1


def _markdown_title(text: str) -> str:
    front = _FRONT_MATTER.match(text)
    named = _FRONT_TITLE.search(front[1]) if front else None
    if named:
        return named[1].strip("\"'")
    first = headings(text)[:1]
    return first[0][2] if first else ""


def _front_date(text: str) -> int | None:
    """Of front matter; a time without an offset is taken as UTC, and what is no date as none."""
    front = _FRONT_MATTER.match(text)
    stated = _FRONT_DATE.search(front[1]) if front else None
    if stated is None:
        return None
    try:
        moment = datetime.fromisoformat(stated[1])
    except ValueError:
        return None
    return to_us(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _html(path: str, text: str) -> Parsed:
    try:
        root = lxml_html.document_fromstring(text.encode(), parser=lxml_html.HTMLParser(encoding="utf-8"))
    except (ParserError, ValueError):
        return Parsed(_name(path), "", True)
    titles = [t.text_content() for t in root.iter("title")]
    pieces: list[str] = []
    _visible(root, pieces, pre=False)
    body = re.sub(r"[ \t]*\n[ \t]*", "\n", "".join(pieces))
    body = re.sub(r"\n{3,}", "\n\n", body).strip()
    first = headings(body)[:1]
    title = " ".join(titles[0].split()) if titles and titles[0].strip() else (first[0][2] if first else _name(path))
    return Parsed(title, body, True)


def _visible(element: HtmlElement, pieces: list[str], *, pre: bool) -> None:
    tag = element.tag if isinstance(element.tag, str) else ""
    if tag in _HIDDEN or not tag:
        return
    keep = pre or tag in {"pre", "textarea"}
    block = tag in _BLOCKS
    if block:
        pieces.append("\n" if tag in {"br", "tr", "td", "th", "li", "dt", "dd"} else "\n\n")
    if tag in _HEADINGS:
        pieces.append("#" * _HEADINGS[tag] + " ")
    elif tag == "li":
        pieces.append("- ")
    pieces.append(_words(element.text, keep))
    for child in element:
        _visible(child, pieces, pre=keep)
        pieces.append(_words(child.tail, keep))
    if block and tag != "br":
        pieces.append("\n")


def _words(text: str | None, keep: bool) -> str:
    if not text:
        return ""
    return text if keep else re.sub(r"\s+", " ", text)


def _name(path: str) -> str:
    return PurePosixPath(path).stem.replace("_", " ").replace("-", " ")


def _bad(path: str, got: str) -> BadInput:
    return BadInput(
        step=f"parse {path}",
        expected="UTF-8 text (Markdown, HTML or plain)",
        got=got,
        remedy="Save the file as UTF-8, or leave it out with `exclude`.",
    )
