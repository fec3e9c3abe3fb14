"""Vectors and documents that stand in the store already: work that need not be done again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headrace.stores.postgres.connecting import READ, Pool, linked
from headrace.stores.postgres.knowledge import SQL as KNOWLEDGE
from headrace.stores.postgres.stock import PostgresStock
from headrace.stores.stock import StoredDocument
from headrace.stores.values import DEFAULT_TENANT


class PostgresWorkCache:
    """Implements `headrace.stores.stock.WorkCache`: vectors of texts that stand in the store already."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def vectors(self, text_hashes: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        args = {"tenant": DEFAULT_TENANT, "hashes": list(text_hashes)}
        async with linked(READ, self._pool) as link:
            rows = await (await link.execute(KNOWLEDGE["vectors"], args, binary=True)).fetchall()
        return {hash: vector.to_numpy().astype(np.float32) for hash, vector in rows}

    async def stored(self, document: str) -> StoredDocument | None:
        async with linked(READ, self._pool) as link:
            return next(iter(await PostgresStock(link).stored([document])), None)
