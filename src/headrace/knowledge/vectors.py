"""Vectors of texts: what was ever made is not made again, and a service that cannot embed now is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import numpy as np
import structlog
from numpy.typing import NDArray

from headrace.errors import EmbeddingError
from headrace.knowledge.pauses import FIRST_PAUSE_S, LONGEST_PAUSE_S
from headrace.models import Embedder, Vectors
from headrace.stores.stock import WorkCache

logger = structlog.get_logger("headrace.knowledge")


class KeptVectors:
    """Of an embedder, and of the texts that stand in the store already."""

    def __init__(self, embedder: Embedder, work: WorkCache) -> None:
        self._embedder = embedder
        self._work = work

    async def of(self, wanted: Mapping[bytes, str], *, background: bool) -> dict[bytes, NDArray[np.float32]]:
        """By the hash of each text. Waits as `made` does."""
        if not wanted:
            return {}
        found = await self._work.vectors(list(wanted))
        missing = [h for h in wanted if h not in found]
        if missing:
            made = await self.made([wanted[h] for h in missing], background=background)
            found |= dict(zip(missing, made, strict=True))
        return found

    async def one(self, digest: bytes, text: str) -> NDArray[np.float32]:
        """A single text's, which is not waited for. Raises EmbeddingError."""
        found = await self._work.vectors([digest])
        return found[digest] if digest in found else (await self._embedder.embed([text], background=True))[0]

    async def made(self, texts: Sequence[str], *, background: bool) -> Vectors:
        """Waits as long as a service cannot embed them: nothing is wrong with what changed, and behind it everything
        stays in its order. Deletes go on, as they do not come here."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return await self._embedder.embed(texts, background=background)
            except EmbeddingError as error:
                again_s = min(max(error.after_s or pause_s, FIRST_PAUSE_S), LONGEST_PAUSE_S)
                logger.warning("texts wait for their embedding", texts=len(texts), error=str(error), again_in_s=again_s)
            await asyncio.sleep(again_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
