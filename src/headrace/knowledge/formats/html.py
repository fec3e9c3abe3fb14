"""HTML by its visible text, as Markdown: headings, lists, tables, links."""

from __future__ import annotations

import re

from lxml import html as lxml_html
from lxml.etree import ParserError
from lxml.html import HtmlElement

from headrace.knowledge.dates import stated
from headrace.knowledge.formats.markdown import headings
from headrace.knowledge.formats.table import table
from headrace.knowledge.formats.text import decode, name_of
from headrace.knowledge.parsed import File, Parsed
from headrace.metadata import Metadata, keywords_of, metadata_of

_BLOCKS = frozenset(
    """
    address article aside blockquote body br caption dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4
    h5 h6 header hr html li main nav ol p pre section table tbody td tfoot th thead title tr ul
    """.split()
)
_HIDDEN = frozenset({"script", "style", "noscript", "template", "head", "svg", "iframe", "object"})
_ASIDE = frozenset({"nav", "footer", "dialog"})
_HEADINGS = {f"h{n}": n for n in range(1, 7)}
_UNSEEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_INLINE = frozenset(
    "a abbr b bdi cite code em i img input kbd mark q s samp small span strong sub sup time u var br".split()
)
_LONG_LINK = 250
"""A longer address is one that counts its readers: only the words of such a link are kept."""
_CELLS = frozenset({"td", "th"})
_TO_BROWSERS = re.compile(
    r"viewport|referrer|color-scheme|theme-color|format-detection|csrf-.*|.*-verification|msapplication-.*|apple-.*"
)
_KEYWORDS = frozenset({"keywords", "news_keywords"})
_DATES = frozenset({"article:published_time", "date", "dc.date", "dcterms.date", "dcterms.created", "datepublished"})


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
        root = lxml_html.document_fromstring(text.encode(), parser=lxml_html.HTMLParser(encoding="utf-8"))
    except (ParserError, ValueError):
        return Parsed("", "", True)
    titles = [t.text_content() for t in root.iter("title")]
    mains = [e for e in root.iter() if e.tag == "main" or e.get("role") == "main"]
    page = _Page(aside=len(mains) == 1)
    page.element(mains[0] if len(mains) == 1 else root, pre=False)
    body = re.sub(r"[ \t]*\n[ \t]*", "\n", "".join(page.pieces))
    body = re.sub(r"\n{3,}", "\n\n", body).strip()
    first = headings(body)[:1]
    title = " ".join(titles[0].split()) if titles and titles[0].strip() else (first[0][2] if first else "")
    return Parsed(title, body, True, dated=_dated(root), metadata=_metadata(root))


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


class _Page:
    """Pieces of text as they come. `aside`: what is beside the page's main part is left out."""

    def __init__(self, *, aside: bool) -> None:
        self.pieces: list[str] = []
        self._aside = aside

    def element(self, element: HtmlElement, *, pre: bool) -> None:
        tag = element.tag if isinstance(element.tag, str) else ""
        if tag in _HIDDEN or not tag or _unseen(element) or (self._aside and tag in _ASIDE):
            return
        if tag == "a" and self._link(element):
            return
        if tag == "img":
            self._image(element)
            return
        if tag == "table" and (rows := _data(element)):
            self.pieces += ["\n\n", *table(rows), "\n"]
            return
        keep = pre or tag in {"pre", "textarea"}
        block = tag in _BLOCKS
        if block:
            self.pieces.append("\n" if tag in {"br", "tr", "td", "th", "li", "dt", "dd"} else "\n\n")
        if tag in _HEADINGS:
            self.pieces.append("#" * _HEADINGS[tag] + " ")
        elif tag == "li":
            self.pieces.append("- ")
        self.inside(element, keep)
        if block and tag != "br":
            self.pieces.append("\n")

    def inside(self, element: HtmlElement, keep: bool) -> None:
        self.pieces.append(_words(element.text, keep))
        for child in element:
            self.element(child, pre=keep)
            self.pieces.append(_words(child.tail, keep))

    def _link(self, element: HtmlElement) -> bool:
        """A link of words to somewhere else; another one is only its words."""
        target = (element.get("href") or "").strip()
        if not target or target.startswith(("#", "javascript:", "data:")) or len(target) > _LONG_LINK or " " in target:
            return False
        if any(isinstance(e.tag, str) and e.tag in _BLOCKS for e in element.iter()):
            return False
        inner = _Page(aside=self._aside)
        inner.inside(element, False)
        words = "".join(inner.pieces)
        if not words.strip():
            return False
        title = " ".join((element.get("title") or "").split()).replace('"', "'")
        lead = " " if words[0].isspace() else ""
        tail = " " if words[-1].isspace() else ""
        named = f' "{title}"' if title else ""
        self.pieces.append(f"{lead}[{words.strip()}]({target}{named}){tail}")
        return True

    def _image(self, element: HtmlElement) -> None:
        words = " ".join((element.get("alt") or "").split())
        source = (element.get("src") or "").strip()
        if words:
            shown = source.partition(",")[0] + "..." if source.startswith("data:") else source[:300]
            self.pieces.append(f"![{words}]({shown})")


def _data(element: HtmlElement) -> list[list[str]] | None:
    """The rows of a table that holds data and not the page's layout; None for another one."""
    rows: list[list[str]] = []
    for row in element.iter("tr"):
        cells = [c for c in row if isinstance(c.tag, str) and c.tag in _CELLS]
        rows.append([])
        for cell in cells:
            if any(isinstance(e.tag, str) and e is not cell and e.tag not in _INLINE for e in cell.iter()):
                return None
            inner = _Page(aside=False)
            inner.inside(cell, False)
            rows[-1] += ["".join(inner.pieces), *[""] * (_span(cell) - 1)]
    wide = [r for r in rows if len(r) > 1]
    return rows if len(wide) > 1 else None


def _span(cell: HtmlElement) -> int:
    text = cell.get("colspan") or "1"
    return min(int(text), 50) if text.isascii() and text.isdigit() and int(text[:4]) > 0 else 1


def _unseen(element: HtmlElement) -> bool:
    style = element.get("style")
    return element.get("hidden") is not None or (style is not None and _UNSEEN.search(style) is not None)


def _words(text: str | None, keep: bool) -> str:
    if not text:
        return ""
    return text if keep else re.sub(r"\s+", " ", text)
