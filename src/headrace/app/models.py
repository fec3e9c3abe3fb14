"""The models that are open: they outlive what stands on a store connection."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from headrace.answer.rerank import Ranking
from headrace.config.references import without_secrets
from headrace.config.sections import Models
from headrace.errors import ConfigError, HeadraceError
from headrace.knowledge.succession import Serving, StandIn
from headrace.models import Embedder, Generator, Reranker
from headrace.registry import GENERATORS, chosen_here, embedder_at, lookup, reranker_at

DEFAULT = Models().embedding
"""The model that comes along, with nothing said of how it is run."""


class OpenModels:
    """What embeds, what reranks and what writes, each opened once: `open` before anything else, `close` at the end."""

    def __init__(self, settings: Models) -> None:
        self._settings = settings
        self._address = settings.embedding
        self._embedder: Embedder | None = None
        self._before: Embedder | None = None
        self._ranking: Ranking | None = None
        self._generators: dict[str, Generator] = {}

    @property
    def embedder(self) -> Embedder:
        """The one that is configured."""
        assert self._embedder is not None
        return self._embedder

    @property
    def address(self) -> str:
        """That of `embedder`, as it is kept with its vectors: without secrets, with the runtime that was chosen."""
        return without_secrets(self._address)

    @property
    def embedders(self) -> Sequence[Embedder]:
        """Those in use: the one that is configured, and another one that serves until its vectors are built."""
        return [e for e in (self._embedder, self._before) if e is not None]

    @property
    def ranking(self) -> Ranking | None:
        """The reranker with its bounds, and what came of it."""
        return self._ranking

    @property
    def generator(self) -> Generator | None:
        """That of answers; None where they are extractive."""
        return self._generators.get(self._settings.generation or "")

    async def open(self) -> None:
        """Raises ConfigError, and EmbeddingError when a service does not answer."""
        settings = self._settings
        self._address = chosen_here(settings.embedding)
        self._embedder = await asyncio.to_thread(embedder_at, self._address)
        if settings.reranker:
            reranker: Reranker = await asyncio.to_thread(reranker_at, settings.reranker)
            self._ranking = Ranking(
                reranker, settings.rerank_candidates, settings.rerank_ms / 1000, by_default=settings.rerank
            )
        if settings.generation:
            self.generator_at(None)

    def generator_at(self, address: str | None) -> Generator:
        """The generator of answers, or another one, opened when it is first asked for. Raises ConfigError."""
        url = address or self._settings.generation or ""
        if url not in self._generators:
            self._generators[url] = lookup("generators", GENERATORS, url)(url)
        return self._generators[url]

    async def serving(self, stored: tuple[str, str | None] | None) -> Serving:
        """The embedder of the vectors that there are (`stored`: its id and address): another one than what is
        configured until its own are built. Raises ConfigError."""
        if stored is None or stored[0] == self.embedder.id:
            return Serving(self.embedder)
        id, address = stored[0], stored[1] or DEFAULT
        if self._before is None or self._before.id != id:
            self._before = await self._opened_before(id, address)
        if self._settings.embedding == DEFAULT and self._goes_on(self._before):
            await self.embedder.close()
            self._embedder, self._address, self._before = self._before, address, None
            return Serving(self.embedder)
        return Serving(self._before)

    def _goes_on(self, before: Embedder) -> bool:
        """The runtime is left to us: that of the vectors that there are is kept, rather than all embedded anew."""
        return _is_of_default(before.id) and not isinstance(before, StandIn)

    async def _opened_before(self, id: str, address: str) -> Embedder:
        """The embedder `id`; of the model that comes with Headrace also what there is of it here, when its file was
        another one in an earlier release, or its runtime is not installed any more."""
        step, remedy = "open the embedding model before", "Put it back, or start with an empty store."
        expected = f"{id} at {address}, to serve until the vectors of {self.embedder.id} are built"
        related = _is_of_default(id) and _is_of_default(self.embedder.id)
        try:
            before: Embedder = await asyncio.to_thread(embedder_at, address)
        except HeadraceError as error:
            if related:
                return StandIn(self.embedder, id)
            raise ConfigError(step=step, expected=expected, got=error.got, remedy=remedy) from error
        if before.id == id:
            return before
        await before.close()
        if related:
            return StandIn(self.embedder, id)
        raise ConfigError(step=step, expected=expected, got=before.id, remedy=remedy)

    async def close(self) -> None:
        for embedder in self.embedders:
            await embedder.close()
        if self._ranking:
            await self._ranking.reranker.close()
        for generator in self._generators.values():
            await generator.close()


def _is_of_default(id: str) -> bool:
    """Whether an embedder with this id has the weights of the model that comes along, by whichever file and runtime."""
    return id.startswith(DEFAULT.partition(":")[2] + "/")
