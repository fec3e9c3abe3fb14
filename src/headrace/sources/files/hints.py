"""What a watch tells: where to look. Never what is there: that only the folder itself says."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple, Protocol


class Kind(Enum):
    """Why to look at a path."""

    CREATED = auto()  # a name appeared, its writer has not closed it yet
    MODIFIED = auto()  # written to, its writer has not closed it yet
    WRITTEN = auto()  # a writer closed it
    TOUCHED = auto()  # owner, mode, times or link count
    GONE = auto()  # unlinked
    LEFT = auto()  # renamed away; `cookie` names the rename
    ARRIVED = auto()  # renamed to here; `cookie` names the rename
    OVERFLOW = auto()  # hints were lost: look at everything


class Hint(NamedTuple):
    """One reason to look. `path` is relative to the root; `tree` when it is, or may be, a folder."""

    kind: Kind
    path: str
    cookie: int = 0
    tree: bool = False


class Watch(Protocol):
    """Hints about one folder and everything below it; used by one thread.

    - `exact`: `read()` gives the hints of every operation that ended before it was called. Where that does not hold,
      only a comparison with the whole folder is in step.
    - `fileno()` is readable while hints wait.
    - `add(path)` begins to watch a folder (not what is below it). Raises FileNotFoundError, NotADirectoryError or
      PermissionError when it cannot be, SourceError when the system has no more watches to give.
    - `forget(path)` ends the watching of a folder and everything below it that moved away under its old name.
    """

    @property
    def exact(self) -> bool: ...
    def fileno(self) -> int: ...
    def add(self, path: str) -> None: ...
    def forget(self, path: str) -> None: ...
    def read(self) -> list[Hint]: ...
    def close(self) -> None: ...
