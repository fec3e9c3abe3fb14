"""EPUB: its chapters in reading order."""

from __future__ import annotations

from headrace.knowledge.dates import stated
from headrace.knowledge.formats.html import of_text
from headrace.knowledge.formats.package import Package, resolved
from headrace.knowledge.formats.text import decode, name_of
from headrace.knowledge.formats.xml import Element, attribute, local, words
from headrace.knowledge.parsed import Draft, File, Parsed
from headrace.metadata import Metadata, metadata_of

_CONTAINER = "META-INF/container.xml"
_NAMES = {"creator": "author"}
_TOLD = frozenset("title creator contributor subject description publisher date language identifier rights".split())


def parse(file: File) -> Parsed:
    package = Package(file, "an EPUB book")
    if package.has("META-INF/rights.xml"):
        raise file.refused("a book that is not encrypted", "one with digital rights", "Use a free copy.")
    roots = [attribute(e, "full-path") or "" for e in package.xml(_CONTAINER).iter() if local(e) == "rootfile"]
    described = roots[0] if roots else "content.opf"
    book = package.xml(described)
    said = {local(e): words(e) for e in reversed(list(book.iter())) if local(e) in ("title", "date", "creator")}
    items = {attribute(e, "id"): attribute(e, "href") or "" for e in book.iter() if local(e) == "item"}
    folder = described.rpartition("/")[0]
    draft = Draft(file)
    for reference in [attribute(e, "idref") for e in book.iter() if local(e) == "itemref"]:
        name = resolved(folder, items.get(reference, ""))
        if package.has(name):
            file.page()
            chapter = of_text(decode(name, package.read(name)))
            draft.add(chapter.text + "\n\n" if chapter.text else "")
    title, dated = said.get("title") or name_of(file.path), stated(said.get("date"))
    return draft.done(title, dated=dated, metadata=_metadata(book))


def _metadata(book: Element) -> Metadata:
    """Dublin Core of the package; several of a name are several values."""
    found: dict[str, list[str]] = {}
    for element in (e for part in book if local(part) == "metadata" for e in part):
        if local(element) in _TOLD:
            found.setdefault(_NAMES.get(local(element), local(element)), []).append(words(element))
    return metadata_of({name: said[0] if len(said) == 1 else said for name, said in found.items()})
