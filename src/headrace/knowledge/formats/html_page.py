"""A page's elements one after the other, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lxml.html import HtmlElement

from headrace.knowledge.formats.html_code import code, formula, language
from headrace.knowledge.formats.html_lines import Lines
from headrace.knowledge.formats.html_lists import Numbers
from headrace.knowledge.formats.html_seen import BLOCKS, HEADINGS, holding, left_out, tag_of
from headrace.knowledge.formats.html_tables import grid
from headrace.knowledge.formats.table import table

_LONG_LINK = 250
"""A longer address is one that counts its readers: only the words of such a link are kept."""
_CODE = frozenset({"pre", "textarea", "listing", "xmp"})
_LISTS = frozenset({"ul", "ol", "menu", "dir"})
_LINES = frozenset({"dd", "option", "summary", "legend"})
_APART = frozenset({"p", "dl", "figure", "section", "article", "table"})
_AROUND = {"q": ("“", "”"), "rt": ("(", ")")}
_MATH = {"mfrac": "/", "msup": "^", "msub": "_"}
_Leave = Callable[[], object]


class Page:
    """`aside`: what is beside the page's main part is left out."""

    def __init__(self, root: HtmlElement, *, aside: bool) -> None:
        self._aside = aside
        self._blocks = holding(root, BLOCKS - {"br"})
        self._headed = holding(root, frozenset(HEADINGS))
        self._tabled = holding(root, frozenset({"table"}))
        self._lists: list[Numbers | None] = []
        self._linked = False
        self._pictured = ""

    def read(self, root: HtmlElement, out: Lines) -> None:
        """What is inside an element. Without recursion: pages may be nested deeper than Python's stack."""
        out.words(root.text)
        above: list[tuple[HtmlElement, Iterator[HtmlElement], _Leave]] = [(root, iter(root), _nothing)]
        while above:
            element, children, leave = above[-1]
            child = next(children, None)
            if child is None:
                above.pop()
                leave()
                out.words(element.tail if above else None)
                continue
            if element.tag in _MATH and child is not next(iter(element)):
                out.words(_MATH[tag_of(element)])
            ends = self._enter(child, out)
            out.words(child.text if ends else child.tail)
            if ends:
                above.append((child, iter(child), ends))

    def _enter(self, element: HtmlElement, out: Lines) -> _Leave | None:
        """Writes what stands before an element's words. What is to be done behind them; None where there is no more to
        be read of it."""
        tag = tag_of(element)
        if not tag or left_out(element, tag, aside=self._aside) or self._whole(element, tag, out):
            return None
        if tag == "a":
            return self._link(element, out)
        if tag in HEADINGS:
            return self._heading(element, HEADINGS[tag], out)
        if tag in _LISTS:
            return self._list(element, out)
        if tag == "li":
            return self._item(element, out)
        if tag == "blockquote":
            return self._quotation(element, out)
        if tag in _AROUND and element not in self._blocks:
            before, behind = _AROUND[tag]
            out.open(before)
            return lambda: out.close(behind)
        if tag not in BLOCKS:
            return _nothing
        if tag in _LINES:
            out.line(tight=True)
        else:
            out.block()
        return out.block if tag in _APART else out.line

    def _whole(self, element: HtmlElement, tag: str, out: Lines) -> bool:
        """Whether an element is one that is read at once."""
        if tag == "br":
            out.line_break()
        elif tag == "img":
            self._image(element, out)
        elif tag in _CODE:
            out.code(code(element), language(element))
        elif tag == "math" and (words := formula(element)):
            out.words(words)
        elif tag == "figcaption" and self._pictured:
            words, self._pictured = self._pictured, ""
            return " ".join(element.text_content().split()) == words
        else:
            return tag == "table" and self._table(element, out)
        return True

    def _link(self, element: HtmlElement, out: Lines) -> _Leave:
        """A link of words to somewhere else; another one is only its words."""
        target = (element.get("href") or "").strip()
        if not target or target.startswith(("#", "javascript:", "data:")) or len(target) > _LONG_LINK or " " in target:
            return _nothing
        if element in self._blocks or self._linked:
            return _nothing
        title = " ".join((element.get("title") or "").split()).replace('"', "'")
        named = f' "{title}"' if title else ""
        flat, out.flat, self._linked = out.flat, True, True
        out.open("[")

        def leave() -> None:
            out.close(f"]({target}{named})")
            out.flat, self._linked = flat, False

        return leave

    def _heading(self, element: HtmlElement, level: int, out: Lines) -> _Leave:
        """In one line, unless it was never closed and holds what comes behind it."""
        out.block()
        if out.flat:
            return out.block
        out.flat = element not in self._blocks
        out.open("#" * level + " ")

        def leave() -> None:
            out.close("")
            out.flat = False
            out.block()

        return leave

    def _list(self, element: HtmlElement, out: Lines) -> _Leave:
        above = element.getparent()
        deeper = above is not None and above.tag in _LISTS and element not in self._headed
        apart = out.line if self._lists else out.block
        apart()
        if deeper:
            out.push("  ")
        self._lists.append(Numbers(element) if element.tag == "ol" else None)

        def leave() -> None:
            self._lists.pop()
            if deeper:
                out.pop()
            apart()

        return leave

    def _item(self, element: HtmlElement, out: Lines) -> _Leave:
        """An item with headings inside is a part of the page, and has no mark that would hide them."""
        numbers = self._lists[-1] if self._lists else None
        mark = numbers.mark(element) if numbers else ""
        if out.flat:
            out.glue(";")
            out.open(mark)
            return lambda: out.close("")
        if element in self._headed:
            out.block()
            return out.line
        out.line(tight=True)
        out.push("  ", mark or "- ")

        def leave() -> None:
            out.pop()
            out.line()

        return leave

    def _quotation(self, element: HtmlElement, out: Lines) -> _Leave:
        out.block()
        if out.flat or element in self._headed:
            return out.block
        out.push("> ")

        def leave() -> None:
            out.pop()
            out.block()

        return leave

    def _image(self, element: HtmlElement, out: Lines) -> None:
        words = " ".join((element.get("alt") or "").split())
        source = (element.get("src") or "").strip()
        if words:
            shown = source.partition(",")[0] + "..." if source.startswith("data:") else source[:300]
            out.words(f"![{words}]({shown})")
        self._pictured = words

    def _table(self, element: HtmlElement, out: Lines) -> bool:
        """Whether it holds data, and is written as such under its caption."""
        if out.flat or element in self._tabled or element in self._headed:
            return False
        rows = grid(element, self._cell)
        if rows is None:
            return False
        for caption in (c for c in element if c.tag == "caption" and not left_out(c, "caption", aside=self._aside)):
            out.block()
            self.read(caption, out)
        if lines := "".join(table(rows)).rstrip("\n"):
            out.verbatim(lines.split("\n"))
        return True

    def _cell(self, element: HtmlElement) -> str:
        outside, self._lists = self._lists, []
        inner = Lines(flat=True)
        self.read(element, inner)
        self._lists = outside
        return inner.text


def _nothing() -> None:
    pass
