"""OpenDocument texts and presentations (.odt, .odp), and those in a single XML file (.fodt, .fodp): OpenDocument 1.3
part 3."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from headrace.knowledge.formats.opendocument_meta import about
from headrace.knowledge.formats.opendocument_objects import Objects
from headrace.knowledge.formats.opendocument_styles import Styles, named, part, said
from headrace.knowledge.formats.opendocument_text import Reader
from headrace.knowledge.formats.package import Package
from headrace.knowledge.formats.text import name_of
from headrace.knowledge.formats.xml import Element, root_of
from headrace.knowledge.parsed import Draft, File, Parsed
from headrace.place import Place

_MANIFEST = "META-INF/manifest.xml"
_UNTOLD = frozenset({"date-time", "header", "footer", "page-number", "page"})  # what stands on every slide
# Pictures are not read, and longer than XML's parser takes a text.
_PICTURES = re.compile(rb"<office:binary-data>[^<]*</office:binary-data>")


@dataclass(frozen=True, slots=True)
class _Document:
    """The roots of its parts, which are one and the same in a single XML file."""

    content: Element
    styles: Element | None
    meta: Element | None
    package: Package | None


def parse(file: File) -> Parsed:
    document = _opened(file)
    objects = Objects(document.package)
    reader = Reader(file, Styles(document.styles, document.content), objects)
    draft = Draft(file)
    body = next((e for e in part(document.content, "office:body")), None)
    if body is not None and named(body) == "office:presentation":
        _slides(file, draft, reader, body)
    else:
        outside = Reader(file, Styles(document.styles, document.styles), objects)
        _text(draft, reader, outside, document.styles, body)
    said = about(document.meta)
    return draft.done(said.title or reader.title or name_of(file.path), dated=said.dated, metadata=said.metadata)


def _opened(file: File) -> _Document:
    if not file.content.startswith(b"PK"):
        root = root_of(file, _PICTURES.sub(b"", file.content), "an OpenDocument file")
        return _Document(root, root, root, None)
    package = opened(file, "an OpenDocument file")
    styles, meta = (package.xml(n) if package.has(n) else None for n in ("styles.xml", "meta.xml"))
    return _Document(package.xml("content.xml"), styles, meta, package)


def opened(file: File, what: str) -> Package:
    """Its package. Raises BadInput for one that is damaged, encrypted or beyond the limits."""
    package = Package(file, what)
    if package.has(_MANIFEST) and any(named(e) == "manifest:encryption-data" for e in package.xml(_MANIFEST).iter()):
        raise file.refused(f"{what} that is not encrypted", "one with a password", "Remove the password.")
    return package


def _text(draft: Draft, reader: Reader, outside: Reader, styles: Element | None, body: Element | None) -> None:
    for text in _once(outside, styles, "style:header"):
        draft.add(text + "\n\n")
    for text in reader.blocks(body if body is not None else ()):
        draft.add(text + "\n\n")
    for text in _once(outside, styles, "style:footer"):
        draft.add(text + "\n\n")
    draft.add(reader.notes() + outside.notes())


def _once(outside: Reader, styles: Element | None, kind: str) -> Iterable[str]:
    """Headers or footers of the pages' masters; those of first and left pages too, where they say something else."""
    found: dict[str, None] = {}
    for master in part(styles, "office:master-styles"):
        for each in master:
            if named(each).startswith(kind) and said(each, "style:display") != "false":
                found.setdefault("\n\n".join(outside.blocks(each)))
    return [text for text in found if text]


def _slides(file: File, draft: Draft, reader: Reader, body: Element) -> None:
    pages = [e for e in body if named(e) == "draw:page"]
    for number, page in enumerate(pages, 1):
        file.page()
        draft.begin(Place(slide=number))
        title, text = _slide(reader, page)
        reader.title = reader.title or title
        draft.add(f"# {title or f'Slide {number}'}\n\n{text}{reader.notes()}{_notes(reader, page)}")


def _slide(reader: Reader, page: Element) -> tuple[str, str]:
    title = ""
    blocks: list[str] = []
    for shape in page:
        kind = said(shape, "presentation:class")
        if kind == "title" and not title:
            title = " ".join(reader.cell(shape).split())
        elif kind not in _UNTOLD:
            blocks.append("\n".join(reader.blocks([shape])))
    return title, "".join(b + "\n\n" for b in blocks if b)


def _notes(reader: Reader, page: Element) -> str:
    notes = [e for e in page if named(e) == "presentation:notes"]
    shapes = [s for n in notes for s in n if said(s, "presentation:class") not in _UNTOLD]
    text = "\n".join(reader.blocks(shapes))
    return f"### Notes\n\n{text}\n\n" if text else ""
