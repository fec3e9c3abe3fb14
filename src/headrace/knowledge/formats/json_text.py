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
    cell_type: str
    source: str | list[str] = ""
    outputs: list[_Output] = []


class _Language(msgspec.Struct):
    name: str = ""


class _About(msgspec.Struct):
    title: str = ""
    language_info: _Language = msgspec.field(default_factory=_Language)
    kernelspec: _Language = msgspec.field(default_factory=_Language)


class _Notebook(msgspec.Struct):
    cells: list[_Cell]
    metadata: _About = msgspec.field(default_factory=_About)


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
        raise file.refused("a notebook of format 4", str(error), "Save it again with Jupyter.") from None
    language = book.metadata.language_info.name or book.metadata.kernelspec.name
    draft = Draft(file)
    title = book.metadata.title
    for cell in book.cells:
        source = _joined(cell.source)
        if cell.cell_type == "code":
            draft.add(_fenced(source, "python" if language.startswith("python") else language))
            for output in cell.outputs:
                if written := _written(output):
                    draft.add(_fenced(written, ""))
        elif source.strip():
            draft.add(source.strip() + "\n\n")
            if not title and source.lstrip().startswith("# "):
                title = source.lstrip()[2:].split("\n")[0].strip()
    return draft.done(title or name_of(file.path))


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
