"""Vectors of texts that were embedded for questions lately: people ask again, and answers choose among the same
sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headrace.models import Embedder, Vectors
from headrace.stores.values import Vector

REMEMBERED = 4096
"""Texts; with 384 dimensions, 6 MB."""


class Remembered:
    """An embedder's vectors, the ones used last kept. A vector depends on its text alone, so nothing goes stale as long
    as it is of the same model."""

    def __init__(self, embedder: Embedder, most: int = REMEMBERED) -> None:
        self._embedder = embedder
        self._most = most
        self._vectors: dict[str, Vector] = {}
        self._model = embedder.id

    @property
    def model(self) -> str:
        """Whose vectors they are by now."""
        if self._model != self._embedder.id:
            self._model = self._embedder.id
            self._vectors.clear()
        return self._model

    def known(self, text: str) -> Vector | None:
        """A vector that need not be made."""
        vector = self._vectors.pop(text, None) if self.model else None
        if vector is not None:
            self._vectors[text] = vector  # the newest last
        return vector

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """As `Embedder.embed` of queries, all of one model; each text that is not remembered is embedded once."""
        while True:
            model = self.model
            found = {t: v for t in texts if (v := self.known(t)) is not None}
            missing = [t for t in dict.fromkeys(texts) if t not in found]
            if not missing:
                break
            made = dict(zip(missing, await self._embedder.embed(missing, query=True), strict=True))
            if self.model == model:
                found |= made
                self._vectors |= made
                break
        while len(self._vectors) > self._most:
            del self._vectors[next(iter(self._vectors))]
        return np.stack([found[t] for t in texts]) if texts else np.empty((0, self._embedder.dimensions), np.float32)
