"""Small cross-encoders as folders: what they score can be worked out by hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

import headrace.models.onnx_minilm

LIKED = "excellent"
"""A word that makes a passage better; the more of a passage it is, the more."""


def own_tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(headrace.models.onnx_minilm.DATA / "all-MiniLM-L6-v2" / "tokenizer.json"))


def cross_encoder(
    folder: Path,
    *,
    file: str = "model.onnx",
    labels: int = 1,
    inputs: Sequence[str] = ("input_ids", "attention_mask", "token_type_ids"),
    max_tokens: int | None = 64,
    weight: float = 10.0,
) -> Path:
    """Its logit is `weight` times the part of a pair's tokens that are LIKED, in a passage or, where the graph takes no
    token types, in either. With two labels the first is half of the negated second."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(headrace.models.onnx_minilm.DATA / "all-MiniLM-L6-v2" / "tokenizer.json", folder / "tokenizer.json")
    if max_tokens is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": max_tokens}))
    table = np.zeros((own_tokenizer().get_vocab_size(), 1), np.float32)
    table[own_tokenizer().token_to_id(LIKED)] = weight
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["likes"])]
    each = "likes"
    if "token_type_ids" in inputs:
        nodes.append(helper.make_node("Cast", ["token_type_ids"], ["types"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Unsqueeze", ["types", "last"], ["passage"]))
        nodes.append(helper.make_node("Mul", ["likes", "passage"], ["each"]))
        each = "each"
    nodes.append(helper.make_node("ReduceMean", [each], ["one"], axes=[1], keepdims=0))
    nodes += _labelled(labels)
    taken = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in inputs]
    out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", labels])
    constants = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([-1]), "last")]
    graph = helper.make_graph(nodes, "cross", taken, [out], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_bytes(made.SerializeToString())
    return folder


def _labelled(labels: int) -> list[NodeProto]:
    if labels == 1:
        return [helper.make_node("Identity", ["one"], ["logits"])]
    if labels == 2:
        half = helper.make_node("Constant", [], ["half"], value_float=-0.5)
        other = helper.make_node("Mul", ["one", "half"], ["other"])
        return [half, other, helper.make_node("Concat", ["other", "one"], ["logits"], axis=1)]
    return [helper.make_node("Concat", ["one"] * labels, ["logits"], axis=1)]


def liked(query: str, passage: str, *, max_tokens: int = 64, weight: float = 10.0) -> float:
    """What the model of one label scores."""
    tokenizer = own_tokenizer()
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens, strategy="only_second")  # pyright: ignore[reportUnknownMemberType]
    encoded = tokenizer.encode(query, passage)
    wanted = tokenizer.token_to_id(LIKED)
    hits = sum(id == wanted and type == 1 for id, type in zip(encoded.ids, encoded.type_ids, strict=True))
    return float(1 / (1 + np.exp(-weight * hits / len(encoded.ids))))
