"""Word and PowerPoint files as they were before 2007, made here: no more in them than a test asks for."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from tests import documents as make

ENCRYPTED, ENCRYPTED_TOKEN, PLAIN_TOKEN = 0x0100, 0xF3D1C4DF, 0xE391C05F
_TEXT = 2048
"""Where the text begins in its stream."""


def word(
    pieces: Sequence[bytes | str],
    *,
    flags: int = 0,
    number: int = 0x00C1,
    table: bytes | None = None,
    deleted: tuple[int, int] | None = None,
) -> bytes:
    """A document ([MS-DOC]) of pieces: bytes for a compressed one. `table`: the piece table itself. `deleted`: bytes of
    the stream that are deleted, from and to before."""
    stream = bytearray(_TEXT)
    places, described, characters = [0], b"", 0
    for piece in pieces:
        raw = piece if isinstance(piece, bytes) else piece.encode("utf-16-le", "surrogatepass")
        at = len(stream) * 2 | 1 << 30 if isinstance(piece, bytes) else len(stream)
        stream += raw
        characters += len(raw) // (1 if isinstance(piece, bytes) else 2)
        places.append(characters)
        described += struct.pack("<HIH", 0, at, 0)
    pieced = struct.pack(f"<{len(places)}I", *places) + described
    clx = table if table is not None else b"\x02" + struct.pack("<I", len(pieced)) + pieced
    struct.pack_into("<HH", stream, 0, 0xA5EC, number)
    struct.pack_into("<H", stream, 10, flags)
    struct.pack_into("<I", stream, 76, characters)
    struct.pack_into("<II", stream, 154 + 8 * 33, 0, len(clx))
    if deleted is not None:  # a page of formatted runs, at 1536, with one modifier at its offset 100
        struct.pack_into("<II", stream, 154 + 8 * 12, len(clx), 12)
        clx += struct.pack("<III", *deleted, 3)
        page = bytearray(512)
        struct.pack_into("<IIB", page, 0, *deleted, 50)
        page[100:104] = b"\x03\x00\x08\x01"
        page[511] = 1
        stream[1536:2048] = page
    return make.compound({"WordDocument": bytes(stream), "0Table": clx})


def record(kind: int, content: bytes, instance: int = 0, *, container: bool = False) -> bytes:
    return struct.pack("<HHI", instance << 4 | (0xF if container else 0), kind, len(content)) + content


def slides(
    texts: Sequence[bytes], *, token: int = PLAIN_TOKEN, before: int = 0, drawn: bytes = b"", places: Sequence[int] = ()
) -> bytes:
    """A presentation ([MS-PPT]) of slides with one text each, in the outline. `before`: where the edit before the last
    one is said to be. `drawn`: the slides' records, and `places` where in them each begins."""
    listed = b"".join(
        record(0x03F3, struct.pack("<5I", 2 + n, 0, 0, 256 + n, 0))
        + record(0x0F9F, struct.pack("<I", 0))
        + record(0x0FA8, text)
        for n, text in enumerate(texts)
    )
    document = record(0x03E8, record(0x0FF0, listed, container=True), container=True)
    numbered = [0, *(len(document) + place for place in places)]
    directory = record(0x1772, struct.pack(f"<{len(numbered) + 1}I", 1 | len(numbered) << 20, *numbered))
    start = len(document) + len(drawn)
    edit = record(0x0FF5, struct.pack("<IIIIIIHH", 0, 0, before, start, 1, 2, 0, 0))
    at = start + len(directory)
    user = record(0x0FF6, struct.pack("<III", 20, token, at) + bytes(12))
    return make.compound({"PowerPoint Document": document + drawn + directory + edit, "Current User": user})
