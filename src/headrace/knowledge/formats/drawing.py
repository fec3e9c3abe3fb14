"""Shapes of Office's drawings, on slides and on sheets: text, tables, charts, pictures (ECMA-376 part 1, 20 and 21)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from headrace.knowledge.formats.office import chart, paragraphs, words_of
from headrace.knowledge.formats.package import Package
from headrace.knowledge.formats.table import table
from headrace.knowledge.formats.xml import Element, attribute, local

Relations = Mapping[str, tuple[str, str]]
_UNTOLD = ("sldNum", "dt", "ftr")  # placeholders that stand on every slide


def shapes(tree: Element) -> Iterator[Element]:
    """Shapes in drawing order, those in groups in their place."""
    for element in tree:
        if local(element) in ("grpSp", "AlternateContent", "Choice"):
            yield from shapes(element)
        elif local(element) in ("sp", "pic", "graphicFrame", "cxnSp"):
            yield element


def block(package: Package, relations: Relations, shape: Element) -> str:
    """What a shape shows, as Markdown. `relations`: of the part that it stands in."""
    match local(shape):
        case "pic":
            return _picture(relations, shape)
        case "graphicFrame":
            return _frame(package, relations, shape)
        case _:
            if placeholder(shape) in _UNTOLD:
                return ""
            lines = [p for p in paragraphs(shape) if p]
            return "\n".join(lines)


def placeholder(shape: Element) -> str | None:
    """What a shape on a slide holds the place of, such as `title`."""
    mark = next((e for e in shape.iter() if local(e) == "ph"), None)
    return None if mark is None else (attribute(mark, "type") or "body")


def _picture(relations: Relations, shape: Element) -> str:
    about = next((e for e in shape.iter() if local(e) == "cNvPr"), None)
    blip = next((e for e in shape.iter() if local(e) == "blip"), None)
    if about is None:
        return ""
    described = " ".join((attribute(about, "descr") or "").split())
    name = re.sub(r"\W", "", attribute(about, "name") or "") or "picture"
    _, target = relations.get((attribute(blip, "embed") or "") if blip is not None else "", ("", ""))
    return f"![{described}]({name}.{target.rpartition('.')[2] or 'png'})" if described else ""


def _frame(package: Package, relations: Relations, shape: Element) -> str:
    for element in shape.iter():
        if local(element) == "tbl":
            return "".join(table(_rows(element)))
        if local(element) == "chart":
            kind, target = relations.get(attribute(element, "id") or "", ("", ""))
            return chart(package.xml(target)) if kind == "chart" and package.has(target) else ""
        if local(element) == "relIds":  # SmartArt: its words stand in a part of their own
            _, target = relations.get(attribute(element, "dm") or "", ("", ""))
            return words_of(package.xml(target)) if package.has(target) else ""
    return ""


def _rows(element: Element) -> Iterator[list[str]]:
    for row in element:
        if local(row) == "tr":
            yield [words_of(cell) for cell in row if local(cell) == "tc"]
