"""Named SQL: a file is split at its `-- name:` lines, so that statements stay in `.sql` files."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import LiteralString, cast


def read_queries(filename: str) -> Mapping[str, LiteralString]:
    """The statements of one `.sql` file of this package by their names."""
    queries: dict[str, LiteralString] = {}
    for part in read_sql(filename).split("-- name: ")[1:]:
        name, _, body = part.partition("\n")
        queries[name.strip()] = cast(LiteralString, body.strip())
    return queries


def read_sql(filename: str) -> LiteralString:
    """One `.sql` file of this package: text of ours, never of a client, and so as good as a literal."""
    return cast(LiteralString, files(__package__).joinpath(filename).read_text("utf-8"))
