"""HTML by its visible text, as Markdown: headings, lists, tables, code, links."""

from __future__ import annotations

import re

from lxml import html as lxml_html
from lxml.etree import ParserError
from lxml.html import HtmlElement

from headrace.knowledge.dates import stated
from headrace.knowledge.formats.html_lines import Lines
from headrace.knowledge.formats.html_page import Page
from headrace.knowledge.formats.html_seen import main_of
from headrace.knowledge.formats.markdown import headings
from headrace.knowledge.formats.text import decode, name_of
from headrace.knowledge.parsed import File, Parsed
from headrace.metadata import Metadata, keywords_of, metadata_of

_TO_BROWSERS = re.compile(
    r"viewport|referrer|color-scheme|theme-color|format-detection|csrf-.*|.*-verification|msapplication-.*|apple-.*"
)
_KEYWORDS = frozenset({"keywords", "news_keywords"})
_DATES = frozenset({"article:published_time", "date", "dc.date", "dcterms.date", "dcterms.created", "datepublished"})
_BREAK = re.compile(r"</?wbr\s*/?>", re.IGNORECASE)


def parse(file: File) -> Parsed:
    text = decode(file.path, file.content, file.charset)
    found = of_text(text)
    file.wrote(len(found.text))
    return Parsed(
        found.title or name_of(file.path), found.text, True, file.media, dated=found.dated, metadata=found.metadata
    )


def of_text(text: str) -> Parsed:
    """A page's visible text. Where a page marks its main part, what is for finding one's way is left out."""
    try:
        root = _root(text)
    except (ParserError, ValueError):
        return Parsed("", "", True)
    page = _without_frames(root)
    main, aside = main_of(page)
    body = _body(main, aside=aside)
    if not body and main is not page:
        body = _body(page, aside=True)  # a script would have filled its main part
    titles = [t.text_content() for t in root.iter("title")]
    first = headings(body)[:1]
    title = " ".join(titles[0].split()) if titles and titles[0].strip() else (first[0][2] if first else "")
    return Parsed(title, body, True, dated=_dated(root), metadata=_metadata(root))


def _root(text: str) -> HtmlElement:
    """The parser does not know that `wbr` is empty, and nests all that comes behind it. `huge_tree`: it would leave out
    what comes behind an element more than 256 deep; it is 2048 then."""
    text = _BREAK.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    parser = lxml_html.HTMLParser(encoding="utf-8", huge_tree=True)
    return lxml_html.document_fromstring(text.encode(), parser=parser)


def _without_frames(root: HtmlElement) -> HtmlElement:
    """Of a page of frames, what it says to browsers without: the parser leaves its markup as text."""
    inside = next(root.iter("noframes"), None)
    if inside is None or next(root.iter("frameset"), None) is None:
        return root
    try:
        return _root(inside.text_content())
    except (ParserError, ValueError):
        return root


def _body(element: HtmlElement, *, aside: bool) -> str:
    out = Lines()
    Page(element, aside=aside).read(element, out)
    return out.text


def _dated(root: HtmlElement) -> int | None:
    for meta in root.iter("meta"):
        name = meta.get("property") or meta.get("name") or meta.get("itemprop") or ""
        if name.lower() in _DATES and (found := stated(meta.get("content"))):
            return found
    return None


def _metadata(root: HtmlElement) -> Metadata:
    """What its `meta` elements say, but for what they say to browsers; several of a name are several values."""
    found: dict[str, list[str]] = {}
    if language := root.get("lang"):
        found["language"] = [language]
    for meta in root.iter("meta"):
        name = (meta.get("property") or meta.get("name") or meta.get("itemprop") or "").lower()
        if name and not _TO_BROWSERS.fullmatch(name):
            content = meta.get("content") or ""
            found.setdefault(name, []).extend(keywords_of(content) if name in _KEYWORDS else [content])
    return metadata_of({name: said[0] if len(said) == 1 else said for name, said in found.items()})
