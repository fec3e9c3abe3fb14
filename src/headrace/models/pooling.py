"""One vector from those of a text's tokens, and what a model's folder says of it, as sentence-transformers writes it.

https://sbert.net/docs/package_reference/sentence_transformer/models.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Vector = NDArray[np.float32]
T = TypeVar("T")

# One text at a time and no padding: every token counts, and so there is no mask.
POOLINGS: Mapping[str, Callable[[Vectors], Vector]] = {
    "cls": lambda tokens: tokens[0],
    "max": lambda tokens: tokens.max(axis=0),
    "mean": lambda tokens: tokens.mean(axis=0),
    "mean_sqrt_len": lambda tokens: tokens.sum(axis=0) / np.sqrt(np.float32(len(tokens))),
    "lasttoken": lambda tokens: tokens[-1],
}
"""In the order in which a model that wants several has them one behind the other."""
_UNLIMITED = 1_000_000
"""What stands for no limit is larger."""


class _Pooling(msgspec.Struct, frozen=True):
    """`1_Pooling/config.json`."""

    pooling_mode_cls_token: bool = False
    pooling_mode_max_tokens: bool = False
    pooling_mode_mean_tokens: bool = False
    pooling_mode_mean_sqrt_len_tokens: bool = False
    pooling_mode_weightedmean_tokens: bool = False
    pooling_mode_lasttoken: bool = False

    def names(self) -> tuple[str, ...]:
        given = {
            "cls": self.pooling_mode_cls_token,
            "max": self.pooling_mode_max_tokens,
            "mean": self.pooling_mode_mean_tokens,
            "mean_sqrt_len": self.pooling_mode_mean_sqrt_len_tokens,
            "weightedmean": self.pooling_mode_weightedmean_tokens,
            "lasttoken": self.pooling_mode_lasttoken,
        }
        return tuple(name for name, wanted in given.items() if wanted)


class _Module(msgspec.Struct, frozen=True):
    """One of `modules.json`."""

    type: str
    path: str = ""


class _Reads(msgspec.Struct, frozen=True):
    """`sentence_bert_config.json`."""

    max_seq_length: int | None = None
    do_lower_case: bool = False


class _Tokens(msgspec.Struct, frozen=True):
    """`tokenizer_config.json`."""

    model_max_length: float | None = None


class _Prompts(msgspec.Struct, frozen=True):
    """`config_sentence_transformers.json`."""

    prompts: dict[str, str | None] | None = None


class _Positions(msgspec.Struct, frozen=True):
    """`config.json`."""

    max_position_embeddings: Annotated[int, Meta(ge=1)] | None = None


class Folder(msgspec.Struct, frozen=True):
    """What stands beside a model. `poolings`: several are put one behind the other; `beyond`: modules that follow and
    that we do not have, such as a further layer."""

    poolings: tuple[str, ...]
    beyond: tuple[str, ...]
    max_tokens: int | None
    lower: bool
    query_prefix: str
    document_prefix: str


def read(folder: Path) -> Folder:
    """Raises MsgspecError for a file of another form."""
    modules = _file(folder / "modules.json", list[_Module], [])
    pooling = next((folder / m.path for m in modules if m.type.endswith(".Pooling")), folder / "1_Pooling")
    poolings = _file(pooling / "config.json", _Pooling, _Pooling()).names()
    known = (".Transformer", ".Pooling", ".Normalize")
    reads = _file(folder / "sentence_bert_config.json", _Reads, _Reads())
    prompts = _file(folder / "config_sentence_transformers.json", _Prompts, _Prompts()).prompts or {}
    return Folder(
        poolings or ("mean",),
        tuple(m.type.rpartition(".")[2] for m in modules if not m.type.endswith(known)),
        reads.max_seq_length or most_tokens(folder),
        reads.do_lower_case,
        prompts.get("query") or "",
        prompts.get("document") or prompts.get("passage") or "",
    )


def most_tokens(folder: Path) -> int | None:
    """The smaller of what tokenizer and model say. Raises MsgspecError for a file of another form."""
    tokens = _file(folder / "tokenizer_config.json", _Tokens, _Tokens()).model_max_length
    positions = _file(folder / "config.json", _Positions, _Positions()).max_position_embeddings
    told = [int(n) for n in (tokens, positions) if n is not None and 0 < n < _UNLIMITED]
    return min(told) if told else None


def _file(path: Path, kind: type[T], absent: T) -> T:
    return msgspec.json.decode(path.read_bytes(), type=kind) if path.is_file() else absent
