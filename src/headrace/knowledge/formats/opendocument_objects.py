"""What an OpenDocument frame holds beside text: pictures, charts and formulas (OpenDocument 1.3 part 3, 10.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from headrace.knowledge.formats.opendocument_styles import named, said
from headrace.knowledge.formats.opendocument_table import Repeats, rows
from headrace.knowledge.formats.package import Package, resolved
from headrace.knowledge.formats.table import table
from headrace.knowledge.formats.xml import Element, words

_TOKENS = frozenset({"math:mi", "math:mn", "math:mo", "math:mtext", "math:ms"})


_DRAWN = ("draw:image", "draw:object", "draw:object-ole", "draw:plugin")


class Cells(Protocol):
    def cell(self, element: Element) -> str: ...


def picture(frame: Element) -> str:
    """A picture, or what is drawn by another program, by its description."""
    held = {named(e): e for e in frame}
    described = words(held.get("svg:desc")) or words(held.get("svg:title"))
    image = next((held[n] for n in _DRAWN if n in held), None)
    if not described or image is None:
        return ""
    kind = said(image, "draw:mime-type").rpartition("/")[2] or said(image, "xlink:href").rpartition(".")[2].lower()
    kind = kind.replace("jpg", "jpeg") if kind.isalnum() else "png"
    return f"![{described}](data:image/{kind};base64...)"


class Objects:
    """Objects by their frames; `package`: where they stand, if not in the frame itself."""

    def __init__(self, package: Package | None) -> None:
        self._package = package
        self._inside = False  # one object in another is not read, which may be the same

    def read(self, frame: Element, reader: Cells) -> tuple[str, Iterable[str]]:
        """A formula's text; a chart's title and the values it was drawn from."""
        object = next((e for e in frame if named(e) == "draw:object"), None)
        if object is None or self._inside:
            return "", ()
        root = self._root(object)
        if root is None:
            return "", ()
        self._inside = True
        formula = _formula(root)
        blocks = list(_chart(root, reader))
        self._inside = False
        return formula, blocks

    def _root(self, object: Element) -> Element | None:
        if (held := next(iter(object), None)) is not None:
            return held
        name = resolved("", said(object, "xlink:href")) + "/content.xml"
        return self._package.xml(name) if self._package is not None and self._package.has(name) else None


def _formula(root: Element) -> str:
    """As it was typed, where the program keeps that; else its letters one by one."""
    typed = next((words(e) for e in root.iter() if named(e) == "math:annotation"), "")
    return typed or "".join(" ".join((e.text or "").split()) for e in root.iter() if named(e) in _TOKENS)


def _chart(root: Element, reader: Cells) -> Iterator[str]:
    for chart in (e for e in root.iter() if named(e) == "chart:chart"):
        for each in chart:
            if named(each) == "chart:title" and (title := reader.cell(each)):
                yield title
            elif named(each) == "table:table":
                yield "".join(table(rows(each, reader.cell, Repeats()))).rstrip("\n")
