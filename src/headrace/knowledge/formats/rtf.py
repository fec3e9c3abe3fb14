"""RTF: text with headings, lists, tables, links, notes and comments (RTF 1.9.1)."""

from __future__ import annotations

from headrace.knowledge.formats.rtf_about import About, FontTable, Styles
from headrace.knowledge.formats.rtf_parts import Parts, Rows
from headrace.knowledge.formats.rtf_reader import Reader
from headrace.knowledge.formats.text import name_of
from headrace.knowledge.parsed import File, Parsed


def parse(file: File) -> Parsed:
    """A file that is cut off is read as far as it goes. Raises BadInput beyond the limits."""
    reader = Reader(file)
    about, parts = About(reader), Parts(reader)
    for takes in (FontTable, Styles, Rows):
        takes(reader)
    reader.read()
    notes = ["\n".join(n) for n in (parts.footnotes, parts.endnotes, parts.comments)]
    blocks = [*parts.headers, *reader.body.blocks, *parts.footers, *notes]
    text = "\n\n".join([b for b in blocks if b])  # its characters were counted as they came
    title = about.title or reader.body.title or name_of(file.path)
    return Parsed(title, text, True, file.media, dated=about.dated, metadata=about.metadata)
