"""A cross-encoder's folder, loaded: its ONNX file, its tokenizer, and how it reads a query and a passage together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from numpy.typing import NDArray
from tokenizers import Tokenizer

from headrace.errors import ConfigError
from headrace.models import onnx_graph
from headrace.models.onnx_graph import Graph
from headrace.models.pooling import most_tokens

DEFAULT_MAX_TOKENS = 512
QUERY_SHARE = 0.75
"""Of what the model reads: a query that is longer is cut there, so that something of the passage is read too."""
EXPECTED = "input_ids (and attention_mask, token_type_ids) in, logits of shape (1, 1) or (1, 2) out"
EXPORT = "Export a model that scores pairs, such as with `optimum-cli export onnx --task text-classification`."
NEEDED = "The folder needs model.onnx and tokenizer.json; the address may name another graph with ?file=."
SHORTER = "Set max_tokens in the address to what the model reads."


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of an address: what is otherwise than the folder says."""

    file: str = ""
    max_tokens: int | None = None
    name: str = ""
    runtime: str = ""


@dataclass(frozen=True, slots=True)
class CrossEncoder:
    """A loaded model: threads may share it. `pairs` cuts passages, and never queries; `whole` cuts nothing."""

    id: str
    max_tokens: int
    query_tokens: int
    whole: Tokenizer
    pairs: Tokenizer
    graph: Graph
    output: str

    def score(self, query: str, passage: str) -> float:
        """0 to 1. Blocks. Raises TypeError or ValueError for a lone surrogate, and onnxruntime's errors."""
        return chance(self.logits(query, passage))

    def logits(self, query: str, passage: str) -> NDArray[Any]:
        """What the graph gives for a pair, without the batch of one."""
        encoded = self.pairs.encode(self.cut(query), passage)
        return self.graph.run(self.output, onnx_graph.feed(encoded.ids, encoded.type_ids, self.graph.inputs))[0]

    def cut(self, query: str) -> str:
        encoded = self.whole.encode(query, add_special_tokens=False)
        if len(encoded.ids) <= self.query_tokens:
            return query
        return query[: max(end for _, end in encoded.offsets[: self.query_tokens])]


def chance(logits: NDArray[Any]) -> float:
    """That a passage answers: the logistic function of one logit, or the second part of the softmax of two."""
    values = [float(v) for v in logits.reshape(-1)]
    logit = values[0] if len(values) == 1 else values[1] - values[0]
    if logit >= 0:
        return 1 / (1 + math.exp(-logit))
    small = math.exp(logit)
    return small / (1 + small)


def load(folder: Path, settings: Settings) -> CrossEncoder:
    """The model of a folder. Blocks. Raises ConfigError."""
    file = onnx_graph.found(folder, settings.file)
    if file is None:
        raise unusable(f"{settings.file or 'model.onnx'} in {folder}", "no such file", NEEDED)
    if not (folder / "tokenizer.json").is_file():
        raise unusable(f"tokenizer.json in {folder}", "no such file", NEEDED)
    try:
        told = most_tokens(folder)
        graph = onnx_graph.open_graph(file, settings.runtime)
        whole = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except msgspec.MsgspecError as error:
        raise unusable(f"settings of a model in {folder}", str(error), "Download the folder again.") from None
    except ConfigError:
        raise
    except Exception as error:  # those of runtimes and tokenizers share no base class
        raise unusable(f"a readable model in {folder}", onnx_graph.said(error), NEEDED) from error
    most = settings.max_tokens or told or onnx_graph.truncation(whole) or DEFAULT_MAX_TOKENS
    whole.no_padding()
    whole.no_truncation()
    special = whole.num_special_tokens_to_add(True)
    if most < special + 2:
        raise unusable(f"max_tokens of at least {special + 2}", str(most), SHORTER)
    pairs = Tokenizer.from_str(whole.to_str())
    pairs.enable_truncation(most, strategy="only_second")  # pyright: ignore[reportUnknownMemberType]
    id = f"{settings.name or folder.resolve().name}/{onnx_graph.digest(file)[:12]}{graph.mark}@{most}"
    room = max(1, int((most - special) * QUERY_SHARE))
    output = "logits" if "logits" in graph.outputs else graph.outputs[0]
    model = CrossEncoder(id, most, room, whole, pairs, graph, output)
    _probe(folder, model)
    return model


def _probe(folder: Path, model: CrossEncoder) -> None:
    """Scores a short and a long pair to see that the model has the shape that is promised; this also warms it up."""
    inputs = model.graph.inputs
    if not inputs <= onnx_graph.KNOWN_INPUTS or "input_ids" not in inputs:
        raise unusable(EXPECTED, f"inputs {sorted(inputs)} in {folder}", EXPORT)
    try:
        made = [model.logits("a probe", "words " * count) for count in (2, model.max_tokens)]
    except Exception as error:  # onnxruntime's errors share no base class
        raise unusable(EXPECTED, onnx_graph.said(error), f"{EXPORT} {SHORTER}") from error
    if any(m.size not in (1, 2) or m.ndim > 1 for m in made):
        got = f"output {model.output} of shapes {', '.join(str((1, *m.shape)) for m in made)} in {folder}"
        raise unusable(EXPECTED, got, EXPORT)


def unusable(expected: str, got: str, remedy: str) -> ConfigError:
    return ConfigError(step="open the reranker", expected=expected, got=got, remedy=remedy)
