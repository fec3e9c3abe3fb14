"""Ports: what embeds texts, what reranks passages and what writes answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

Vectors = NDArray[np.float32]
Scores = NDArray[np.float64]


class Embedder(Protocol):
    """Texts to unit vectors.

    `embed` gives shape (len(texts), dimensions), float32, L2-normalised. Row i is made of texts[i] and of nothing else.
    A model in this process gives the same bits for the same text every time, so that an index built change by change
    equals one built afresh; a service may round otherwise from one call to the next, and gives nearly the same vector.
    So nobody holds two calls' vectors against each other: what a vector is of is told by the hash of its text.

    Live calls overtake `background` ones. `query`: they are questions, which some models embed otherwise than what is
    to be found, and for which a service has less time. Raises BadInput for a text that cannot be embedded, StoreError
    when the embedder is closed, and EmbeddingError when a service cannot be used now.
    """

    @property
    def id(self) -> str:
        """Model, precision and version: part of the key of every piece of work made with it."""
        ...

    @property
    def dimensions(self) -> int:
        """Raises EmbeddingError where it is a service that has never said it."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that the model reads; the rest is left out."""
        ...

    @property
    def tokenizer(self) -> Tokenizer:
        """What chunks are cut by: the model's own, or one that comes near."""
        ...

    async def embed(self, texts: Sequence[str], *, background: bool = False, query: bool = False) -> Vectors: ...
    def count_tokens(self, text: str) -> int: ...
    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Service:
    """How it goes with a service that embeds or reranks, since this process began.

    `state`: `ok`, `failing` (its last answer was an error) or `open` (it is left alone until `again_at`, microseconds).
    `reason`: what its last error was. `tokens`: as the service counts them, and estimated where it does not say
    (`estimated`). `cost`: in the currency of the address' prices; None without one.
    """

    state: Literal["ok", "failing", "open"]
    reason: str | None
    again_at: int | None
    requests: int
    failures: int
    texts: int
    tokens: int
    estimated: bool
    cost: float | None


@runtime_checkable
class Served(Protocol):
    """An embedder behind an address."""

    @property
    def service(self) -> Service: ...
    def know(self, dimensions: int) -> None:
        """Of vectors that it made before, in case it does not answer now."""
        ...


class Reranker(Protocol):
    """How well passages answer a query, read together with it.

    `scores` gives shape (len(passages),), float64, finite: score i is of passages[i], and the higher the better. What
    a number means is the model's own; only those of one model and one query are held against each other. A model in
    this process gives the same bits for the same query and passage every time, whatever stands beside it; a service is
    sent several passages together and may round otherwise. Too long a passage is read from its beginning; the query is
    read whole, as long as that leaves room for a passage.

    It is cancelled when it takes too long, and leaves nothing running then but what has begun. Raises RerankingError
    when passages cannot be scored now, for whatever reason, and StoreError when the reranker is closed.
    """

    @property
    def id(self) -> str:
        """Model and version; holds no secret."""
        ...

    async def scores(self, query: str, passages: Sequence[str]) -> Scores: ...
    async def close(self) -> None: ...


@runtime_checkable
class ServedReranker(Protocol):
    """A reranker behind an address."""

    @property
    def service(self) -> Service: ...


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
