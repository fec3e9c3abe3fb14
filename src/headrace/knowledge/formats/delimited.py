"""CSV and TSV: a table."""

from __future__ import annotations

import csv
import io

from headrace.knowledge.formats.table import table
from headrace.knowledge.formats.text import name_of, text_of
from headrace.knowledge.parsed import Draft, File, Parsed

_SNIFFED = 16_384


def parse(file: File) -> Parsed:
    text = text_of(file)
    try:
        dialect = csv.Sniffer().sniff(text[:_SNIFFED], delimiters=",;\t|")
        delimiter = dialect.delimiter
    except csv.Error:
        delimiter = "\t" if file.path.lower().endswith((".tsv", ".tab")) else ","
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
