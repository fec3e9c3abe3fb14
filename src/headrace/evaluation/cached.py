"""Vectors kept in a file between runs, so that measuring again takes seconds."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from headrace.models import Embedder, Vectors
from headrace.stores.values import Vector


class CachedEmbedder:
    """An embedder whose vectors are looked up by text and model first. Implements `headrace.models.Embedder`."""

    def __init__(self, embedder: Embedder, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._embedder = embedder
        self._kept = sqlite3.connect(file)
        self._kept.execute("create table if not exists vectors (key blob primary key, vector blob) without rowid")
        self._questions: dict[str, Vector] = {}
        self.made = 0
        """How many texts were not in the file."""

    @property
    def id(self) -> str:
        return self._embedder.id

    @property
    def dimensions(self) -> int:
        return self._embedder.dimensions

    @property
    def max_tokens(self) -> int:
        return self._embedder.max_tokens

    @property
    def tokenizer(self) -> Tokenizer:
        return self._embedder.tokenizer

    def count_tokens(self, text: str) -> int:
        return self._embedder.count_tokens(text)

    async def embed(self, texts: Sequence[str], *, background: bool = False, query: bool = False) -> Vectors:
        if query:
            return await self._asked(texts)
        keys = [hashlib.sha256(f"{self.id}\0{t}".encode()).digest() for t in texts]
        found = {k: v for k in set(keys) if (v := self._looked_up(k)) is not None}
        missing = {k: t for k, t in zip(keys, texts, strict=True) if k not in found}
        if missing:
            made = await self._embedder.embed(list(missing.values()), background=background)
            found |= dict(zip(missing, made, strict=True))
            self.made += len(missing)
            with self._kept:
                rows = [(k, found[k].astype("<f4").tobytes()) for k in missing]
                self._kept.executemany("insert or replace into vectors values (?, ?)", rows)
        return np.stack([found[k] for k in keys]) if keys else np.empty((0, self.dimensions), np.float32)

    async def _asked(self, texts: Sequence[str]) -> Vectors:
        """Questions are kept for this run alone: what is put before them is in no id."""
        missing = [t for t in dict.fromkeys(texts) if t not in self._questions]
        if missing:
            made = await self._embedder.embed(missing, query=True)
            self._questions |= dict(zip(missing, made, strict=True))
        return np.stack([self._questions[t] for t in texts]) if texts else np.empty((0, self.dimensions), np.float32)

    def _looked_up(self, key: bytes) -> Vectors | None:
        row = self._kept.execute("select vector from vectors where key = ?", (key,)).fetchone()
        return None if row is None else np.frombuffer(row[0], "<f4").astype(np.float32)

    async def close(self) -> None:
        self._kept.close()
        await self._embedder.close()
