"""Port: a source that is given documents. Faces put them in, and they are there until somebody takes them out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

import msgspec

from headrace.access import Readers, readers
from headrace.change import Position
from headrace.described import About
from headrace.errors import BadRequest, HeadraceError
from headrace.metadata import CHARACTERS, FIELDS, LONGEST_FIELD, LONGEST_TEXT, VALUES, encoded, metadata_of, single

LONGEST_NAME = 512
"""Bytes of UTF-8."""
SCRATCH_PREFIX = "upload-"
"""What contents on their way are called in the scratch folder, before the process's id and `-`."""


class UploadsFull(HeadraceError):
    """As many uploads are under way as this source lets be."""

    status = 429
    title = "Too many uploads at once"


class NameTaken(HeadraceError):
    """A document of this name is there already, with another content."""

    status = 409
    title = "A document of this name is there already"


class Outdated(HeadraceError):
    """The document is not (or no longer) what the request takes it for."""

    status = 412
    title = "The document is another one by now"


class Outcome(StrEnum):
    """What an upload did. UNCHANGED: all of it was there already, and nothing was written."""

    CREATED = "created"
    REPLACED = "replaced"
    DESCRIBED = "described"
    RENAMED = "renamed"
    UNCHANGED = "unchanged"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Content:
    """A document's bytes, all of them, in a file of this machine; `digest` is `sha256:` and hex digits."""

    path: Path
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Given:
    """A document as it was given: its last version's position and time, and the time of its first (microseconds)."""

    name: str
    digest: str
    size: int
    position: Position
    created_at: int
    changed_at: int
    about: About


@dataclass(frozen=True, slots=True)
class Only:
    """When a request is to be carried out. `match`: only while the document has one of these digests (`*`: any);
    `fresh`: only while there is none of its name, but for one with just this content."""

    match: frozenset[str] | None = None
    fresh: bool = False


ALWAYS = Only()


@dataclass(frozen=True, slots=True)
class Once:
    """Names a request: until then (microseconds) the same again changes nothing, and is answered what it was before."""

    id: str
    until: int


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a request. `document` is None once it is deleted; `position`: everything of it is at or before."""

    outcome: Outcome
    name: str
    document: Given | None
    position: Position


@dataclass(frozen=True, slots=True)
class Unsaid:
    """Nothing is said of a document's readers any more."""


UNSAID = Unsaid()


@dataclass(frozen=True, slots=True)
class Description:
    """What is to be said otherwise of a document; None leaves it. An empty title and a `time` of 0 take back what was
    said: then the content's own counts again. So do `readers` that are UNSAID, and `metadata` (JSON, all that is said
    of them) that are empty."""

    name: str | None = None
    title: str | None = None
    time: int | None = None
    readers: Readers | Unsaid | None = None
    metadata: str | None = None

    def of(self, about: About) -> About:
        title = about.title if self.title is None else self.title
        time = about.time if self.time is None else self.time or None
        readers = about.readers if self.readers is None else None if isinstance(self.readers, Unsaid) else self.readers
        metadata = about.metadata if self.metadata is None else self.metadata
        return msgspec.structs.replace(about, title=title, time=time, readers=readers, metadata=metadata)


@runtime_checkable
class Uploads(Protocol):
    """Everything but `slot` returns when the log has it, not yet on disk. Raises SourceError when nobody takes
    uploads out (whether it got into the log is not known then; the same request again finds out), and Outdated.

    - `slot`: a place for one upload under way. Raises UploadsFull.
    - `put`: a document's content, new or in the place of what is there, with what is said of it; what is not said
      stays. With the same content and description nothing is written. Raises NameTaken where it should be new.
    - `came_of`: what a `put` that was named `once` did, whatever has become of the document since; None where there
      was none. It stands in the log with the change itself.
    - `describe`: another description or name, the content as it is. Raises NotFound, NameTaken.
    - `remove`: deletes it. Raises NotFound.
    - `given`, `count`: one document, and how many there are.
    - `since`: those whose last version is behind a position, newest first.
    """

    @property
    def name(self) -> str: ...
    @property
    def max_bytes(self) -> int: ...
    @property
    def scratch(self) -> Path:
        """A folder for contents on their way."""
        ...

    @property
    def count(self) -> int: ...
    def slot(self) -> AbstractContextManager[None]: ...
    async def put(
        self, name: str, content: Content, changes: Description, only: Only, once: Once | None = None
    ) -> Done: ...
    async def came_of(self, id: str) -> Done | None: ...
    async def describe(self, name: str, changes: Description, only: Only) -> Done: ...
    async def remove(self, name: str, only: Only) -> Done: ...
    def given(self, name: str) -> Given | None: ...
    def since(self, position: Position) -> Iterator[Given]: ...


