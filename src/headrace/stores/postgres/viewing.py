"""What a viewer may read, as SQL conditions: put into every statement that reads documents for somebody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headrace.access import Viewer
from headrace.sqlfile import load

SQL = load(Path(__file__).with_name("viewing.sql"))


class Viewing:
    """One viewer's conditions, of the present or (`past`) as of an earlier point."""

    def __init__(self, viewer: Viewer, *, past: bool = False) -> None:
        self.all = viewer.operator
        """Nothing is left out."""
        self.args: dict[str, Any] = {"viewer": viewer.user, "viewer_groups": sorted(viewer.named)}
        self._past = past

    def of(self, alias: str, *, of_all: bool = False) -> bytes:
        """Whether the document of what `alias` stands for may be read now. `of_all`: it is asked of every one."""
        name = "readable_of_all" if of_all else "readable"
        return b"true" if self.all else _fragment(name).replace(b"{of}", alias.encode())

    @property
    def of_version(self) -> bytes:
        """Whether the version `v` may be read."""
        if self.all or not self._past:
            return self.of("v")
        return b"(" + self.of("v") + b" and " + _fragment("was_readable") + b")"

    def filled(self, name: str, alias: str = "d") -> bytes:
        """A statement of `viewing.sql` with what may be read of `alias`."""
        return SQL[name].replace(b"{readable}", self.of(alias))


def _fragment(name: str) -> bytes:
    return SQL[name].rstrip(b"; \n")
