"""OpenDocument spreadsheets (.ods, .ots): each sheet a table under its name, numbers as the cells show them, and behind
it charts, text boxes and comments (OpenDocument 1.3 part 3, 9)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, takewhile

from headrace.knowledge.formats import number_format
from headrace.knowledge.formats.opendocument import opened
from headrace.knowledge.formats.opendocument_meta import about
from headrace.knowledge.formats.opendocument_objects import Objects
from headrace.knowledge.formats.opendocument_styles import Styles, named, number, said
from headrace.knowledge.formats.opendocument_table import Repeats, rows
from headrace.knowledge.formats.opendocument_text import Reader
from headrace.knowledge.formats.package import Package
from headrace.knowledge.formats.table import table
from headrace.knowledge.formats.text import name_of
from headrace.knowledge.formats.xml import Element, words
from headrace.knowledge.parsed import Draft, File, Parsed
from headrace.place import Place

_CONTENT, _STYLES, _META = "content.xml", "styles.xml", "meta.xml"
_GROUPS = frozenset({"table:table-rows", "table:table-header-rows", "table:table-row-group"})
_COMMENT = "office:annotation"


def parse(file: File) -> Parsed:
    package = opened(file, "an OpenDocument spreadsheet")
    styles, meta = (package.xml(n) if package.has(n) else None for n in (_STYLES, _META))
    draft, repeats, reader = Draft(file), Repeats(), None
    for sheet, found in groupby(_rows(package), lambda pair: pair[0]):
        file.page()
        reader = reader or Reader(file, Styles(styles, _root(sheet)), Objects(package))
        _Sheet(sheet, reader, repeats).write(draft, (row for _, row in found))
    told = about(meta)
    return draft.done(told.title or name_of(file.path), dated=told.dated, metadata=told.metadata)


def _rows(package: Package) -> Iterator[tuple[Element, Element]]:
    """The rows of the sheets, each with its sheet, which has lost those before."""
    for row in package.elements(_CONTENT, "table-row"):
        above = row.getparent()
        while above is not None and named(above) in _GROUPS:
            above = above.getparent()
        if above is None or named(above) != "table:table":
            continue
        body = above.getparent()
        if body is not None and named(body) == "office:spreadsheet":
            yield above, row


def _root(element: Element) -> Element:
    while (above := element.getparent()) is not None:
        element = above
    return element


class _Sheet:
    """One sheet, to be made when its first row is read: what is drawn on it stands before that."""

    def __init__(self, sheet: Element, reader: Reader, repeats: Repeats) -> None:
        self._name = said(sheet, "table:name")
        self._reader = reader
        self._repeats = repeats
        self._at = 0
        self._comments: list[str] = []
        shapes = [e for e in sheet if named(e) == "table:shapes"]
        self._drawn = [block for shape in shapes for block in reader.blocks(shape)]

    def write(self, draft: Draft, found: Iterable[Element]) -> None:
        draft.begin(Place(sheet=self._name))
        draft.add(f"## {self._name}\n\n")
        for line in table(_from_first([cells for row in found for cells in self._cells(row)])):
            draft.add(line)
        draft.add("\n")
        comments = ["Comments:\n\n" + "\n".join(self._comments)] if self._comments else []
        for block in (*self._drawn, *comments):
            draft.add(block + "\n\n")
        draft.add(self._reader.notes())

    def _cells(self, row: Element) -> Iterator[list[str]]:
        yield from rows([row], self._text, self._repeats)
        self._at += number(row, "table:number-rows-repeated", 1)

    def _text(self, cell: Element) -> str:
        shown: list[Element] = []
        for each in cell:
            name = named(each)
            if name == _COMMENT or name.startswith("draw:"):
                self._beside(cell, each)
            else:
                shown.append(each)
        match said(cell, "office:value-type"):
            case "date" if value := said(cell, "office:date-value"):
                return value.removesuffix("T00:00:00").replace("T", " ")
            case "boolean" if value := said(cell, "office:boolean-value"):
                return value.upper()
            case _:
                return self._words(shown) or _stored(cell)

    def _words(self, shown: list[Element]) -> str:
        if len(shown) == 1 and next(iter(shown[0]), None) is None:  # nearly always
            return " ".join((shown[0].text or "").split())
        return self._reader.cell(shown) if shown else ""

    def _beside(self, cell: Element, each: Element) -> None:
        if named(each) != _COMMENT:
            self._drawn += self._reader.blocks([each])
            return
        if text := " ".join(self._reader.cell(each).split()):
            author = next((words(e) for e in each if named(e) == "dc:creator"), "")
            self._comments.append(f"- {', '.join(filter(None, (self._place(cell), author)))}: {text}")

    def _place(self, cell: Element) -> str:
        """A cell's name, such as AB12."""
        row = cell.getparent()
        before = takewhile(lambda e: e is not cell, () if row is None else row)
        column, letters = 1 + sum(number(e, "table:number-columns-repeated", 1) for e in before), ""
        while column:
            column, last = divmod(column - 1, 26)
            letters = chr(ord("A") + last) + letters
        return f"{letters}{self._at + 1}"


def _stored(cell: Element) -> str:
    """What some programs write alone, without what is shown."""
    if text := said(cell, "office:string-value") or said(cell, "office:time-value"):
        return text
    value = said(cell, "office:value")
    try:
        if value and said(cell, "office:value-type") == "percentage":
            return number_format.plain(float(value) * 100) + "%"
        return number_format.plain(float(value)) if value else ""
    except ValueError:
        return value


def _from_first(found: list[list[str]]) -> Iterator[list[str]]:
    """From the first column in which there is anything."""
    first = min((next(n for n, c in enumerate(row) if c) for row in found if any(row)), default=0)
    return (row[first:] for row in found)
