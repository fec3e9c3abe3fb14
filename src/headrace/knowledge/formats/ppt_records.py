"""The records of a PowerPoint 97-2003 file, and where its slides are among them ([MS-PPT] 2.1.2, 2.3)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from headrace.knowledge.formats.compound import Compound

_CURRENT_USER, _USER_EDIT, _PERSIST_DIRECTORY = 0x0FF6, 0x0FF5, 0x1772
_ENCRYPTED_TOKEN = 0xF3D1C4DF
_CONTAINER = 0xF
_DEPTH = 64
_BOTH = "PP97_DUALSTORAGE/"  # where PowerPoint 95 was to read the file too


@dataclass(frozen=True, slots=True)
class Record:
    """Its content stands from `begin` to before `end`; `container`: it is made of records."""

    kind: int
    instance: int
    container: bool
    begin: int
    end: int


class Document:
    """A PowerPoint file's stream and the places of its persist objects. Raises BadInput for one that is damaged or
    encrypted."""

    def __init__(self, compound: Compound) -> None:
        self._compound = compound
        folder = _BOTH if compound.has(_BOTH + "PowerPoint Document") else ""
        self.stream = compound.stream(folder + "PowerPoint Document")
        self._read = 0
        self._places: dict[int, int] = {}
        self.main = self._edits(compound.stream(folder + "Current User"))

    def _edits(self, user: bytes) -> int:
        """Follows the edits from the last one back; gives the persist number of the document."""
        if len(user) < 20 or struct.unpack_from("<H", user, 2)[0] != _CURRENT_USER:
            raise self._compound.damaged("nothing that says where its last edit is")
        token, at = struct.unpack_from("<II", user, 12)
        if token == _ENCRYPTED_TOKEN:
            raise self._compound.encrypted()
        main, seen = 0, set[int]()
        while at not in seen:
            seen.add(at)
            edit = self.record(at)
            if edit is None or edit.kind != _USER_EDIT or edit.end - edit.begin < 20:
                break
            if edit.end - edit.begin >= 32 and struct.unpack_from("<I", self.stream, edit.begin + 28)[0]:
                raise self._compound.encrypted()
            at, directory, number = struct.unpack_from("<III", self.stream, edit.begin + 8)
            main = main or number
            self._directory(directory)
            if not at:
                break
        return main

    def _directory(self, at: int) -> None:
        """PersistDirectoryAtom ([MS-PPT] 2.3.4): first number and count, and an offset for each."""
        found = self.record(at)
        if found is None or found.kind != _PERSIST_DIRECTORY:
            return
        self.spend(found)
        at = found.begin
        while at + 4 <= found.end:
            (head,) = struct.unpack_from("<I", self.stream, at)
            first, count = head & 0xFFFFF, min(head >> 20, (found.end - at - 4) // 4)
            for n, place in enumerate(struct.unpack_from(f"<{count}I", self.stream, at + 4)):
                self._places.setdefault(first + n, place)  # edits come from the last one on
            at += 4 + 4 * count

    def spend(self, record: Record) -> None:
        """Counts what is read of the stream: all that refers to it must not read it again and again."""
        self._read += record.end - record.begin
        if self._read > 2 * len(self.stream):
            raise self._compound.damaged("parts that lie in one another")

    def object(self, number: int, kind: int) -> Record | None:
        """A persist object by its number, if it is of the kind. It is read once."""
        place = self._places.pop(number, None)
        found = self.record(place) if place is not None else None
        if found is None or found.kind != kind or not found.container:
            return None
        self.spend(found)
        return found

    def record(self, at: int, end: int | None = None) -> Record | None:
        """The record at an offset, up to the end of what it stands in."""
        end = len(self.stream) if end is None else end
        if at + 8 > end:
            return None
        head, kind, size = struct.unpack_from("<HHI", self.stream, at)
        return Record(kind, head >> 4, head & 0xF == _CONTAINER, at + 8, min(at + 8 + size, end))

    def children(self, parent: Record) -> Iterator[Record]:
        at = parent.begin
        while (found := self.record(at, parent.end)) is not None:
            yield found
            at = found.end

    def inside(self, parent: Record, *whole: int) -> Iterator[Record]:
        """All records inside one in order; those of the kinds `whole` are not gone into."""
        stack = [self.children(parent)]
        while stack:
            found = next(stack[-1], None)
            if found is None:
                stack.pop()
                continue
            yield found
            if found.container and found.kind not in whole and len(stack) < _DEPTH:
                stack.append(self.children(found))
