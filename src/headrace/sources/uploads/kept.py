"""What a source of uploads keeps in its state: which documents there are, and their originals."""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping

import msgspec

from headrace.change import Position
from headrace.described import About
from headrace.uploads import Given

DOCUMENT, ORIGINAL = "d:", "b:"
_SAMPLE = 64 * 1024
_WORTH_IT = 0.9
_PLAIN, _PACKED = b"\0", b"z"


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One document as it stands in the state."""

    digest: str
    size: int
    major: int
    minor: int
    created_at: int
    changed_at: int
    about: About


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Entry)


def encode(given: Given) -> bytes:
    major, minor = given.position
    return _encoder.encode(
        Entry(given.digest, given.size, major, minor, given.created_at, given.changed_at, given.about)
    )


def decode(name: str, value: bytes) -> Given:
    e = _decoder.decode(value)
    return Given(name, e.digest, e.size, Position(e.major, e.minor), e.created_at, e.changed_at, e.about)


def packed(content: bytes) -> bytes:
    """For keeping: as it is where it does not get smaller."""
    if len(content) > 2 * _SAMPLE and len(zlib.compress(content[-_SAMPLE:], 1)) > _WORTH_IT * _SAMPLE:
        return _PLAIN + content
    smaller = zlib.compress(content, 1)
    return _PACKED + smaller if len(smaller) < _WORTH_IT * len(content) else _PLAIN + content


def unpacked(value: bytes) -> bytes:
    """The inverse of `packed`. Raises zlib.error for what was not written by it."""
    return zlib.decompress(value[1:]) if value.startswith(_PACKED) else value[1:]


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Documents:
    """Every document by name, that of the newest version last; how many have each content."""

    def __init__(self, state: Mapping[str, bytes] | None = None) -> None:
        found = [decode(key.removeprefix(DOCUMENT), value) for key, value in (state or {}).items()]
        found.sort(key=lambda given: given.position)
        self._by_name = OrderedDict((given.name, given) for given in found)
        self._contents = Counter(given.digest for given in found)

    def __len__(self) -> int:
        return len(self._by_name)

    def get(self, name: str) -> Given | None:
        return self._by_name.get(name)

    def names(self) -> list[str]:
        """Ascending."""
        return sorted(self._by_name)

    def has_content(self, digest: str) -> bool:
        return self._contents[digest] > 0

    def put(self, given: Given) -> None:
        self.drop(given.name)
        self._by_name[given.name] = given
        self._contents[given.digest] += 1

    def drop(self, name: str) -> None:
        before = self._by_name.pop(name, None)
        if before is not None:
            self._contents[before.digest] -= 1
            if not self._contents[before.digest]:
                del self._contents[before.digest]

    def since(self, position: Position) -> Iterator[Given]:
        """Newest first."""
        for name in reversed(self._by_name):
            given = self._by_name[name]
            if given.position <= position:
                return
            yield given
