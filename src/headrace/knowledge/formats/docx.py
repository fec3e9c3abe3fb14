"""Word (.docx): text with headings, lists, tables, links, notes and comments (ECMA-376 part 1, 17)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from headrace.knowledge.formats.office import chart, core
from headrace.knowledge.formats.package import Package
from headrace.knowledge.formats.table import table
from headrace.knowledge.formats.text import name_of
from headrace.knowledge.formats.xml import Element, attribute, child, local
from headrace.knowledge.parsed import Draft, File, Parsed

_HEADING = re.compile(r"(?:heading|überschrift|titre|título|titolo) ?([1-9])", re.IGNORECASE)
_SKIP = frozenset({"del", "moveFrom", "pPr", "rPr", "instrText", "delText", "Fallback", "sectPr", "tblPr", "fldData"})
_NOTES = (("footnotes", "footnote"), ("endnotes", "endnote"), ("comments", "comment"))


def parse(file: File) -> Parsed:
    package = Package(file, "a Word document")
    main = next((t for k, t in package.relations("").values() if k == "officeDocument"), "word/document.xml")
    reader = _Reader(package, main)
    draft = Draft(file)
    parts = list(reader.parts.values())
    for _, name in dict.fromkeys(p for p in parts if p[0] == "header"):
        draft.add(reader.part(name))
    body = child(package.xml(main), "body")
    for block in reader.blocks(body) if body is not None else ():
        draft.add(block + "\n\n")
    for _, name in dict.fromkeys(p for p in parts if p[0] == "footer"):
        draft.add(reader.part(name))
    for kind, each in _NOTES:
        for _, name in [p for p in parts if p[0] == kind]:
            draft.add(reader.notes(name, each))
    about = core(package)
    return draft.done(about.title or reader.title or name_of(file.path), dated=about.dated, metadata=about.metadata)


class _Reader:
    def __init__(self, package: Package, main: str) -> None:
        self._package = package
        self.parts = package.relations(main)
        self._here = self.parts  # what the part that is read refers to
        self.title = ""
        self._levels = self._styles(main)

    def _styles(self, main: str) -> dict[str, int]:
        """Style id to heading level, by outline level, name, or the style it is based on; 0 is the document's title."""
        name = next((t for k, t in self.parts.values() if k == "styles"), main.rpartition("/")[0] + "/styles.xml")
        if not self._package.has(name):
            return {}
        levels: dict[str, int] = {}
        based: dict[str, str] = {}
        for style in self._package.xml(name):
            id = attribute(style, "styleId") or ""
            named = _value(child(style, "name"))
            outline = next((_value(e) for e in style.iter() if local(e) == "outlineLvl"), "")
            based[id] = _value(child(style, "basedOn"))
            if heading := _HEADING.fullmatch(named):
                levels[id] = int(heading[1])
            elif named.lower() == "title":
                levels[id] = 0
            elif outline.isdigit() and int(outline) < 9:
                levels[id] = int(outline) + 1
        for id, parent in based.items():
            if id not in levels and parent in levels:
                levels[id] = levels[parent]
        return levels

    def part(self, name: str) -> str:
        """The text of a header or footer."""
        if not self._package.has(name):
            return ""
        self._here = self._package.relations(name)
        text = "\n\n".join(self.blocks(self._package.xml(name)))
        self._here = self.parts
        return text + "\n\n" if text else ""

    def notes(self, name: str, each: str) -> str:
        if not self._package.has(name):
            return ""
        found: list[str] = []
        self._here = self._package.relations(name)
        for note in self._package.xml(name):
            text = " ".join(b.lstrip("# ") for b in self.blocks(note)) if local(note) == each else ""
            if text:
                author = attribute(note, "author") if each == "comment" else None
                found.append(f"- {author}: {text}" if author else f"- {text}")
        self._here = self.parts
        return "\n".join(found) + "\n\n" if found else ""

    def blocks(self, parent: Element) -> Iterator[str]:
        """Paragraphs and tables in order, the empty ones left out."""
        for element in parent:
            match local(element):
                case "p":
                    if text := self._paragraph(element):
                        yield text
                case "tbl":
                    if text := "".join(table(self._rows(element))).rstrip("\n"):
                        yield text
                case "sdt" | "sdtContent" | "customXml" | "smartTag" | "ins" | "moveTo" | "altChunk":
                    yield from self.blocks(element)
                case _:
                    pass

    def _paragraph(self, element: Element) -> str:
        pieces: list[str] = []
        boxes: list[str] = []
        self._runs(element, pieces, boxes)
        text = "".join(pieces).strip()
        properties = child(element, "pPr")
        style = _value(child(properties, "pStyle")) if properties is not None else ""
        level = self._levels.get(style)
        outline = _value(child(properties, "outlineLvl")) if properties is not None else ""
        if level is None and outline.isdigit() and int(outline) < 9:
            level = int(outline) + 1
        if text and level is not None:
            text = " ".join(text.split())
            self.title = self.title or text
            text = "#" * min(max(level, 1), 6) + " " + text
        elif text and properties is not None and (numbering := child(properties, "numPr")) is not None:
            depth = _value(child(numbering, "ilvl"))
            text = "  " * (int(depth) if depth.isdigit() else 0) + "- " + text
        return "\n\n".join(p for p in [text, *boxes] if p)

    def _runs(self, element: Element, pieces: list[str], boxes: list[str]) -> None:
        for each in element:
            match local(each):
                case "t":
                    pieces.append(each.text or "")
                case "tab" | "ptab":
                    pieces.append("\t")
                case "br" | "cr":
                    pieces.append("\n")
                case "noBreakHyphen":
                    pieces.append("-")
                case "hyperlink":
                    self._link(each, pieces, boxes)
                case "drawing" | "pict" | "object":
                    self._drawing(each, pieces, boxes)
                case name if name in _SKIP:
                    pass
                case _:
                    self._runs(each, pieces, boxes)

    def _link(self, element: Element, pieces: list[str], boxes: list[str]) -> None:
        inner: list[str] = []
        self._runs(element, inner, boxes)
        text = "".join(inner)
        kind, target = self._here.get(attribute(element, "id") or "", ("", ""))
        plain = kind != "hyperlink" or not text.strip() or text.strip() == target
        pieces.append(text if plain else f"[{text}]({target})")

    def _drawing(self, element: Element, pieces: list[str], boxes: list[str]) -> None:
        """A picture by its description, a chart by its values, a text box by its text."""
        described = next((attribute(e, "descr") or "" for e in element.iter() if local(e) == "docPr"), "")
        for each in element.iter():
            match local(each):
                case "blip" | "imagedata":
                    _, target = self._here.get(attribute(each, "embed") or attribute(each, "id") or "", ("", ""))
                    if target:
                        kind = target.rpartition(".")[2].lower().replace("jpg", "jpeg")
                        pieces.append(f"![{' '.join(described.split())}](data:image/{kind};base64...)")
                case "chart":
                    kind, target = self._here.get(attribute(each, "id") or "", ("", ""))
                    if kind == "chart" and self._package.has(target):
                        boxes.append(chart(self._package.xml(target)).strip())
                case "txbxContent" if not _in_fallback(each):
                    boxes.append("\n\n".join(self.blocks(each)))
                case _:
                    pass

    def _rows(self, element: Element) -> Iterator[list[str]]:
        for row in _inside(element, "tr"):
            cells: list[str] = []
            for cell in _inside(row, "tc"):
                properties = child(cell, "tcPr")
                span = _value(child(properties, "gridSpan")) if properties is not None else ""
                merged = child(properties, "vMerge") if properties is not None else None
                goes_on = merged is not None and _value(merged) in ("", "continue")
                cells.append("" if goes_on else " ".join(self.blocks(cell)))
                cells += [""] * (min(int(span), 64) - 1 if span.isdigit() else 0)
            yield cells


def _inside(element: Element, name: str) -> Iterator[Element]:
    """Rows or cells, those in content controls too."""
    for each in element:
        if local(each) == name:
            yield each
        elif local(each) in ("sdt", "sdtContent", "customXml", "ins"):
            yield from _inside(each, name)


def _in_fallback(element: Element) -> bool:
    """Text boxes stand twice: once for older programs."""
    above = element.getparent()
    while above is not None:
        if local(above) == "Fallback":
            return True
        above = above.getparent()
    return False


def _value(element: Element | None) -> str:
    return (attribute(element, "val") or "") if element is not None else ""
