"""A small embedding model as a folder: quick, and with other vectors than the one that Headrace comes with."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

import headrace.models.onnx_minilm


def small_model(folder: Path, dimensions: int, seed: int = 1) -> Path:
    """The mean of one random vector for each token, in `folder`."""
    folder.mkdir(parents=True)
    own = headrace.models.onnx_minilm.DATA / "all-MiniLM-L6-v2" / "tokenizer.json"
    shutil.copy(own, folder / "tokenizer.json")
    tokens = Tokenizer.from_file(str(own)).get_vocab_size()
    table = np.random.default_rng(seed).standard_normal((tokens, dimensions)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["each"]),
        helper.make_node("ReduceMean", ["each"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("LpNormalization", ["mean"], ["sentence_embedding"], axis=1, p=2),
    ]
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"])
    out = helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, [1, dimensions])
    graph = helper.make_graph(nodes, "small", [ids], [out], [numpy_helper.from_array(table, "table")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return folder
