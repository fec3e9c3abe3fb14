"""What was last given of each file, and how it is kept through restarts."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

# A write within the granularity of the file system's clock after a read can leave the times as they were. Clocks
# tick every 1-10 ms; whole seconds tell a file system that keeps no more (FAT: every 2 s).
_TICK_NS = 20_000_000
_COARSE_TICK_NS = 2_000_000_000


class Signature(NamedTuple):
    """What changes when a file changes."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


def signature(found: os.stat_result) -> Signature:
    return Signature(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def is_racy(seen: Signature, now_ns: int) -> bool:
    """Whether the file could be written again at `now_ns` or later and still have this signature."""
    last = max(seen.mtime_ns, seen.ctime_ns)
    tick = _COARSE_TICK_NS if last % 1_000_000_000 == 0 else _TICK_NS
    return now_ns - last < tick


class Known(msgspec.Struct, frozen=True, array_like=True):
    """One file as last given. `rejected` says why it could not be (and then nothing is given of it)."""

    digest: bytes  # SHA-256 of the content; empty when rejected
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    racy: bool = False
    rejected: str = ""

    @property
    def signature(self) -> Signature:
        return Signature(self.size, self.mtime_ns, self.ctime_ns, self.inode)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Known)

TEXT_PREFIX, BYTES_PREFIX = "f:", "b:"


def state_key(path: str) -> str:
    """`f:guides/a.md`; `b:` with percent-encoded bytes for a name that is not UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return BYTES_PREFIX + quote_from_bytes(os.fsencode(path), safe="/")
    return TEXT_PREFIX + path


def state_path(key: str) -> str:
    """The inverse of `state_key`."""
    if key.startswith(BYTES_PREFIX):
        return os.fsdecode(unquote_to_bytes(key.removeprefix(BYTES_PREFIX)))
    return key.removeprefix(TEXT_PREFIX)


def encode(known: Known | None) -> bytes | None:
    return None if known is None else _encoder.encode(known)


def decode(state: Mapping[str, bytes]) -> dict[str, Known]:
    """Stored state (key -> value) by path. Raises msgspec.DecodeError."""
    return {state_path(key): _decoder.decode(value) for key, value in state.items()}


class Index:
    """Known files by path, and below each folder. A folder that cannot be listed stands in it as `path/`."""

    def __init__(self, files: Mapping[str, Known] | None = None) -> None:
        self._files: dict[str, Known] = {}
        self._folders: dict[str, set[str]] = {}  # folder -> paths of files and folders right below it
        for path, known in (files or {}).items():
            self.put(path, known)

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, path: str) -> bool:
        return path in self._files

    def get(self, path: str) -> Known | None:
        return self._files.get(path)

    def put(self, path: str, known: Known) -> None:
        added = path not in self._files
        self._files[path] = known
        while added and path:
            path, child = _parent(path), path
            siblings = self._folders.setdefault(path, set())
            added = not siblings
            siblings.add(child)

    def drop(self, path: str) -> None:
        if self._files.pop(path, None) is None:
            return
        while path and path not in self._folders and path not in self._files:
            path, child = _parent(path), path
            siblings = self._folders[path]
            siblings.discard(child)
            if not siblings:
                del self._folders[path]

    def below(self, folder: str) -> Iterator[str]:
        """Paths of known files below a folder (`""`: all)."""
        stack = [folder]
        while stack:
            for path in self._folders.get(stack.pop(), ()):
                if path in self._files:
                    yield path
                if path in self._folders:
                    stack.append(path)

    def items(self) -> Iterable[tuple[str, Known]]:
        return self._files.items()


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def is_document(mode: int) -> bool:
    """Only regular files: links are never followed, pipes, sockets and devices have no content to keep."""
    return stat.S_ISREG(mode)
