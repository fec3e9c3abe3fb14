"""What a file's parsing gives, and how much of it there may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from headrace.errors import BadInput
from headrace.metadata import Metadata, MetadataValue
from headrace.place import Place

PLAIN = "text/plain"
_HARMLESS = 16 << 20
"""Bytes up to which a packed file may be packed as tightly as it likes."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the text (characters) that stands at one place of the file."""

    start: int
    end: int
    place: Place


@dataclass(frozen=True, slots=True)
class Parsed:
    """Text in which chunks and citations have their places.

    `markdown`: headings are `#` lines. `spans`: ascending, none overlaps another. `outline`: headings that the format
    itself keeps apart from the text, as (character offset, level, words); without it they are read from the Markdown.
    `dated`: the time that the document states of itself, microseconds since the epoch. `stated`: whether the title is
    its own, or somebody's who gave it, and not only its file's name. `metadata`: what else it states of itself.
    """

    title: str
    text: str
    markdown: bool
    media: str = PLAIN
    spans: tuple[Span, ...] = ()
    outline: tuple[tuple[int, int, str], ...] = ()
    dated: int | None = None
    stated: bool = True
    metadata: Metadata = field(default_factory=dict[str, MetadataValue])


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost. `pages` are pages, slides and sheets; sizes are bytes, `characters` those of its text."""

    timeout_s: float = 60.0
    memory: int = 2 << 30
    pages: int = 2000
    characters: int = 10_000_000
    members: int = 1000
    unpacked: int = 512 << 20
    ratio: int = 200
    depth: int = 3
    pixels: int = 60_000_000
    ocr: bool = True


@dataclass(slots=True)
class Meter:
    """What a file has cost so far, its members together. Each step is told, so that a watcher sees it go on."""

    limits: Limits
    tick: Callable[[], None] = lambda: None
    pages: int = 0
    characters: int = 0
    members: int = 0
    unpacked: int = 0


@dataclass(frozen=True, slots=True)
class File:
    """A file on its way through a format's parser; `nested` parses what it holds (path inside it, bytes)."""

    path: str
    content: bytes
    media: str
    meter: Meter
    nested: Callable[[File, str, bytes], Parsed]
    depth: int = 0
    charset: str | None = None

    @property
    def limits(self) -> Limits:
        return self.meter.limits

    def page(self) -> None:
        """Counts a page, slide or sheet. Raises BadInput."""
        self.meter.tick()
        self.meter.pages += 1
        if self.meter.pages > self.limits.pages:
            raise self.excess(f"at most {self.limits.pages:,} pages, slides and sheets", "more", "pages")

    def wrote(self, characters: int) -> None:
        """Counts text. Raises BadInput."""
        self.meter.characters += characters
        if self.meter.characters > self.limits.characters:
            raise self.excess(f"at most {self.limits.characters:,} characters of text", "more", "characters")

    def member(self, size: int, packed: int | None = None) -> None:
        """Counts a packed file of so many bytes, before it is unpacked. Raises BadInput."""
        self.meter.tick()
        meter, limits = self.meter, self.limits
        meter.members += 1
        meter.unpacked += size
        if meter.members > limits.members:
            raise self.excess(f"at most {limits.members:,} packed files", "more", "members")
        if meter.unpacked > limits.unpacked:
            raise self.excess(f"at most {limits.unpacked:,} bytes unpacked", f"{meter.unpacked:,}", "unpacked")
        if packed is not None and size > max(_HARMLESS, limits.ratio * packed):
            got = f"{size:,} bytes packed in {packed:,}"
            raise self.excess(f"files packed to no less than 1 in {limits.ratio}", got, "ratio")

    def refused(self, expected: str, got: str, remedy: str) -> BadInput:
        return BadInput(step=f"parse {self.path}", expected=expected, got=got, remedy=remedy)

    def excess(self, expected: str, got: str, setting: str) -> BadInput:
        """Over a limit: its container is refused too."""
        remedy = f"Take the file apart, leave it out with `exclude`, or raise [documents] {setting}."
        return TooMuch(step=f"parse {self.path}", expected=expected, got=got, remedy=remedy)


class TooMuch(BadInput):
    """One input is beyond a limit that its container shares."""


class Draft:
    """A text in the making, with the places of its parts."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._pieces: list[str] = []
        self._spans: list[Span] = []
        self._place: Place | None = None
        self._began = 0
        self.at = 0

    def add(self, text: str) -> None:
        text = text.replace("\0", "")
        self._file.wrote(len(text))
        self._pieces.append(text)
        self.at += len(text)

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def begin(self, place: Place | None) -> None:
        """What is added from here on stands at this place."""
        if self._place is not None and self.at > self._began:
            self._spans.append(Span(self._began, self.at, self._place))
        self._place, self._began = place, self.at

    def take(self, part: Parsed, member: str) -> None:
        """A packed file's text, its places inside it kept."""
        start = self.at
        inside = part.spans or (Span(0, len(part.text), Place()),)
        self.begin(None)
        self._pieces.append(part.text)  # its characters were counted when it was made
        self.at += len(part.text)
        for span in inside:
            name = f"{member}/{span.place.member}" if span.place.member else member
            place = replace(span.place, member=name)
            self._spans.append(Span(start + span.start, start + span.end, place))

    def done(
        self,
        title: str,
        *,
        markdown: bool = True,
        dated: int | None = None,
        outline: tuple[tuple[int, int, str], ...] = (),
        metadata: Metadata | None = None,
    ) -> Parsed:
        self.begin(None)
        text = self.text
        spans = tuple(s for s in self._spans if s.end > s.start)
        return Parsed(title, text, markdown, self._file.media, spans, outline, dated, metadata=metadata or {})


@dataclass(slots=True)
class Reasons:
    """Why parts of a container were not read, in a few lines."""

    lines: list[str] = field(default_factory=list[str])

    def add(self, member: str, error: BadInput) -> None:
        self.lines.append(f"- {member}: not read, {error.got}")
