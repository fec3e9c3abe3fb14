"""Ports: what embeds texts and what writes answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

Vectors = NDArray[np.float32]


class Embedder(Protocol):
    """Texts to unit vectors.

    `embed` gives shape (len(texts), dimensions), float32, L2-normalised. Row i depends on texts[i] and on nothing else,
    bit for bit, so that an index built change by change equals one built afresh. Live calls overtake `background`
    ones. Raises BadInput for a text that cannot be embedded, StoreError when the model is gone.
    """

    @property
    def id(self) -> str:
        """Model, precision and version: part of the key of every piece of work made with it."""
        ...

    @property
    def dimensions(self) -> int: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def tokenizer(self) -> Tokenizer: ...
    async def embed(self, texts: Sequence[str], *, background: bool = False) -> Vectors: ...
    def count_tokens(self, text: str) -> int: ...
    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Message:
    """One message to a language model."""

    role: Literal["system", "user", "assistant"]
    content: str


class Generator(Protocol):
    """A language model that streams text.

    `stream` yields text as it comes; closing it early cancels the request at the server. Raises GenerationError when
    the model does not answer, answers with an error, or stops before it has said that it is done; GenerationRefused
    when it is this request that it does not take.
    """

    @property
    def id(self) -> str: ...
    def stream(self, messages: Sequence[Message], *, max_tokens: int) -> AsyncIterator[str]: ...
    async def close(self) -> None: ...
