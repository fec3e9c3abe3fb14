"""Pictures by the text in them."""

from __future__ import annotations

from headrace.knowledge.formats.ocr import reader
from headrace.knowledge.formats.text import name_of
from headrace.knowledge.parsed import Draft, File, Parsed
from headrace.place import Place


def parse(file: File) -> Parsed:
    """Each frame of a picture with several (a scan as TIFF) is a page."""
    found = reader(file)
    draft = Draft(file)
    for number, picture in enumerate(found.frames(file), 1):
        file.page()
        draft.begin(Place(page=number) if number > 1 else None)
        draft.add(found.read(picture) + "\n\n")
    return draft.done(name_of(file.path), markdown=False)
