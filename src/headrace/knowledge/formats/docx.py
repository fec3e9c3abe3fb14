"""Word (.docx): text with headings, lists, tables, links, notes and comments (ECMA-376 part 1, 17)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from headrace.knowledge.formats.docx_numbering import BULLET, Numbering, value
from headrace.knowledge.formats.office import chart, core
from headrace.knowledge.formats.package import Package
from headrace.knowledge.formats.table import table
from headrace.knowledge.formats.text import name_of
from headrace.knowledge.formats.word_styles import level_of
from headrace.knowledge.formats.xml import Element, attribute, child, local
from headrace.knowledge.parsed import Draft, File, Parsed

_LIKE_HEADING = re.compile(r"^(?=#{1,6}[ \t])", re.MULTILINE)
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
        self._listed: dict[str, tuple[str, str]] = {}  # style id to the id of its list, and its level there
        self._numbering = Numbering(package, self._part("numbering", main))
        self._levels = self._styles(self._part("styles", main))

    def _part(self, kind: str, main: str) -> str:
        return next((t for k, t in self.parts.values() if k == kind), f"{main.rpartition('/')[0]}/{kind}.xml")

    def _styles(self, name: str) -> dict[str, int]:
        """Style id to heading level, by outline level, name, or the style it is based on; 0 is the document's title."""
        if not self._package.has(name):
            return {}
        levels: dict[str, int] = {}
        based: dict[str, str] = {}
        for style in self._package.xml(name):
            id = attribute(style, "styleId") or ""
            named = value(child(style, "name"))
            outline = next((value(e) for e in style.iter() if local(e) == "outlineLvl"), "")
            based[id] = value(child(style, "basedOn"))
            if (level := level_of(named)) is not None:
                levels[id] = level
            elif outline.isdigit() and int(outline) < 9:
                levels[id] = int(outline) + 1
            if (numbered := next((e for e in style.iter() if local(e) == "numPr"), None)) is not None:
                self._listed[id] = value(child(numbered, "numId")), value(child(numbered, "ilvl"))
        for id, parent in based.items():
            if id not in levels and parent in levels:
                levels[id] = levels[parent]
            if id not in self._listed and parent in self._listed:
                self._listed[id] = self._listed[parent]
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

    def blocks(self, parent: Element, *, in_cell: bool = False) -> Iterator[str]:
        """Paragraphs and tables in order, the empty ones left out. `in_cell`: a table is its words."""
        for element in parent:
            match local(element):
                case "p":
                    if text := self._paragraph(element):
                        yield text
                case "tbl" if in_cell:
                    yield "; ".join(" ".join(filter(None, row)) for row in self._rows(element))
                case "tbl":
                    if text := "".join(table(self._rows(element))).rstrip("\n"):
                        yield text
                case "sdt" | "sdtContent" | "customXml" | "smartTag" | "ins" | "moveTo" | "altChunk":
                    yield from self.blocks(element, in_cell=in_cell)
                case _:
                    pass

    def _paragraph(self, element: Element) -> str:
        pieces: list[str] = []
        boxes: list[str] = []
        self._runs(element, pieces, boxes)
        text = "".join(pieces).strip()
        properties = child(element, "pPr")
        style = value(child(properties, "pStyle")) if properties is not None else ""
        level = self._levels.get(style)
        outline = value(child(properties, "outlineLvl")) if properties is not None else ""
        if level is None and outline.isdigit() and int(outline) < 9:
            level = int(outline) + 1
        depth, mark = self._mark(properties, style) if text else (0, "")
        if text and level is not None:
            text = " ".join(text.split())
            self.title = self.title or text
            numbered = f"{mark} {text}" if mark.strip(BULLET) else text
            text = "#" * min(max(level, 1), 6) + " " + numbered
        elif mark:
            text = "  " * depth + mark + (". " if mark[-1].isalnum() else " ") + text
        else:
            text = _LIKE_HEADING.sub(r"\\", text)
        return "\n\n".join(p for p in [text, *boxes] if p)

    def _mark(self, properties: Element | None, style: str) -> tuple[int, str]:
        """How deep in a list a paragraph stands, and the list's mark."""
        own = child(properties, "numPr") if properties is not None else None
        list_id, said = self._listed.get(style, ("", ""))
        if own is not None:
            list_id, said = value(child(own, "numId")) or list_id, value(child(own, "ilvl"))
        if (own is None and not list_id) or list_id == "0":  # 0 takes a style's list away
            return 0, ""
        level = int(said) if said.isdigit() and len(said) < 3 else self._numbering.level_of(list_id, style)
        return level, self._numbering.mark(list_id, level)

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
                span = value(child(properties, "gridSpan")) if properties is not None else ""
                merged = child(properties, "vMerge") if properties is not None else None
                goes_on = merged is not None and value(merged) in ("", "continue")
                cells.append("" if goes_on else " ".join(self.blocks(cell, in_cell=True)))
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
