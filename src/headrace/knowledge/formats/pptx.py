"""PowerPoint (.pptx): slides in order, with tables, charts, pictures' descriptions and notes (ECMA-376 part 1, 19)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from headrace.knowledge.formats.office import chart, core, paragraphs, words_of
from headrace.knowledge.formats.package import Package
from headrace.knowledge.formats.table import table
from headrace.knowledge.formats.text import name_of
from headrace.knowledge.formats.xml import Element, attribute, local
from headrace.knowledge.parsed import Draft, File, Parsed
from headrace.place import Place

_TITLES = ("title", "ctrTitle")
_UNTOLD = ("sldNum", "dt", "ftr")  # placeholders that stand on every slide

Relations = Mapping[str, tuple[str, str]]


def parse(file: File) -> Parsed:
    package = Package(file, "a PowerPoint presentation")
    main = next((t for k, t in package.relations("").values() if k == "officeDocument"), "ppt/presentation.xml")
    relations = package.relations(main)
    draft = Draft(file)
    first = ""
    wanted = [_relation(e) for e in package.xml(main).iter() if local(e) == "sldId"]
    for number, name in enumerate((relations[id][1] for id in wanted if id in relations), 1):
        file.page()
        if not package.has(name):
            continue
        draft.begin(Place(slide=number))
        title, text = _slide(package, name)
        first = first or title
        draft.add(f"# {title or f'Slide {number}'}\n\n{text}{_notes(package, name)}")
    about = core(package)
    plain = about.title if about.title.lower() not in ("", "powerpoint presentation") else ""
    return draft.done(plain or first or name_of(file.path), dated=about.dated, metadata=about.metadata)


def _relation(element: Element) -> str:
    """The relation's id: a slide has a number named `id` of its own too."""
    return next((v for k, v in element.attrib.items() if k.endswith("}id")), "")


def _slide(package: Package, name: str) -> tuple[str, str]:
    relations = package.relations(name)
    root = package.xml(name)
    tree = next((e for e in root.iter() if local(e) == "spTree"), root)
    title = ""
    blocks: list[str] = []
    for shape in _shapes(tree):
        if local(shape) == "sp" and not title and _placeholder(shape) in _TITLES:
            title = " ".join(words_of(shape).split())
        elif block := _block(package, relations, shape):
            blocks.append(block)
    return title, "".join(b.strip("\n") + "\n\n" for b in blocks)


def _shapes(tree: Element) -> Iterator[Element]:
    """Shapes in drawing order, those in groups in their place."""
    for element in tree:
        if local(element) in ("grpSp", "AlternateContent", "Choice"):
            yield from _shapes(element)
        elif local(element) in ("sp", "pic", "graphicFrame", "cxnSp"):
            yield element


def _block(package: Package, relations: Relations, shape: Element) -> str:
    match local(shape):
        case "pic":
            return _picture(relations, shape)
        case "graphicFrame":
            return _frame(package, relations, shape)
        case _:
            if _placeholder(shape) in _UNTOLD:
                return ""
            lines = [p for p in paragraphs(shape) if p]
            return "\n".join(lines)


def _placeholder(shape: Element) -> str | None:
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


def _notes(package: Package, slide: str) -> str:
    for kind, target in package.relations(slide).values():
        if kind == "notesSlide" and package.has(target):
            tree = package.xml(target)
            body = [s for s in tree.iter() if local(s) == "sp" and _placeholder(s) == "body"]
            text = "\n".join(words_of(s) for s in body).strip()
            return f"### Notes\n\n{text}\n\n" if text else ""
    return ""
