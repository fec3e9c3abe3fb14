"""Spreadsheets (.xlsx, .xlsb, .xls, .ods): each sheet a table under its name."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta

from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetTypeEnum, ZipError

from headrace.knowledge.formats.office import Core, core
from headrace.knowledge.formats.package import Package
from headrace.knowledge.formats.table import table
from headrace.knowledge.formats.text import name_of
from headrace.knowledge.parsed import Draft, File, Parsed
from headrace.place import Place

Cell = int | float | str | bool | time | date | datetime | timedelta
_WHAT = "a spreadsheet"


def parse(file: File) -> Parsed:
    about = Core()
    if file.content.startswith(b"PK"):
        package = Package(file, _WHAT)
        for name in package.infos:
            info = package.infos[name]
            file.member(info.file_size, info.compress_size)
        about = core(package)
    draft = Draft(file)
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(file.content)) as book:
            for sheet in book.sheets_metadata:
                if sheet.typ is not SheetTypeEnum.WorkSheet:
                    continue
                file.page()
                draft.begin(Place(sheet=sheet.name))
                draft.add(f"## {sheet.name}\n\n")
                for line in table(_rows(book.get_sheet_by_name(sheet.name).iter_rows())):
                    draft.add(line)
                draft.add("\n")
    except PasswordError:
        raise file.refused(
            "a spreadsheet that is not encrypted", "one with a password", "Remove the password."
        ) from None
    except (CalamineError, ZipError, OSError, ValueError) as error:
        got = " ".join(str(error).split())[:200]
        raise file.refused("a spreadsheet that is whole", f"a damaged one ({got})", "Save it again.") from None
    return draft.done(about.title or name_of(file.path), dated=about.dated, metadata=about.metadata)


def _rows(rows: Iterator[Sequence[Cell]]) -> Iterator[list[str]]:
    for row in rows:
        yield [_shown(cell) for cell in row]


def _shown(cell: Cell) -> str:
    match cell:
        case bool():
            return "TRUE" if cell else "FALSE"
        case float():
            return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
        case datetime():
            return cell.date().isoformat() if cell.time() == time() else cell.isoformat(" ")
        case _:
            return str(cell)
