"""What whoever gives a document says of it, beside its content: a third column of such a source's changes."""

from __future__ import annotations

from functools import lru_cache
from pathlib import PurePosixPath

import msgspec

from headrace.access import Readers
from headrace.change import DOCUMENT_COLUMNS, Change, Column, Schema


class About(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """`title` and `time` (microseconds) are in the place of what the content states of itself. `named`: the name by
    which its kind and its title are told, where it has another one now: a document that was only renamed reads as
    before.

    `metadata`: JSON of what is said in addition to, or in the place of, what the content states (see
    `headrace.metadata.encoded`).

    `readers`: whom it is for, where that is said. `same_since` (a position's major, 0: this change's): nothing but that
    has changed since the version of that position."""

    title: str = ""
    time: int | None = None
    named: str = ""
    readers: Readers | None = None
    same_since: int = 0
    metadata: str = ""

    def renamed(self, old: str, new: str) -> About:
        """With another suffix it may be of another kind, and is read by its new name."""
        first = self.named or old
        same = PurePosixPath(first).suffix.lower() == PurePosixPath(new).suffix.lower()
        return msgspec.structs.replace(self, named=first if same and first != new else "", same_since=0)


NOTHING = About()
_decoder = msgspec.json.Decoder(About)
_encoder = msgspec.json.Encoder()


@lru_cache(maxsize=256)
def described_schema(source: str) -> Schema:
    """Documents with what is said of them."""
    return Schema(source, "", (*DOCUMENT_COLUMNS, Column("about", "json")), ("path",))


def about_text(about: About) -> str:
    return _encoder.encode(about).decode()


def about_of(change: Change) -> About:
    """Nothing where the source says nothing."""
    if change.after is None or len(change.after) < len(DOCUMENT_COLUMNS) + 1:
        return NOTHING
    said = change.after[len(DOCUMENT_COLUMNS)]
    return _decoder.decode(said) if isinstance(said, str) else NOTHING
