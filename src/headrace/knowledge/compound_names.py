"""Names at the root of a compound file ([MS-CFB] 2.2, 2.5, 2.6), told without opening its streams.

What is embedded in a document stands in the same file under folders of its own, with its program's names: only those at
the root say whose file it is. What a file is must be told without the extra that reads it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_HEADER = struct.Struct("<30xH16xL")  # shift of sectors, first sector of the directory
_IN_HEADER, _SECTORS_IN_HEADER = 76, 109
_ENTRY = 128
_LINKS = struct.Struct("<64xH2xLLL")  # length of the name in bytes, left and right of it, its child
_NONE = 0xFFFFFFFF
_MOST = 100_000


def root_names(content: bytes) -> frozenset[str]:
    """Names of the streams and folders right below the root. Raises ValueError for a directory that is damaged, or
    lies so far behind that its header does not lead there."""
    try:
        entries = list(_entries(content))
        _, _, _, child = _LINKS.unpack_from(entries[0])
        return frozenset(_siblings(entries, child))
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"a directory that is damaged ({error})") from None


def _siblings(entries: list[bytes], first: int) -> Iterator[str]:
    """A folder's entries are a tree of their own."""
    stack, seen = [first], set[int]()
    while stack:
        number = stack.pop()
        if number == _NONE or number in seen:
            continue
        seen.add(number)
        size, left, right, _ = _LINKS.unpack_from(entries[number])
        yield entries[number][: max(size - 2, 0)].decode("utf-16-le")
        stack += [left, right]


def _entries(content: bytes) -> Iterator[bytes]:
    shift, sector = _HEADER.unpack_from(content)
    if shift not in (9, 12):
        raise ValueError(f"sectors of 2^{shift} bytes")
    size, seen = 1 << shift, 0
    while sector < _NONE - 5:  # the highest numbers are marks
        seen += size // _ENTRY
        if seen > _MOST:
            raise ValueError("a directory in a circle")
        start = (sector + 1) << shift
        for at in range(start, start + size, _ENTRY):
            yield content[at : at + _ENTRY]
        table, place = divmod(sector, size // 4)
        if table >= _SECTORS_IN_HEADER:
            raise ValueError("a directory behind what the header leads to")
        (of_table,) = struct.unpack_from("<L", content, _IN_HEADER + 4 * table)
        (sector,) = struct.unpack_from("<L", content, ((of_table + 1) << shift) + 4 * place)
