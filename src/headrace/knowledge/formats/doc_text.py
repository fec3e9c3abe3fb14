"""The text of a Word 97-2003 file: its header, and the pieces that its characters stand in ([MS-DOC] 2.4.1, 2.5)."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise

from headrace.errors import BadInput
from headrace.knowledge.formats.compound import Compound

_WORD_97 = 0x00C0  # 0x00C1; its bidirectional builds wrote 0x00C0 and 0x00C2 ([MS-DOC] 2.5.2)
_ENCRYPTED, _TABLE_1, _OBFUSCATED = 0x0100, 0x0200, 0x8000
_LENGTHS = 76
_STORIES = ("main", "footnotes", "headers", "macros", "comments", "endnotes", "boxes")
"""The parts of the text, one behind another, as the header gives their lengths ([MS-DOC] 2.5.4)."""
_PAIRS = 154
_CLX = 33
_PRC, _PCDT = 1, 2
_COMPRESSED = 1 << 30
# A byte of a compressed piece is the Unicode character of its number, but for what [MS-DOC] 2.9, FcCompressed, lists of
# 0x80-0x9F. That is Windows-1252 without three characters, which other programs do write.
_BYTES = "".join(bytes([n]).decode("cp1252", "ignore") or chr(n) for n in range(256))


@dataclass(frozen=True, slots=True)
class Piece:
    """Characters from `first` to before `last` stand at `at` of the stream, `width` bytes each."""

    first: int
    last: int
    at: int
    width: int


class Document:
    """A Word file's streams and characters. Raises BadInput for one that is damaged, encrypted, or older.

    `text` has one character for each character position, which is a code unit of UTF-16: see `readable`.
    """

    def __init__(self, compound: Compound) -> None:
        self._compound = compound
        self.main = compound.stream("WordDocument")
        self._check()
        (flags,) = struct.unpack_from("<H", self.main, 10)
        self._table = compound.stream("1Table" if flags & _TABLE_1 else "0Table")
        lengths = [max(n, 0) for n in struct.unpack_from("<7i", self.main, _LENGTHS)]
        self._stories: dict[str, tuple[int, int]] = dict(
            zip(_STORIES, pairwise(accumulate(lengths, initial=0)), strict=True)
        )
        self.pieces = list(self._pieces())
        self._firsts = [p.first for p in self.pieces]
        self.text = "".join(self._characters(p) for p in self.pieces)

    def _check(self) -> None:
        if len(self.main) < _PAIRS:
            raise self.damaged("no text in it")
        magic, number = struct.unpack_from("<HH", self.main)
        (flags,) = struct.unpack_from("<H", self.main, 10)
        if magic != 0xA5EC or number < _WORD_97:
            raise self._compound.file.refused(
                "a Word document of Word 97 or later",
                "one of Word 95 or before" if magic in (0xA5EC, 0xA5DC, 0xA59B, 0xA59C) else "another kind of file",
                "Save it in a current format, or leave it out with `exclude`.",
            )
        if flags & (_ENCRYPTED | _OBFUSCATED):
            raise self._compound.encrypted()

    def story(self, name: str) -> tuple[int, int]:
        """Where a part of the text begins and ends, within the characters that there are."""
        begin, end = self._stories[name]
        return min(begin, len(self.text)), min(end, len(self.text))

    def damaged(self, error: object) -> BadInput:
        return self._compound.damaged(error)

    def data(self) -> bytes:
        """The stream of properties that are too long for their place."""
        return self._compound.stream("Data")

    def structure(self, index: int) -> bytes:
        """A structure of the table stream by its number in FibRgFcLcb97; empty where there is none."""
        at = _PAIRS + 8 * index
        if at + 8 > len(self.main):
            return b""
        start, size = struct.unpack_from("<II", self.main, at)
        return self._table[start : start + size]

    def plc(self, index: int, size: int) -> tuple[list[int], list[bytes]]:
        """A PLC ([MS-DOC] 2.2.2): ascending positions, and the data of `size` bytes behind each but the last."""
        data = self.structure(index)
        count = max((len(data) - 4) // (4 + size), 0)
        places = list(struct.unpack_from(f"<{count + 1}I", data)) if count else []
        begin = 4 * (count + 1)
        return places, [data[begin + n * size : begin + (n + 1) * size] for n in range(count)]

    def where(self, character: int) -> int:
        """A character's offset in the stream, by which its properties are kept."""
        piece = self.pieces[max(bisect_right(self._firsts, character) - 1, 0)]
        return piece.at + (character - piece.first) * piece.width

    def _pieces(self) -> Iterator[Piece]:
        """The piece table (Clx in [MS-DOC] 2.9), behind properties that are of no use here."""
        clx = self.structure(_CLX)
        at = 0
        while at + 3 <= len(clx) and clx[at] == _PRC:
            at += 3 + struct.unpack_from("<H", clx, at + 1)[0]
        if at + 5 > len(clx) or clx[at] != _PCDT:
            raise self.damaged("no piece table in it")
        table = clx[at + 5 : at + 5 + struct.unpack_from("<I", clx, at + 1)[0]]
        count = max((len(table) - 4) // 12, 0)
        places = struct.unpack_from(f"<{count + 1}I", table) if count else ()
        first = 0
        for n in range(count):
            (raw,) = struct.unpack_from("<I", table, 4 * (count + 1) + 8 * n + 2)
            width = 1 if raw & _COMPRESSED else 2
            at = (raw & (_COMPRESSED - 1)) // (3 - width)
            # No two pieces share characters in the stream: more of them than it has bytes is made to do harm.
            if places[n] != first or places[n + 1] < first or places[n + 1] > len(self.main):
                raise self.damaged("pieces that do not follow one another")
            last = min(places[n + 1], first + max(len(self.main) - at, 0) // width)
            yield Piece(first, last, at, width)
            if last < places[n + 1]:
                return  # cut off: what is there is read
            first = last

    def _characters(self, piece: Piece) -> str:
        size = (piece.last - piece.first) * piece.width
        raw = self.main[piece.at : piece.at + size]
        if piece.width == 1:
            return raw.decode("latin-1").translate(_BYTES_TABLE)
        text = raw.decode("utf-16-le", "surrogatepass")
        return text if len(text) * 2 == len(raw) else "".join(map(chr, struct.unpack(f"<{len(raw) // 2}H", raw)))


_BYTES_TABLE = str.maketrans({chr(n): c for n, c in enumerate(_BYTES) if chr(n) != c})


def readable(text: str) -> str:
    """Code units as characters: those that stand for one together are joined."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