def by_name(sources: Mapping[str, object]) -> dict[str, Uploads]:
    """Those that documents can be given to."""
    return {name: s for name, s in sources.items() if isinstance(s, Uploads)}


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def checked_name(text: str) -> str:
    """A document's name: a relative path with `/`, in Unicode's composed form. Raises BadRequest."""
    name = unicodedata.normalize("NFC", text)
    parts = name.split("/")
    wrong = (
        "none" if not name.strip() else
        "one with control characters" if _CONTROL.search(name) else
        "one with a backslash" if "\\" in name else
        "one with an empty, `.` or `..` part" if any(p.strip() in ("", ".", "..") for p in parts) else
        f"one of {len(name.encode())} bytes" if len(name.encode()) > LONGEST_NAME else
        ""
    )  # fmt: skip
    if wrong:
        raise BadRequest(
            step="read a document's name",
            expected=f"a relative path such as guides/handbook.pdf, of at most {LONGEST_NAME} bytes",
            got=wrong,
            remedy="Name it otherwise.",
        )
    return name


def checked_title(text: str) -> str:
    """Raises BadRequest."""
    title = " ".join(text.split())
    if len(title) > 1000 or _CONTROL.search(title):
        raise BadRequest(
            step="read a document's title",
            expected="at most 1000 characters, without control characters",
            got=f"{len(title)} characters" if len(title) > 1000 else "control characters",
            remedy="Shorten or correct it, or leave it out.",
        )
    return title


def read_metadata(text: str) -> str:
    """As `checked_metadata`, of JSON. Raises BadRequest."""
    try:
        said = msgspec.json.decode(text, type=dict[str, object] | None) if text.strip() else None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _bad_metadata("a JSON object", str(error)) from None
    return checked_metadata(said or {})


def checked_metadata(said: Mapping[str, object]) -> str:
    """What is said of a document's metadata, as About has it; what is empty is left out. Raises BadRequest."""
    given = {name: value for name, value in said.items() if value not in (None, "", [])}
    for name, value in given.items():
        if not _fits(name, value):
            expected = (
                f"a name of at most {LONGEST_FIELD} characters with a text of at most {LONGEST_TEXT}, a number, true "
                f"or false, or a list of at most {VALUES} of these"
            )
            raise _bad_metadata(expected, f"another one, {name[:LONGEST_FIELD]!r}")
    made = metadata_of(given)
    if len(made) < len(given):
        expected = f"at most {FIELDS} fields of {CHARACTERS:,} characters together, each named once"
        raise _bad_metadata(expected, f"{len(given)} fields, of which {len(given) - len(made)} do not fit")
    return encoded(made) if made else ""


def _fits(name: str, value: object) -> bool:
    return bool(metadata_of({name: value})) and _whole(value)


def _whole(value: object) -> bool:
    """Whether nothing of it would be left out but what is empty."""
    several = cast("list[object]", value) if isinstance(value, list) else [value]
    return len(several) <= VALUES and all(single(v) is not None for v in several if v != "")


def _bad_metadata(expected: str, got: str) -> BadRequest:
    remedy = 'Write them as {"category": "bags", "price": 30, "tags": ["a", "b"]}.'
    return BadRequest(step="read a document's metadata", expected=expected, got=got, remedy=remedy)


def checked_readers(owner: str | None, groups: Sequence[str] | None) -> Readers | None:
    """Whom a document is given for; None where neither is said. Raises BadRequest."""
    try:
        return readers(owner, groups)
    except ValueError as error:
        raise BadRequest(
            step="read whom a document is for",
            expected="the names of a user and of groups",
            got=str(error),
            remedy="Correct them, or leave them out.",
        ) from None
