"""Compound files, which Office's documents were before 2007 ([MS-CFB]): streams by name, none longer than the file."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Self

from olefile import OleFileIO

from headrace.errors import BadInput
from headrace.knowledge.parsed import File, Parsed

UNREADABLE = (struct.error, IndexError, ValueError)
"""What reading a stream that is damaged raises."""
_BROKEN = (OSError, struct.error, LookupError, ValueError, TypeError, AttributeError, ArithmeticError)  # the library's
_HEADER = struct.Struct("<30xHH10xL16xL4xL")  # shifts of sectors and mini sectors; sectors of FAT, mini FAT and DIFAT
_SECTOR_SHIFTS, _MINI_SHIFT = (9, 12), 6
_SLACK = 110
"""Sectors of the allocation table that there may be beyond need: as many as the header has room for."""


class Compound:
    """An opened compound file. Raises BadInput for one that is damaged."""

    def __init__(self, file: File, what: str) -> None:
        self.file = file
        self.what = what
        try:
            _check(file.content)
            self._ole = OleFileIO(io.BytesIO(file.content))
            if self._ole.root.size > len(file.content):
                raise ValueError("more small streams than the file is long")
        except _BROKEN as error:
            raise self.damaged(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self._ole.close()

    def has(self, name: str) -> bool:
        return self._ole.exists(name)

    def names(self) -> list[list[str]]:
        """The streams, each by its folders and its name."""
        return self._ole.listdir()

    def stream(self, name: str) -> bytes:
        """A stream's bytes, empty where there is none. Raises BadInput."""
        self.file.meter.tick()
        try:
            if not self._ole.exists(name):
                return b""
            if self._ole.get_size(name) > len(self.file.content):
                raise ValueError(f"a longer {name} than the file")  # sectors in a circle would be read until then
            return self._ole.openstream(name).read()
        except _BROKEN as error:
            raise self.damaged(error) from None

    def damaged(self, error: object) -> BadInput:
        got = f"a damaged one ({str(error)[:200]})" if str(error) else "a damaged one"
        return self.file.refused(f"{self.what} that is whole", got, "Copy or save it again.")

    def encrypted(self) -> BadInput:
        expected = f"{self.what} that is not encrypted"
        return self.file.refused(expected, "one with a password", "Remove the password.")


def read(file: File, what: str, of: Callable[[Compound], Parsed]) -> Parsed:
    """What `of` reads of a compound file. Raises BadInput for one that is damaged."""
    with Compound(file, what) as compound:
        try:
            return of(compound)
        except UNREADABLE as error:
            raise compound.damaged(error) from None


def _check(content: bytes) -> None:
    """What the header says must fit the file: the library takes its word ([MS-CFB] 2.2). Raises ValueError."""
    shift, mini, tables, small, more = _HEADER.unpack_from(content)
    if shift not in _SECTOR_SHIFTS or mini != _MINI_SHIFT:
        raise ValueError("sectors of an unknown size")
    sectors = len(content) >> shift
    described = sectors >> (shift - 2)  # a sector of the table describes as many as it has numbers of four bytes
    if tables > described + _SLACK or small > sectors or more > described + _SLACK:
        raise ValueError("tables longer than the file")
