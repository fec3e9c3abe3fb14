"""Port: vectors of another model, built beside those that are searched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Model:
    """An embedding model: `id` as the embedder tells it, `address` as it is configured."""

    id: str
    address: str
    dimensions: int


@dataclass(frozen=True, slots=True)
class BareChunk:
    """A chunk that has no vector of the model that is to come, with what is embedded of it."""

    chunk: int
    title: str
    heading: str
    text: str
    text_hash: bytes


class Beside(Protocol):
    """Vectors of another model, built beside those that are searched.

    - `begin` makes room for those of a model, or goes on with what is there of it; those of a third one go.
    - `cancel` lets go of what is there.
    - `counts`: chunks that have one, and all.
    - `bare`: chunks that have none, by number behind `after`, at most `limit`.
    - `fill` gives chunks theirs; those that are no longer there are left out.
    - `index` makes them quick to search.
    - `swap` puts them in the place of the others, in one step that no reader sees half of; `serve` is called before
      anybody reads again. False, and nothing has happened, while a chunk lacks one or somebody reads for too long. The
      caller holds the operator's turn.
    """

    async def begin(self, model: str) -> None: ...
    async def cancel(self) -> None: ...
    async def counts(self) -> tuple[int, int]: ...
    async def bare(self, after: int, limit: int) -> Sequence[BareChunk]: ...
    async def fill(self, chunks: Sequence[int], vectors: NDArray[np.float32]) -> None: ...
    async def index(self, dimensions: int) -> None: ...
    async def swap(self, model: Model, serve: Callable[[], None]) -> bool: ...
