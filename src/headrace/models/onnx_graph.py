"""What every model has that is a folder with an ONNX file: where its files are, and how its graph is run."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Tokenizer

from headrace.models.threads import features

KNOWN_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids", "position_ids"})
Feed = dict[str, NDArray[np.int64]]


def found(folder: Path, file: str) -> Path | None:
    """The graph: `file`, or one of the two places in which exporters put it."""
    files = [folder / file] if file else [folder / "model.onnx", folder / "onnx" / "model.onnx"]
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


class OnnxRuntimeGraph:
    """Graph run by onnxruntime, in the thread that asks. Loading blocks. Its errors share no base class."""

    mark = ""

    def __init__(self, file: Path) -> None:
        self._session = ort.InferenceSession(str(file), _options(), providers=["CPUExecutionProvider"])
        self.inputs = frozenset(argument.name for argument in self._session.get_inputs())
        self.outputs = [argument.name for argument in self._session.get_outputs()]

    def run(self, output: str, feed: Feed) -> NDArray[Any]:
        return self._session.run([output], feed)[0]


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


def _options() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if not _sums_in_32_bits():
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def _sums_in_32_bits() -> bool:
    """Whether 8-bit products are summed without overflow as they are; x86 without VNNI sums pairs of them in 16 bits.

    The exact way round it takes 1.5 times as long, so it is not for everyone.
    """
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        return True
    return any("vnni" in feature for feature in features())
