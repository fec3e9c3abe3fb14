"""Headrace with an embedder that costs next to nothing, so that what is measured is all the rest.

`python -m bench.free up -c FILE` is `headrace up`, with `[models] embedding = "free:384"` known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from tokenizers import Tokenizer

from headrace.cli import main
from headrace.models import Vectors
from headrace.models.onnx_minilm import DATA
from headrace.registry import EMBEDDERS

DIMENSIONS = 384
MODEL = "free:384"
TOKENIZER = DATA / "all-MiniLM-L6-v2" / "tokenizer.json"
"""Texts are cut by tokens as ever."""


def vector(text: str) -> list[float]:
    """A unit vector of a text's hash, the same in every process. The peers' scripts hold the same lines."""
    raw = hashlib.shake_128(text.encode()).digest(DIMENSIONS)
    length = sum((b - 127.5) ** 2 for b in raw) ** 0.5
    return [(b - 127.5) / length for b in raw]


class FreeEmbedder:
    """Implements `headrace.models.Embedder`."""

    id = "free-1"
    dimensions = DIMENSIONS
    max_tokens = 256

    def __init__(self) -> None:
        self.tokenizer: Tokenizer = Tokenizer.from_file(str(TOKENIZER))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()

    async def embed(self, texts: Sequence[str], *, background: bool = False, query: bool = False) -> Vectors:
        raw = b"".join(hashlib.shake_128(text.encode()).digest(DIMENSIONS) for text in texts)
        made = np.frombuffer(raw, np.uint8).reshape(len(texts), DIMENSIONS).astype(np.float32) - np.float32(127.5)
        return made / np.linalg.norm(made, axis=1, keepdims=True)

    def count_tokens(self, text: str) -> int:
        return len(self.tokenizer.encode(text).ids)

    async def close(self) -> None:
        """Nothing is held."""


def open_embedder(_: str) -> FreeEmbedder:
    return FreeEmbedder()


if __name__ == "__main__":
    EMBEDDERS["free"] = "bench.free:open_embedder"
    main()
