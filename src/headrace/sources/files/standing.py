"""What stands in a folder now, beside its stream: every file's hash."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from headrace.sources.files import reasons
from headrace.sources.files.ignore import Ignore
from headrace.sources.files.reading import Busy, FolderClosed, Vanished, open_root, read
from headrace.sources.files.scan import walk
from headrace.sources.files.tracker import Scope

AT_ONCE = 16
"""Files read in one go: what is asked for meanwhile waits for no more."""


def paths(scope: Scope) -> list[str]:
    """Every path that may be a document, ascending. Raises SourceError."""
    root, _ = open_root(scope.root)
    try:
        tree = walk(root, "", scope.ignore, _nothing, _nothing)
    except OSError as error:
        raise reasons.storage(scope.root, error) from error
    finally:
        os.close(root)
    if "" in tree.closed:
        raise reasons.root_closed(scope.root, tree.closed[""])
    return sorted(path for path in tree.files if reasons.is_text(path))


def hashes(scope: Scope, some: Sequence[str]) -> list[tuple[str, str | None]]:
    """Paths with the hashes of what stands there; None for nothing, and for what is not given. Raises SourceError."""
    root, _ = open_root(scope.root)
    try:
        return [(path, _hash(root, path, scope.max_bytes) if _taken(scope.ignore, path) else None) for path in some]
    finally:
        os.close(root)


def _taken(ignore: Ignore, path: str) -> bool:
    """Whether the path, and every folder above it, may hold documents."""
    parts = path.split("/")
    folders = ("/".join(parts[:n]) for n in range(1, len(parts)))
    return ignore.takes_file(path) and all(ignore.takes_folder(f) for f in folders)


def _hash(root: int, path: str, limit: int) -> str | None:
    try:
        content = read(root, path, limit)
    except (Vanished, FolderClosed):
        return None
    except Busy:
        return f"changing:{time.monotonic_ns()}"  # what it is now, and never again
    except OSError:  # no right to read it, or damaged: then it is not given either
        return None
    return None if content.data is None else "sha256:" + content.digest.hex()


def _nothing(*_: object) -> None:
    """Nobody watches, nothing waits."""
