"""CSV and TSV: a table."""

from __future__ import annotations

import csv
import io
import re

from headrace.knowledge.formats.table import table
from headrace.knowledge.formats.text import name_of, text_of
from headrace.knowledge.parsed import Draft, File, Parsed

_SNIFFED = 16_384
# What Excel writes, and asks for, where a country's lists are separated otherwise.
_SAID = re.compile(r"sep=([,;\t|])\r?\n")


def parse(file: File) -> Parsed:
    text = text_of(file)
    if said := _SAID.match(text):
        text, delimiter = text[said.end() :], said[1]
    else:
        delimiter = _delimiter(file.path, text)
    draft = Draft(file)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for line in table(reader):
            draft.add(line)
    except csv.Error as error:
        raise file.refused(
            "comma- or tab-separated rows", f"{error} in line {reader.line_num}", "Correct the quotes there."
        ) from None
    return draft.done(name_of(file.path))


def _delimiter(path: str, text: str) -> str:
    try:
        return csv.Sniffer().sniff(text[:_SNIFFED], delimiters=",;\t|").delimiter
    except csv.Error:
        return "\t" if path.lower().endswith((".tsv", ".tab")) else ","
