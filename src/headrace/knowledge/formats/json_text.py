"""JSON and JSON lines: as written, or indented where it stands in one line; notebooks by their cells."""

from __future__ import annotations

import msgspec

from headrace.knowledge.formats.text import name_of, text_of
from headrace.knowledge.parsed import Draft, File, Parsed

_LONG = 400
_FENCE = "```"


class _Output(msgspec.Struct):
    text: str | list[str] = ""
    data: dict[str, msgspec.Raw] = {}


class _Cell(msgspec.Struct):
    """`input`, `language`, `level` (of a heading): as formats 2 and 3 have them."""

    cell_type: str
    source: str | list[str] = ""
    outputs: list[_Output] = []
    input: str | list[str] = ""
    language: str = ""
    level: int = 1


class _Sheet(msgspec.Struct):
    cells: list[_Cell] = []


class _Language(msgspec.Struct):
    name: str = ""


class _About(msgspec.Struct):
    title: str = ""
    name: str = ""
    language_info: _Language = msgspec.field(default_factory=_Language)
    kernelspec: _Language = msgspec.field(default_factory=_Language)


class _Notebook(msgspec.Struct):
    nbformat: int
    cells: list[_Cell] = []
    worksheets: list[_Sheet] = []
    metadata: msgspec.Raw = msgspec.Raw(b"{}")


def parse(file: File) -> Parsed:
    text = text_of(file)
    longest = max((len(line) for line in text.split("\n")), default=0)
    if longest > _LONG:
        try:
            text = msgspec.json.format(text, indent=1)
        except (msgspec.DecodeError, RecursionError):  # lines of JSON, or none: as it stands
            pass
        else:
            file.wrote(len(text))
    return Parsed(name_of(file.path), text, False, file.media)


def notebook(file: File) -> Parsed:
    """Markdown cells as they stand, code in fences, what code wrote as text below it."""
    try:
        book = msgspec.json.decode(text_of(file), type=_Notebook)
    except (msgspec.DecodeError, RecursionError) as error:
        raise file.refused("a notebook of format 2 to 4", str(error), "Save it again with Jupyter.") from None
    about = _about(book.metadata)
    language = about.language_info.name or about.kernelspec.name
    draft = Draft(file)
    title = about.title or about.name
    for cell in [*book.cells, *(cell for sheet in book.worksheets for cell in sheet.cells)]:
        source = _joined(cell.source or cell.input)
        if cell.cell_type == "code":
            spoken = language or cell.language
            draft.add(_fenced(source, "python" if spoken.startswith("python") else spoken))
            for output in cell.outputs:
                if written := _written(output):
                    draft.add(_fenced(written, ""))
        elif source.strip():
            heading = "#" * min(max(cell.level, 1), 6) + " " if cell.cell_type == "heading" else ""
            draft.add(heading + source.strip() + "\n\n")
            if not title and (heading + source).lstrip().startswith("# "):
                title = (heading + source).lstrip()[2:].split("\n")[0].strip()
    return draft.done(title or name_of(file.path))


def _about(metadata: msgspec.Raw) -> _About:
    """What a notebook says of itself; what is not as it should be is no reason to leave out its cells."""
    try:
        return msgspec.json.decode(metadata, type=_About)
    except msgspec.DecodeError:
        return _About()


def _written(output: _Output) -> str:
    plain = output.data.get("text/plain")
    return _joined(msgspec.json.decode(plain, type=str | list[str])) if plain else _joined(output.text)


def _joined(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def _fenced(source: str, language: str) -> str:
    if not source.strip():
        return ""
    fence = _FENCE
    while fence in source:
        fence += "`"
    return f"{fence}{language}\n{source.strip(chr(10))}\n{fence}\n\n"
