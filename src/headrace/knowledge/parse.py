"""Bytes of a file to text with its places: finds the format, and reads it within limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from headrace.knowledge.detect import CODE, HTML, MARKDOWN, REFUSED, ZIP, detect
from headrace.knowledge.formats.text import name_of
from headrace.knowledge.parsed import PLAIN, File, Limits, Meter, Parsed
from headrace.registry import FORMATS, lookup

VERSION = 6
"""Raised when the same file may come to another text, place in it, title, date or metadata."""
EXTRA = "documents"
LIGHT = frozenset({PLAIN, MARKDOWN, HTML, CODE})
"""Kinds of text that are read in this process: they cost time in proportion to their size, and need no library but
lxml."""
SMALL = 65_536
"""Bytes up to which HTML counts as light."""


def is_light(media: str, size: int) -> bool:
    """Whether a file may be read beside everything else in this process."""
    return media in REFUSED or (media in LIGHT and (media != HTML or size <= SMALL))


def parse(
    path: str,
    content: bytes,
    limits: Limits | None = None,
    *,
    media: str | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Parsed:
    """A file's text and title. Raises BadInput for what cannot be read, and why."""
    meter = Meter(limits or Limits(), tick)
    found = _read(File(path, content, media or detect(path, content), meter, _nested))
    return replace(found, stated=found.title != name_of(path))


def _nested(outer: File, name: str, content: bytes) -> Parsed:
    """A file inside another one, within the same limits."""
    depth = outer.depth + 1
    if depth > outer.limits.depth:
        raise outer.excess(f"files packed in files at most {outer.limits.depth} deep", "deeper", "depth")
    path = f"{outer.path}/{name}"
    return _read(File(path, content, detect(name, content), outer.meter, _nested, depth))


def _read(file: File) -> Parsed:
    if file.media in REFUSED:
        raise file.refused(
            "a document of a known format",
            REFUSED[file.media],
            "Save it in a current format, or leave it out with `exclude`.",
        )
    known = file.media if file.media in FORMATS else ZIP if file.content.startswith(b"PK") else PLAIN
    try:
        read = lookup("formats", FORMATS, known)
    except ModuleNotFoundError as error:
        raise file.refused(
            f"the packages that read {known}",
            f"no module named {error.name}",
            f"Install them: pip install 'headrace[{EXTRA}]'.",
        ) from None
    try:
        return read(replace(file, media=known))
    except RecursionError:
        raise file.refused("a document nested less deep", "one beyond the stack's end", "Leave it out.") from None
