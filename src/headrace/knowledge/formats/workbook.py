"""What a workbook (.xlsx) says of its sheets beside their values: how numbers are shown, comments, charts, text boxes.

ECMA-376 part 1, 18; comments in threads: [MS-XLSX] 2.6.205.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat

from headrace.knowledge.formats import number_format
from headrace.knowledge.formats.drawing import block, shapes
from headrace.knowledge.formats.package import Package
from headrace.knowledge.formats.xml import Element, attribute, child, words

Codes = Mapping[int, str]
"""Of one row: the code of its numbers' format by column, from 0."""
PLAIN: Codes = {}
_CELL = re.compile(r"([A-Z]{1,3})[0-9]{1,7}")
_IN_A_THREAD = "tc="
"""How the author of a comment's copy for old programs is called."""


class Workbook:
    """An opened .xlsx; of other packages there is nothing to tell."""

    def __init__(self, package: Package) -> None:
        self._package = package
        main = next((t for k, t in package.relations("").values() if k == "officeDocument"), "")
        self._parts: dict[str, str] = {}
        self._codes: Sequence[str] = ()
        self._people: Mapping[str, str] = {}
        if not main.endswith(".xml") or not package.has(main):
            return
        relations = package.relations(main)
        for sheet in package.xml(main).iter("{*}sheet"):
            _, part = relations.get(attribute(sheet, "id") or "", ("", ""))
            self._parts[sheet.get("name", "")] = part
        for kind, part in relations.values():
            if kind == "styles" and package.has(part):
                self._codes = _codes(package.xml(part))
            elif kind == "person" and package.has(part):
                self._people = {e.get("id", ""): e.get("displayName", "") for e in package.xml(part)}

    def formats(self, sheet: str) -> Iterator[Codes]:
        """Row after row from the first, as far as there are any."""
        part = self._parts.get(sheet, "")
        if not any(self._codes) or not self._package.has(part):
            return
        at = 0
        for row in self._package.elements(part, "row"):
            number = _whole(row.get("r"), at + 1) - 1
            if number < at:
                continue
            yield from repeat(PLAIN, number - at)
            yield self._row(row)
            at = number + 1

    def beside(self, sheet: str) -> Iterator[str]:
        """Charts and text boxes, and comments, each as a block."""
        part = self._parts.get(sheet, "")
        of_kind: dict[str, list[str]] = {}
        for kind, target in self._package.relations(part).values() if self._package.has(part) else ():
            if self._package.has(target):
                of_kind.setdefault(kind, []).append(target)
        for drawing in of_kind.get("drawing", ()):
            yield from self._drawn(drawing)
        threads = [c for p in of_kind.get("threadedComment", ()) for c in self._thread(p)]
        notes = [c for p in of_kind.get("comments", ()) for c in _notes(self._package.xml(p))]
        if comments := notes + threads:
            yield "Comments:\n\n" + "\n".join(f"- {comment}" for comment in comments)

    def _row(self, row: Element) -> Codes:
        found: dict[int, str] = {}
        column = -1
        for cell in row.iterchildren("{*}c"):
            place = cell.get("r")
            column = column + 1 if place is None else _column(place, column + 1)
            style = _whole(cell.get("s"), 0)
            if style < len(self._codes) and self._codes[style]:
                found[column] = self._codes[style]
        return found

    def _drawn(self, part: str) -> Iterator[str]:
        relations = self._package.relations(part)
        for anchor in self._package.xml(part):
            for shape in shapes(anchor):
                if text := block(self._package, relations, shape).strip():
                    yield text

    def _thread(self, part: str) -> Iterator[str]:
        for comment in self._package.xml(part):
            author = self._people.get(comment.get("personId", ""), "")
            if text := words(child(comment, "text")):
                yield _comment(comment.get("ref", ""), author, text)


def _codes(styles: Element) -> list[str]:
    """The code of each cell format's numbers; "" where numbers are shown plainly, or as times."""
    named = dict(number_format.BUILT_IN)
    for each in styles.iter("{*}numFmt"):
        named[_whole(each.get("numFmtId"), -1)] = each.get("formatCode", "")
    formats = child(styles, "cellXfs")
    ids = [_whole(each.get("numFmtId"), 0) for each in formats] if formats is not None else []
    return [code if number_format.is_followed(code) else "" for code in (named.get(id, "") for id in ids)]


def _notes(root: Element) -> Iterator[str]:
    """Comments in the form that every program knows, but for the copies of those in threads."""
    listed = child(root, "authors")
    authors = [words(author) for author in listed] if listed is not None else []
    for comment in root.iter("{*}comment"):
        number = _whole(comment.get("authorId"), -1)
        author = authors[number] if 0 <= number < len(authors) else ""
        text = words(child(comment, "text"))
        if text and not author.startswith(_IN_A_THREAD):
            yield _comment(comment.get("ref", ""), author, text)


def _comment(cell: str, author: str, text: str) -> str:
    """Programs put the author's name before what is written, in the text itself."""
    who = "" if text.startswith(f"{author}:") else author
    told = ", ".join(filter(None, (cell, who)))
    return f"{told}: {text}" if told else text


def _column(place: str, otherwise: int) -> int:
    """The number of a cell's column from 0, such as 27 for AB12."""
    match = _CELL.fullmatch(place)
    if not match:
        return otherwise
    number = 0
    for letter in match[1]:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 9 else otherwise
