"""Source code as it stands, its definitions as headings."""

from __future__ import annotations

from headrace.knowledge.definitions import definitions
from headrace.knowledge.formats.text import name_of, text_of
from headrace.knowledge.parsed import File, Parsed


def parse(file: File) -> Parsed:
    text = text_of(file)
    return Parsed(name_of(file.path), text, False, file.media, outline=definitions(file.path, text))
