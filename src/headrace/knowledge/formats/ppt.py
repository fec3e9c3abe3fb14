"""PowerPoint 97-2003 (.ppt): slides in order, with their titles, words and notes ([MS-PPT])."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from headrace.knowledge.formats.compound import Compound, read
from headrace.knowledge.formats.ppt_records import Document, Record
from headrace.knowledge.formats.properties import about
from headrace.knowledge.formats.text import name_of
from headrace.knowledge.parsed import Draft, File, Parsed
from headrace.place import Place

_DOCUMENT, _SLIDE, _SLIDE_ATOM, _NOTES = 0x03E8, 0x03EE, 0x03EF, 0x03F0
_LIST, _LISTED, _SLIDES, _NOTES_LIST = 0x0FF0, 0x03F3, 0, 2
_DRAWING, _SHAPE, _PLACEHOLDER, _OUTLINE = 0x040C, 0xF004, 0x0BC3, 0x0F9E
_HEADER, _CHARACTERS, _BYTES = 0x0F9F, 0x0FA0, 0x0FA8
_TITLES, _NOTES_TEXT, _OTHER = (0, 6), 2, 4  # kinds of text (TextTypeEnum in [MS-PPT] 2.13)
_UNTOLD = (0x07, 0x08, 0x09, 0x0A)  # date, number, footer and header: they stand on every slide (PlaceholderEnum)
_SPECIAL = {0x0B: "\n", 0x0D: "\n", **dict.fromkeys((*range(0x09), 0x0C, *range(0x0E, 0x20)))}


@dataclass(frozen=True, slots=True)
class _Text:
    kind: int
    words: str


@dataclass(slots=True)
class _Listed:
    """A slide or its notes as a list names them. `texts`: those that the outline shows."""

    number: int
    id: int
    texts: list[_Text] = field(default_factory=list[_Text])


def parse(file: File) -> Parsed:
    return read(file, "a PowerPoint presentation", lambda compound: _Reader(file, compound).read())


class _Reader:
    def __init__(self, file: File, compound: Compound) -> None:
        self._file = file
        self._compound = compound
        self._document = Document(compound)
        self._slides: list[_Listed] = []
        self._notes: dict[int, int] = {}

    def read(self) -> Parsed:
        self._lists()
        draft = Draft(self._file)
        first = ""
        for number, slide in enumerate(self._slides, 1):
            self._file.page()
            draft.begin(Place(slide=number))
            title, text = self._slide(slide)
            first = first or title
            draft.add(f"# {title or f'Slide {number}'}\n\n{text}")
        said = about(self._compound)
        plain = said.title if said.title.lower() not in ("", "powerpoint presentation") else ""
        return draft.done(plain or first or name_of(self._file.path), dated=said.dated, metadata=said.metadata)

    def _lists(self) -> None:
        """The slides in order, and where the notes of each are ([MS-PPT] 2.4.14.3)."""
        main = self._document.object(self._document.main, _DOCUMENT)
        if main is None:
            raise self._compound.damaged("no list of its slides")
        for found in self._document.children(main):
            if found.kind == _LIST and found.instance == _SLIDES:
                self._slides += self._listed(found)
            elif found.kind == _LIST and found.instance == _NOTES_LIST:
                self._notes |= {each.id: each.number for each in self._listed(found)}

    def _listed(self, parent: Record) -> list[_Listed]:
        found: list[_Listed] = []
        texts: list[Record] = []
        for each in self._document.children(parent):
            if each.kind == _LISTED and each.end - each.begin >= 16:
                number, _, _, id = struct.unpack_from("<4I", self._document.stream, each.begin)
                _fill(found, self._texts(texts))
                found.append(_Listed(number, id))
                texts = []
            else:
                texts.append(each)
        _fill(found, self._texts(texts))
        return found

    def _texts(self, records: Sequence[Record]) -> list[_Text]:
        """Texts behind their headers, which say their kind; one whose text is empty has none."""
        found: list[_Text] = []
        for each in records:
            if each.kind == _HEADER and each.end - each.begin >= 4:
                found.append(_Text(struct.unpack_from("<I", self._document.stream, each.begin)[0], ""))
            elif each.kind in (_CHARACTERS, _BYTES):
                raw = self._document.stream[each.begin : each.end]
                words = raw.decode("utf-16-le" if each.kind == _CHARACTERS else "latin-1", "replace")
                words = words.translate(_SPECIAL).strip()
                last = found.pop() if found and not found[-1].words else None
                found.append(_Text(last.kind if last is not None else _OTHER, words))
        return found

    def _slide(self, slide: _Listed) -> tuple[str, str]:
        title = ""
        blocks: list[str] = []
        found = self._document.object(slide.number, _SLIDE)
        for text in self._drawn(found, slide.texts) if found is not None else slide.texts:
            if text.kind in _TITLES and not title:
                title = " ".join(text.words.split())
            elif text.words:
                blocks.append(text.words)
        if found is not None and (notes := self._notes_of(found)):
            blocks.append(f"### Notes\n\n{notes}")
        return title, "".join(block + "\n\n" for block in blocks)

    def _drawn(self, slide: Record, outline: Sequence[_Text]) -> Iterator[_Text]:
        """The texts of a slide's shapes in drawing order, and what only its outline has."""
        shown: set[int] = set()
        for drawing in self._document.children(slide):
            if drawing.kind != _DRAWING:
                continue
            for shape in self._document.inside(drawing, _SHAPE):
                if shape.kind == _SHAPE:
                    yield from self._shape(shape, outline, shown)
        for n, text in enumerate(outline):
            if n not in shown:
                yield text

    def _shape(self, shape: Record, outline: Sequence[_Text], shown: set[int]) -> Iterator[_Text]:
        records = list(self._document.inside(shape))
        stream = self._document.stream
        untold = any(
            r.kind == _PLACEHOLDER and r.end - r.begin >= 5 and stream[r.begin + 4] in _UNTOLD for r in records
        )
        for each in records:
            if each.kind == _OUTLINE and each.end - each.begin >= 4:
                (number,) = struct.unpack_from("<I", stream, each.begin)
                if number < len(outline) and number not in shown and not untold:
                    yield outline[number]
                shown.add(number)
        if not untold:
            yield from self._texts(records)

    def _notes_of(self, slide: Record) -> str:
        """What is said to a slide, by the number of its notes in the slide's atom ([MS-PPT] 2.5.2)."""
        atom = next((r for r in self._document.children(slide) if r.kind == _SLIDE_ATOM), None)
        if atom is None or atom.end - atom.begin < 20:
            return ""
        (id,) = struct.unpack_from("<I", self._document.stream, atom.begin + 16)
        found = self._document.object(self._notes.get(id, 0), _NOTES)
        drawn = self._drawn(found, ()) if found is not None else ()
        return "\n".join(text.words for text in drawn if text.kind == _NOTES_TEXT and text.words)


def _fill(listed: Sequence[_Listed], texts: list[_Text]) -> None:
    if listed:
        listed[-1].texts = texts
