"""Spreadsheets of Excel (.xlsx, .xlsb, .xls): each sheet a table under its name.

An .xlsx shows its numbers as the cells do (`25.6%`, `02134`), and its charts, text boxes and comments behind the table;
the others' numbers are plain.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from itertools import chain, repeat

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError, SheetTypeEnum, ZipError

from headrace.errors import BadInput
from headrace.knowledge.formats import number_format
from headrace.knowledge.formats.compound import Compound
from headrace.knowledge.formats.office import Core, core
from headrace.knowledge.formats.package import Package
from headrace.knowledge.formats.table import table
from headrace.knowledge.formats.text import name_of
from headrace.knowledge.formats.workbook import PLAIN, Codes, Workbook
from headrace.knowledge.parsed import Draft, File, Parsed
from headrace.place import Place

Cell = int | float | str | bool | time | date | datetime | timedelta
_WHAT = "a spreadsheet"
_FILEPASS = 0x2F
"""[MS-XLS] 2.4.117: the record behind which all is encrypted."""
_FIRST_RECORDS = 16
_SHOWN = (SheetTypeEnum.WorkSheet, SheetTypeEnum.ChartSheet)


def parse(file: File) -> Parsed:
    about = Core()
    workbook = None
    if file.content.startswith(b"PK"):
        package = Package(file, _WHAT)
        for name in package.infos:
            package.count(name)
        about = core(package)
        workbook = Workbook(package)
    draft = Draft(file)
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(file.content)) as book:
            for sheet in book.sheets_metadata:
                if sheet.typ not in _SHOWN:
                    continue
                file.page()
                draft.begin(Place(sheet=sheet.name))
                draft.add(f"## {sheet.name}\n\n")
                if sheet.typ is SheetTypeEnum.WorkSheet:
                    formats = workbook.formats(sheet.name) if workbook else ()
                    for line in table(_rows(book.get_sheet_by_name(sheet.name), formats)):
                        draft.add(line)
                    draft.add("\n")
                for block in workbook.beside(sheet.name) if workbook else ():
                    draft.add(block + "\n\n")
    except PasswordError:
        raise _locked(file) from None
    except (CalamineError, ZipError, OSError, ValueError) as error:
        if workbook is None and _is_locked(file):
            raise _locked(file) from None
        got = " ".join(str(error).split())[:200]
        raise file.refused("a spreadsheet that is whole", f"a damaged one ({got})", "Save it again.") from None
    return draft.done(about.title or name_of(file.path), dated=about.dated, metadata=about.metadata)


def _locked(file: File) -> BadInput:
    return file.refused("a spreadsheet that is not encrypted", "one with a password", "Remove the password.")


def _is_locked(file: File) -> bool:
    """Whether the stream of an .xls has the record that says how it is encrypted, close behind its first."""
    try:
        with Compound(file, _WHAT) as compound:
            stream = compound.stream("Workbook") or compound.stream("Book")
    except BadInput:
        return False
    at = 0
    for _ in range(_FIRST_RECORDS):
        if at + 4 > len(stream):
            return False
        kind, length = struct.unpack_from("<2H", stream, at)
        if kind == _FILEPASS:
            return True
        at += 4 + length
    return False


def _rows(sheet: CalamineSheet, formats: Iterable[Codes]) -> Iterator[list[str]]:
    first = sheet.start[1] if sheet.start else 0  # rows are told from the first, columns from the first that is used
    for row, codes in zip(sheet.iter_rows(), chain(formats, repeat(PLAIN)), strict=False):
        yield [_shown(cell, codes.get(column, "")) for column, cell in enumerate(row, first)]


def _shown(cell: Cell, code: str) -> str:
    match cell:
        case bool():
            return "TRUE" if cell else "FALSE"
        case int() | float():
            return number_format.shown(float(cell), code) if code else number_format.plain(float(cell))
        case datetime():
            return cell.date().isoformat() if cell.time() == time() else cell.isoformat(" ")
        case _:
            return str(cell)
