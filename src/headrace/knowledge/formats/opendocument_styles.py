"""What an OpenDocument file's styles say about its text: outline levels, hidden text, labels of lists (OpenDocument
1.3 part 3, 16 and 19)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from headrace.knowledge.formats.xml import Element

_OASIS = "urn:oasis:names:tc:opendocument:xmlns:"
_NAMES = {
    "office": _OASIS + "office:1.0",
    "meta": _OASIS + "meta:1.0",
    "style": _OASIS + "style:1.0",
    "text": _OASIS + "text:1.0",
    "table": _OASIS + "table:1.0",
    "draw": _OASIS + "drawing:1.0",
    "presentation": _OASIS + "presentation:1.0",
    "chart": _OASIS + "chart:1.0",
    "svg": _OASIS + "svg-compatible:1.0",
    "manifest": _OASIS + "manifest:1.0",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xlink": "http://www.w3.org/1999/xlink",
    "xml": "http://www.w3.org/XML/1998/namespace",
    "math": "http://www.w3.org/1998/Math/MathML",
}
_PREFIXES = {uri: prefix for prefix, uri in _NAMES.items()}
_PARENTS = 20
"""Styles that one is based on, one on the other: more are not asked, so that a ring of them ends."""
_Chain = Iterable[tuple[str, Element | None]]
_CODE = "Preformatted_20_Text"


@lru_cache(maxsize=1024)
def _short(tag: str) -> str:
    uri, _, name = tag.rpartition("}")
    return f"{_PREFIXES.get(uri[1:], '')}:{name}"


@lru_cache(maxsize=256)
def _full(name: str) -> str:
    prefix, _, rest = name.partition(":")
    return f"{{{_NAMES[prefix]}}}{rest}"


def named(element: Element) -> str:
    """An element's name with the prefix that the specification uses, whatever the file calls it: `text:p`."""
    tag = element.tag
    return _short(tag) if isinstance(tag, str) else ""


def said(element: Element, name: str) -> str:
    """An attribute by such a name; empty without it."""
    return element.get(_full(name)) or ""


def number(element: Element, name: str, otherwise: int) -> int:
    """An attribute that is a whole number from 0; `otherwise` without it, and for what is none."""
    text = said(element, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else otherwise


def part(root: Element | None, name: str) -> Iterable[Element]:
    """What stands in a named child of a root; nothing without one."""
    found = next((e for e in root if named(e) == name), None) if root is not None else None
    return found if found is not None else ()


@dataclass(frozen=True, slots=True)
class Label:
    """How one level of a list is numbered. `shown`: of how many levels the numbers stand in it."""

    kind: str
    before: str
    after: str
    start: int
    shown: int


@dataclass(frozen=True, slots=True)
class Style:
    """What a style says with those that it is based on. `level`: of a heading, 0 is the document's title. `code`: it is
    the one that programs have for text whose blanks count."""

    level: int | None
    code: bool
    hidden: bool


class Styles:
    """The styles of one part: the document's own and those that its program made for this part alone."""

    def __init__(self, common: Element | None, automatic: Element | None) -> None:
        self._styles: dict[tuple[str, str], Element] = {}
        self._lists: dict[str, dict[int, Label]] = {}
        self._known: dict[tuple[str, str], Style] = {}
        for each in (*part(common, "office:styles"), *part(automatic, "office:automatic-styles")):
            if named(each) == "style:style":
                self._styles[said(each, "style:family"), said(each, "style:name")] = each
            elif named(each) == "text:list-style":
                self._lists[said(each, "style:name")] = _labels(each)

    def of(self, family: str, name: str) -> Style:
        found = self._known.get((family, name))
        if found is None:
            chain = list(self._chain(family, name))
            found = Style(_level(chain), any(own == _CODE for own, _ in chain), _is_hidden(chain))
            self._known[family, name] = found
        return found

    def label(self, name: str, level: int) -> Label | None:
        """How a list of this style numbers its items at a level, from 0; None where it does not."""
        return self._lists.get(name, {}).get(level)

    def _chain(self, family: str, name: str) -> _Chain:
        """A style and those that it is based on; programs' own ones may be named without standing in the file."""
        for _ in range(_PARENTS):
            style = self._styles.get((family, name))
            if name:
                yield name, style
            if style is None:
                return
            name = said(style, "style:parent-style-name")


def _level(chain: _Chain) -> int | None:
    for own, style in chain:
        if own in ("Title", "Subtitle"):
            return 0 if own == "Title" else None
        if style is not None and style.get(_full("style:default-outline-level")) is not None:
            return number(style, "style:default-outline-level", 0) or None
    return None


def _is_hidden(chain: _Chain) -> bool:
    for _, style in chain:
        for properties in style if style is not None else ():
            if shown := said(properties, "text:display"):
                return shown == "none"
    return False


def _labels(style: Element) -> dict[int, Label]:
    found: dict[int, Label] = {}
    for each in style:
        kind = said(each, "style:num-format")
        if named(each) == "text:list-level-style-number" and kind:
            before, after = (said(each, f"style:num-{n}").strip()[:20] for n in ("prefix", "suffix"))
            start, shown = number(each, "text:start-value", 1), number(each, "text:display-levels", 1)
            found[number(each, "text:level", 1) - 1] = Label(kind, before, after, start, shown)
    return found
