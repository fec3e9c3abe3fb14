"""Reads one file of a folder, whole and unchanged, and never through a link out of it."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from headrace.sources.files.known import Signature, is_document, is_racy, signature
from headrace.sources.files.reasons import missing, not_a_folder, storage

_PATH = getattr(os, "O_PATH", os.O_RDONLY)  # enough to go through a folder that may not be listed (Linux)
_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_ATTEMPTS = 4


class Vanished(Exception):
    """Nothing, or no regular file, stands at that path."""


class Busy(Exception):
    """The file changed during each attempt to read it."""


class FolderClosed(Exception):
    """A folder on the way may not be searched."""


@dataclass(frozen=True, slots=True)
class Content:
    """A file as it was at one moment. `data` is None when it is larger than what may be read."""

    data: bytes | None
    digest: bytes
    signature: Signature
    racy: bool


def open_folder(root: int, path: str, *, listing: bool = False) -> int:
    """A descriptor of the folder `path` below `root`, each step taken without following links. Raises OSError."""
    parts = path.split("/") if path else ["."]
    at = root
    for n, part in enumerate(parts, 1):
        access = os.O_RDONLY if listing and n == len(parts) else _PATH
        try:
            below = os.open(part, access | _FOLDER, dir_fd=at)
        finally:
            if at != root:
                os.close(at)
        at = below
    return at


def find(root: int, path: str) -> os.stat_result:
    """What stands at a path, links not followed. Raises Vanished, FolderClosed, and OSError for anything else."""
    folder, name = _folder_of(root, path)
    try:
        return _stat(folder, name)
    except OSError as error:
        raise _vanished(error) from None
    finally:
        if folder != root:
            os.close(folder)


def read(root: int, path: str, limit: int) -> Content:
    """The file's content, the same before and after reading.

    Raises Vanished, Busy, FolderClosed; PermissionError and other OSErrors as reading gives them.
    """
    folder, name = _folder_of(root, path)
    try:
        for _ in range(_ATTEMPTS):
            content = _attempt(folder, name, limit)
            if content is not None:
                return content
    finally:
        if folder != root:
            os.close(folder)
    raise Busy


def _folder_of(root: int, path: str) -> tuple[int, str]:
    folder, _, name = path.rpartition("/")
    if not folder:
        return root, name
    try:
        return open_folder(root, folder), name
    except PermissionError:
        raise FolderClosed from None
    except OSError as error:
        raise _vanished(error) from None


def _stat(folder: int, name: str) -> os.stat_result:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except PermissionError:  # looking at a file needs no right to it, only to its folder
        raise FolderClosed from None


def _vanished(error: OSError) -> Exception:
    return Vanished() if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP) else error


def _attempt(folder: int, name: str, limit: int) -> Content | None:
    try:
        # Looked at before it is opened: opening a device or a pipe can have effects of its own.
        if not is_document(_stat(folder, name).st_mode):
            raise Vanished
        file = os.open(name, _FILE, dir_fd=folder)
    except OSError as error:
        raise _vanished(error) from None
    try:
        return _consistent(file, limit)
    finally:
        os.close(file)


def _consistent(file: int, limit: int) -> Content | None:
    before = os.fstat(file)
    if not is_document(before.st_mode):
        raise Vanished
    seen = signature(before)
    if before.st_size > limit:
        return Content(None, b"", seen, False)
    began = time.time_ns()
    data = _all(file, before.st_size)
    if signature(os.fstat(file)) != seen or len(data) != before.st_size:
        return None
    return Content(data, hashlib.sha256(data).digest(), seen, is_racy(seen, began))


def _all(file: int, size: int) -> bytes:
    data = os.read(file, size + 1)
    if len(data) == size:
        return data
    parts = [data]
    while data and sum(map(len, parts)) <= size:
        data = os.read(file, size + 1)
        parts.append(data)
    return b"".join(parts)


def open_root(root: Path) -> tuple[int, tuple[int, int]]:
    """A descriptor of the root (which may itself be a link), and its identity (device, inode). Raises Outage."""
    try:
        opened = os.open(root, _PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise missing(root) from None
    except NotADirectoryError:
        raise not_a_folder(root) from None
    except OSError as error:
        raise storage(root, error) from error
    found = os.fstat(opened)
    return opened, (found.st_dev, found.st_ino)
