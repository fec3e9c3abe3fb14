"""Another embedding model in the place of the one before: its vectors are built beside, then all swapped at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic

import structlog
from tokenizers import Tokenizer

from headrace.errors import EmbeddingError
from headrace.knowledge.indexed import indexed_text, text_hash
from headrace.knowledge.report import Progress
from headrace.models import Embedder, Vectors
from headrace.stores import Store
from headrace.stores.beside import BareChunk, Model

BATCH = 64
LAST = 16
"""So many chunks may get their vectors while live changes wait for the swap."""
PAUSE_S, LONGEST_PAUSE_S = 0.2, 60.0
COUNT_S = 1.0
"""How often it is counted how far it is."""

logger = structlog.get_logger("headrace.knowledge")


class Serving:
    """Implements `headrace.models.Embedder`: the one whose vectors are searched, whichever that is by now."""

    def __init__(self, embedder: Embedder) -> None:
        self.now = embedder

    @property
    def id(self) -> str:
        return self.now.id

    @property
    def dimensions(self) -> int:
        return self.now.dimensions

    @property
    def max_tokens(self) -> int:
        return self.now.max_tokens

    @property
    def tokenizer(self) -> Tokenizer:
        return self.now.tokenizer

    async def embed(self, texts: Sequence[str], *, background: bool = False, query: bool = False) -> Vectors:
        return await self.now.embed(texts, background=background, query=query)

    def count_tokens(self, text: str) -> int:
        return self.now.count_tokens(text)

    async def close(self) -> None:
        await self.now.close()


class StandIn(Serving):
    """Serves vectors of an embedder that is gone by another one whose vectors lie beside its own."""

    def __init__(self, embedder: Embedder, id: str) -> None:
        super().__init__(embedder)
        self._id = id

    @property
    def id(self) -> str:
        """Of the one that is gone."""
        return self._id


class Succession:
    """Builds the vectors of `coming` for every chunk that there is, live ones too, then lets it serve.

    `turn` is the knowledge operator's. `free`: whether nobody reads the
    index as a whole (a verification does). `give_way` waits for live changes being applied.
    """

    def __init__(
        self,
        store: Store,
        serving: Serving,
        coming: Embedder,
        address: str,
        turn: asyncio.Lock,
        free: Callable[[], bool],
        give_way: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._beside = store.beside
        self._serving = serving
        self._coming = coming
        self._address = address
        self._turn = turn
        self._free = free
        self._give_way = give_way
        self.before = serving.id
        self.model = coming.id
        self.progress = Progress("vectors", 0, None, 0.0, None)
        self._began, self._first = monotonic(), 0
        self._count_at = 0.0

    async def run(self) -> None:
        """Until it serves. Raises StoreError, and EmbeddingError while a service does not answer; it may be ended at
        any moment and goes on with what is there."""
        await self._answering()
        await self._beside.begin(self.model)
        done, total = await self._beside.counts()
        logger.info("vectors of another model are built", before=self.before, model=self.model, chunks=total - done)
        self.progress = Progress("vectors", done, total, 0.0, None)
        self._began, self._first = monotonic(), done
        pause_s = PAUSE_S
        while True:
            await self._all()
            await self._beside.index(self._coming.dimensions)
            if await self._swapped():
                break
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        logger.info("another model serves", before=self.before, model=self.model)

    async def _answering(self) -> None:
        """A service that did not answer when it was opened says now how long its vectors are."""
        try:
            logger.debug("the model that is to come", dimensions=self._coming.dimensions)
        except EmbeddingError:
            await self._coming.embed([self.model])

    async def _all(self) -> None:
        """Those that have come meanwhile are behind the others."""
        after = -1
        while bare := await self._beside.bare(after, BATCH):
            await self._give_way()
            await self._fill(bare, background=True)
            after = bare[-1].chunk

    async def _swapped(self) -> bool:
        if not self._free():
            return False
        model = Model(self.model, self._address, self._coming.dimensions)
        async with self._turn:
            bare = await self._beside.bare(-1, LAST)
            await self._fill(bare, background=False)
            if len(bare) == LAST or not self._free():
                return False
            return await self._beside.swap(model, self._serve)

    def _serve(self) -> None:
        self._serving.now = self._coming

    async def _fill(self, bare: Sequence[BareChunk], *, background: bool) -> None:
        if bare:
            vectors = await self._coming.embed([self._text(c) for c in bare], background=background)
            await self._beside.fill([c.chunk for c in bare], vectors)
        await self._told()

    def _text(self, chunk: BareChunk) -> str:
        """As it was embedded by the model before, with or without its document's title."""
        titled = indexed_text(chunk.title, chunk.heading, chunk.text)
        return titled if text_hash(titled) == chunk.text_hash else indexed_text("", chunk.heading, chunk.text)

    async def _told(self) -> None:
        if monotonic() < self._count_at:
            return
        done, total = await self._beside.counts()
        self._count_at = monotonic() + COUNT_S
        rate = max(done - self._first, 0) / max(monotonic() - self._began, 1e-6)
        self.progress = Progress("vectors", done, total, rate, (total - done) / rate if rate else None)
