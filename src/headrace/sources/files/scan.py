"""Compares a tree with what is known of it. `differences` is pure; `walk` is the only part that reads."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from headrace.sources.files.ignore import Ignore
from headrace.sources.files.known import Index, Known, Signature, is_document, signature
from headrace.sources.files.reading import open_folder


@dataclass(slots=True)
class Tree:
    """What stands below one folder: documents by path, and the folders that could not be listed, with the reason."""

    files: dict[str, Signature] = field(default_factory=dict[str, Signature])
    closed: dict[str, str] = field(default_factory=dict[str, str])


class Differences(NamedTuple):
    """What must be looked at for the known to become the found; paths sorted.

    `read`: new or changed, or not told apart by times alone. `gone`: known and not found. `closed`: found or known
    below a folder that cannot be listed, so nothing can be said of them any more. `opened`: folders that can be
    listed again, or are no more.
    """

    read: list[str]
    gone: list[str]
    closed: list[str]
    opened: list[str]


def differences(tree: Tree, known: Index, folder: str) -> Differences:
    """Compares what was found below `folder` ("" is the root) with everything known there."""
    read = [path for path, seen in tree.files.items() if _differs(known.get(path), seen)]
    gone: list[str] = []
    closed: list[str] = []
    opened: list[str] = []
    for path in known.below(folder):
        if path.endswith("/"):
            if path[:-1] not in tree.closed:
                opened.append(path)
        elif path not in tree.files:
            (closed if _is_below(path, tree.closed) else gone).append(path)
    return Differences(sorted(read), sorted(gone), sorted(closed), sorted(opened))


def _differs(known: Known | None, seen: Signature) -> bool:
    return known is None or known.racy or bool(known.rejected) or known.signature != seen


def _is_below(path: str, folders: Mapping[str, str]) -> bool:
    while folders and path:
        path = path.rpartition("/")[0]
        if path in folders:
            return True
    return False


def walk(root: int, folder: str, ignore: Ignore, watch: Callable[[str], None], breathe: Callable[[], None]) -> Tree:
    """Everything that may be a document below `folder` of the folder opened as `root`.

    `watch(path)` is called before a folder is listed, so that nothing that appears later is missed; `breathe()` once
    in a while, to take in hints. A folder that vanishes meanwhile is empty. Links are never followed.
    Raises OSError when the storage does not answer, SourceError as `watch` does.
    """
    tree, stack, count = Tree(), [folder], 0
    while stack:
        path = stack.pop()
        if not ignore.takes_folder(path):
            continue
        try:
            watch(path)
            stack.extend(_list(root, path, ignore, tree))
        except PermissionError as error:
            tree.closed[path] = error.strerror or "no right to"
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise
        count += 1
        if count % 64 == 0:
            breathe()
    return tree


def _list(root: int, folder: str, ignore: Ignore, tree: Tree) -> list[str]:
    folders: list[str] = []
    files: dict[str, Signature] = {}
    opened = open_folder(root, folder, listing=True)
    try:
        with os.scandir(opened) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                elif entry.is_file(follow_symlinks=False) and ignore.takes_file(path):
                    _note(entry, path, files)
    finally:
        os.close(opened)
    tree.files.update(files)  # all of a folder's files or, when it cannot be searched, none
    return folders


def _note(entry: os.DirEntry[str], path: str, files: dict[str, Signature]) -> None:
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
    if is_document(found.st_mode):
        files[path] = signature(found)
