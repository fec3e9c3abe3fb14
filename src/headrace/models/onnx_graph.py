"""What every model has that is a folder with an ONNX file: where its files are, and how its graph is run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from headrace.errors import ConfigError
from headrace.registry import RUNTIMES, lookup

DEFAULT = "onnxruntime"
KNOWN_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids", "position_ids"})
PLACES = ("model.onnx", "onnx/model.onnx")
"""Where exporters put a graph, inside a model's folder."""
Feed = dict[str, NDArray[np.int64]]


def found(folder: Path, file: str) -> Path | None:
    """The graph: `file`, or one of the places in which exporters put it."""
    files = [folder / place for place in ([file] if file else PLACES)]
    return next((f for f in files if f.is_file()), None)


class Graph(Protocol):
    """A model's graph, loaded: threads may share it.

    `inputs` and `outputs` are names, the outputs in the order of the file. `mark` is what the runtime's arithmetic adds
    to the model's id. `run` blocks and gives one output, an array of its own; what it raises is the runtime's.
    """

    @property
    def mark(self) -> str: ...
    @property
    def inputs(self) -> frozenset[str]: ...
    @property
    def outputs(self) -> Sequence[str]: ...
    def run(self, output: str, feed: Feed) -> NDArray[Any]: ...


def open_graph(file: Path, runtime: str) -> Graph:
    """Blocks while it loads. Raises ConfigError for a runtime that is unknown or not installed, and what the runtime
    raises for a file that it cannot read."""
    if runtime and runtime not in RUNTIMES:
        expected = "runtime=" + " or ".join(RUNTIMES)
        raise ConfigError(step="open a model", expected=expected, got=runtime, remedy="Correct the address.")
    return lookup("runtimes", RUNTIMES, f"{runtime or DEFAULT}:")(file)


def feed(ids: Sequence[int], types: Sequence[int] | None, inputs: frozenset[str]) -> Feed:
    """What a graph with these inputs takes of one text, as a batch of one. Without `types` they are all 0."""
    tokens = np.array([ids], np.int64)
    made = {"input_ids": tokens}
    if "attention_mask" in inputs:
        made["attention_mask"] = np.ones_like(tokens)
    if "token_type_ids" in inputs:
        made["token_type_ids"] = np.zeros_like(tokens) if types is None else np.array([types], np.int64)
    if "position_ids" in inputs:
        made["position_ids"] = np.arange(tokens.shape[1], dtype=np.int64)[np.newaxis]
    return made


def truncation(tokenizer: Tokenizer) -> int | None:
    """At how many tokens it truncates as it was saved."""
    settings = cast(dict[str, int] | None, tokenizer.truncation)  # pyright: ignore[reportUnknownMemberType]
    return settings["max_length"] if settings else None


def digest(file: Path) -> str:
    """SHA-256 of the graph, with the weights that stand beside it where it is too large for one file."""
    sha = hashlib.sha256()
    for path in (file, *sorted(file.parent.glob(file.name + "[_.]data*"))):
        with path.open("rb") as content:
            while block := content.read(1 << 20):
                sha.update(block)
    return sha.hexdigest()


def said(error: Exception) -> str:
    """Of an error of onnxruntime or tokenizers."""
    return f"{type(error).__name__}: {error}"[:300]
