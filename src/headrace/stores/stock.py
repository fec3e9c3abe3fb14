"""Ports: what the present documents were made by, and work done before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from headrace.access import OPEN, Access
from headrace.change import Stamp
from headrace.stores.values import JSON


@dataclass(frozen=True, slots=True)
class MadeBy:
    """So many present documents of a topic were made by the steps of this key ("": not known)."""

    topic: str
    source: str
    made: str
    documents: int


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A present version as it can be cut and embedded again without its source; fields as in its draft."""

    id: str
    topic: str
    stamp: Stamp
    content_hash: str
    title: str
    text: str
    failed: bool
    media: str | None
    dated: int | None
    made: str
    layout: bytes
    access: Access = OPEN


class Stock(Protocol):
    """What the present documents were made by, within one snapshot.

    - `made`: how many of each topic by which steps.
    - `chains`: the steps of each key, as `Store.keep_chains` was given them.
    - `of`: documents of a topic that were made by these steps, by id behind `after`, at most `limit`.
    - `stored`: present versions by id, those that there are.
    - `ever`: a source's documents of which there is any version, by id behind `after`, at most `limit`.
    """

    async def made(self) -> Sequence[MadeBy]: ...
    async def chains(self) -> Mapping[str, JSON]: ...
    async def of(self, topic: str, made: str, after: str, limit: int) -> Sequence[tuple[str, Stamp]]: ...
    async def stored(self, documents: Sequence[str]) -> Sequence[StoredDocument]: ...
    async def ever(self, source: str, after: str, limit: int) -> Sequence[str]: ...


class WorkCache(Protocol):
    """Work done before: vectors by the hash of their text; a document's present version as it is stored."""

    async def vectors(self, text_hashes: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]: ...
    async def stored(self, document: str) -> StoredDocument | None: ...
