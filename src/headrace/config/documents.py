"""`[documents]` and `[uploads]`: what files may cost, and which way large ones take."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from headrace.config.durations import duration_us
from headrace.config.problems import bad


class Documents(Struct, frozen=True, forbid_unknown_fields=True):
    """`[documents]`: how files are read, and what one of them may cost."""

    workers: Annotated[
        int, Meta(ge=1, le=64, description="processes that read formats other than text, at most; none while idle")
    ] = 2
    timeout: Annotated[
        str,
        Meta(description="processor time from one page to the next, such as `60s`; a file may take 30 times it"),
    ] = "60s"
    memory: Annotated[int, Meta(ge=134_217_728, description="memory of such a process, bytes")] = 2_147_483_648
    pages: Annotated[int, Meta(ge=1, description="pages, slides and sheets of a file")] = 2000
    characters: Annotated[int, Meta(ge=1, description="characters of a file's text")] = 10_000_000
    members: Annotated[int, Meta(ge=1, description="files packed in a file")] = 1000
    unpacked: Annotated[int, Meta(ge=1, description="bytes that they have together")] = 536_870_912
    ratio: Annotated[int, Meta(ge=1, description="how much larger unpacked than packed one of more than 16 MB is")] = (
        200
    )
    depth: Annotated[int, Meta(ge=0, description="how deep files are packed in files")] = 3
    pixels: Annotated[int, Meta(ge=1, description="pixels of a picture")] = 60_000_000
    ocr: Annotated[bool, Meta(description="whether pictures and scanned pages are read; needs `headrace[ocr]`")] = True


class UploadSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[uploads]`: large documents past Headrace, by way of an object store."""

    object_store: Annotated[
        str | None,
        Meta(
            description="`s3://bucket/prefix?region=…`, see [documents](documents.md#large-files-by-an-object-store); "
            "without it everything is sent to Headrace"
        ),
    ] = None
    min_bytes: Annotated[
        int, Meta(ge=0, description="files of so many bytes and more the page and `headrace upload` put there")
    ] = 16_777_216
    expires: Annotated[
        str, Meta(description="how long an address to put a file to is valid, such as `1h`; at most `7d`")
    ] = "1h"
    keep_objects: Annotated[bool, Meta(description="whether objects stay there once they are fetched")] = False


LONGEST_SIGNED_S = 7 * 86_400
"""So long an address that is signed with Signature Version 4 can be valid."""


def check_expires(text: str) -> None:
    if not 0 < duration_us(text) <= LONGEST_SIGNED_S * 1_000_000:
        raise bad("read [uploads] expires", "a duration of at most 7d", repr(text), "Correct it.")
