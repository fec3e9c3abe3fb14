"""Program: the weights of all-MiniLM-L6-v2 become one ONNX file with 8-bit weights, from token ids to the unit vector.

    python -m headrace.models.minilm_graph WEIGHTS TOKENIZER CALIBRATION OUT

The graph takes `input_ids` of shape (1, sequence) and gives `sentence_embedding` of shape (1, 384). Its batch is one by
construction: activations are quantised by the range of the whole tensor, so that a second text would change the first.
One text needs no padding and so no mask: attention and the mean run over all of its tokens.

Activations of a few channels are far larger than the rest and would take the 8-bit range for themselves. As in
SmoothQuant (Xiao et al., 2023, arXiv:2211.10438) each channel is divided by a factor and its weights are multiplied by
it; the factors come from what the float32 graph computes for the calibration texts, one text a line. Factors are powers
of two, so that they cost no precision and come out the same on processors that round sums differently.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from safetensors.numpy import load_file  # pyright: ignore[reportUnknownVariableType]
from tokenizers import Tokenizer

LAYERS, HEADS, HIDDEN, MAX_TOKENS, EPSILON = 6, 12, 384, 256, 1e-12
FUSED = "com.microsoft"  # onnxruntime's own operators: https://github.com/microsoft/onnxruntime ContribOperators.md
OPSET, IR_VERSION = 21, 10
SMOOTHING = 0.7  # 0 leaves the ranges to the activations, 1 moves them wholly into the weights; 0.7 measured best

Floats = NDArray[np.float32]
Ranges = dict[str, Floats]
"""Largest magnitude per channel of each matrix product's input, by its name such as `3.down`."""


@dataclass(frozen=True, slots=True)
class Linear:
    """A layer `x @ matrix + bias`; the matrix is of shape (inputs, outputs)."""

    matrix: Floats
    bias: Floats

    def divided(self, factors: Floats) -> Linear:
        """Its outputs divided by `factors`."""
        return Linear(self.matrix / factors, self.bias / factors)

    def evened(self, factors: Floats) -> Linear:
        """For inputs that were divided by `factors`."""
        return Linear(self.matrix * factors[:, np.newaxis], self.bias)


class Graph:
    """Nodes and constants of one model. With `ranges` its products are 8-bit, without them float32."""

    def __init__(self, weights: Mapping[str, Floats], ranges: Ranges | None) -> None:
        self._weights = weights
        self._ranges = ranges
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []
        self._plain: tuple[str, str] | None = None
        self.inputs_of_products: dict[str, str] = {}

    def emit(self, *, observe: bool = False) -> bytes:
        """The whole model, serialised; `observe` adds an output with the ranges of each product's input."""
        hidden = self._embeddings()
        for layer in range(LAYERS):
            hidden = self._attention(f"{layer}", f"encoder.layer.{layer}.attention.", hidden)
            hidden = self._feed_forward(f"{layer}", f"encoder.layer.{layer}.", hidden)
        mean = self._node("ReduceMean", hidden, self._constant(np.array([1])), keepdims=0)
        self._node("LpNormalization", mean, output="sentence_embedding", axis=-1, p=2)
        outputs = [helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, [1, HIDDEN])]
        for name, tensor in self.inputs_of_products.items() if observe else ():
            magnitude = self._node("Abs", tensor)
            self._node("ReduceMax", magnitude, self._constant(np.array([0, 1])), output=name, keepdims=0)
            outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]))
        ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "sequence"])
        graph = helper.make_graph(self._nodes, "all-MiniLM-L6-v2", [ids], outputs, self._constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(FUSED, 1)]
        model: ModelProto = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="headrace"
        )
        return model.SerializeToString()

    def _embeddings(self) -> str:
        words = self._weights["embeddings.word_embeddings.weight"]
        if self._ranges is None:
            word = self._node("Gather", self._constant(words), "input_ids")
        else:  # a scale per word: this table is half of the model
            rows, scales = quantise(words, axis=1)
            small = self._node("Gather", self._constant(rows), "input_ids")
            word = self._node("Cast", small, to=TensorProto.FLOAT)
            word = self._node("Mul", word, self._node("Gather", self._constant(scales), "input_ids"))
        positions = self._weights["embeddings.position_embeddings.weight"][:MAX_TOKENS]
        places = positions + self._weights["embeddings.token_type_embeddings.weight"][0]
        length = self._node("Shape", "input_ids", start=1, end=2)
        zero = self._constant(np.array([0]))
        place = self._node("Slice", self._constant(places[np.newaxis]), zero, length, self._constant(np.array([1])))
        return self._add_and_norm(word, place, "embeddings.LayerNorm.")

    def _attention(self, layer: str, prefix: str, hidden: str) -> str:
        query, key, value = (self._linear(f"{prefix}self.{part}.") for part in ("query", "key", "value"))
        out = self._linear(f"{prefix}output.dense.")
        # What comes out of attention is linear in the values: their weights take the factors at no cost.
        factors = self._factors(f"{layer}.out", [out])
        parts = self._products(f"{layer}.qkv", hidden, [query, key, value.divided(factors)])
        mixed = self._node("MultiHeadAttention", *parts, domain=FUSED, num_heads=HEADS)
        self.inputs_of_products[f"{layer}.out"] = mixed
        (projected,) = self._multiply(mixed, [out.evened(factors)])
        return self._add_and_norm(projected, hidden, f"{prefix}output.LayerNorm.")

    def _feed_forward(self, layer: str, prefix: str, hidden: str) -> str:
        (wide,) = self._products(f"{layer}.up", hidden, [self._linear(f"{prefix}intermediate.dense.")])
        active = self._node("Gelu", wide, domain=FUSED)  # by erf, not its tanh approximation
        (narrow,) = self._products(f"{layer}.down", active, [self._linear(f"{prefix}output.dense.")])
        return self._add_and_norm(narrow, hidden, f"{prefix}output.LayerNorm.")

    def _add_and_norm(self, tensor: str, skip: str, norm: str) -> str:
        """The layer norm of a sum, by `InstanceNormalization` over tokens, which is the same for a batch of one.

        onnxruntime's `SkipLayerNormalization` adds numbers one after the other and took a fifth of the whole model's
        time; these four nodes take a quarter of that.
        """
        ones, zeros = self._ones_and_zeros()
        total = self._node("Add", tensor, skip)
        even = self._node("InstanceNormalization", total, ones, zeros, epsilon=EPSILON)
        scaled = self._node("Mul", even, self._constant(self._weights[f"{norm}weight"]))
        return self._node("Add", scaled, self._constant(self._weights[f"{norm}bias"]))

    def _ones_and_zeros(self) -> tuple[str, str]:
        """One of each for every token: the scale and the shift that a norm of tokens leaves to others."""
        if self._plain is None:
            length = self._node("Shape", "input_ids", start=1, end=2)
            values = [numpy_helper.from_array(np.array([value], np.float32)) for value in (1, 0)]
            ones, zeros = (self._node("ConstantOfShape", length, value=value) for value in values)
            self._plain = ones, zeros
        return self._plain

    def _linear(self, prefix: str) -> Linear:
        return Linear(self._weights[f"{prefix}weight"].T, self._weights[f"{prefix}bias"])

    def _products(self, name: str, tensor: str, layers: Sequence[Linear]) -> list[str]:
        """`tensor` through each of the layers, with its channels evened out first."""
        self.inputs_of_products[name] = tensor
        factors = self._factors(name, layers)
        if self._ranges is not None:
            tensor = self._node("Mul", tensor, self._constant(1 / factors))
        return self._multiply(tensor, [layer.evened(factors) for layer in layers])

    def _multiply(self, tensor: str, layers: Sequence[Linear]) -> list[str]:
        if self._ranges is None:
            products = [self._node("MatMul", tensor, self._constant(layer.matrix)) for layer in layers]
            return [
                self._node("Add", product, self._constant(layer.bias))
                for product, layer in zip(products, layers, strict=True)
            ]
        small, scale, zero = self._nodes_of("DynamicQuantizeLinear", [tensor], 3)
        made: list[str] = []
        for layer in layers:
            columns, scales = quantise(layer.matrix, axis=0)
            inputs = (small, self._constant(columns), scale, self._constant(scales[0]), zero, "")
            made.append(self._node("MatMulIntegerToFloat", *inputs, self._constant(layer.bias), domain=FUSED))
        return made

    def _factors(self, name: str, layers: Sequence[Linear]) -> Floats:
        """Per input channel, a power of two; all ones while the ranges are not known."""
        if self._ranges is None:
            return np.ones(len(layers[0].matrix), np.float32)
        activations = np.maximum(self._ranges[name], 1e-4)
        weights = np.maximum(np.max([np.abs(layer.matrix).max(axis=1) for layer in layers], axis=0), 1e-4)
        exponents = SMOOTHING * np.log2(activations) - (1 - SMOOTHING) * np.log2(weights)
        return np.exp2(np.rint(exponents - exponents.mean())).astype(np.float32)

    def _constant(self, array: NDArray[Any]) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _node(self, operator: str, *inputs: str, output: str | None = None, domain: str = "", **options: Any) -> str:
        (name,) = self._nodes_of(operator, inputs, 1, output=output, domain=domain, **options)
        return name

    def _nodes_of(
        self,
        operator: str,
        inputs: Sequence[str],
        outputs: int,
        output: str | None = None,
        domain: str = "",
        **options: Any,
    ) -> list[str]:
        name = f"{operator}_{len(self._nodes)}"
        names = [output] if output else [f"{name}_{index}" for index in range(outputs)]
        self._nodes.append(helper.make_node(operator, list(inputs), names, name=name, domain=domain, **options))
        return names


def quantise(matrix: Floats, axis: int) -> tuple[NDArray[np.int8], Floats]:
    """Symmetric 8-bit values and the scale of each slice along `axis` (kept as a dimension of one)."""
    scales = np.abs(matrix).max(axis=axis, keepdims=True).astype(np.float32) / np.float32(127)
    scales[scales == 0] = 1
    return np.rint(matrix / scales).astype(np.int8), scales


def observe(model: bytes, texts: Iterable[Sequence[int]]) -> Ranges:
    """The ranges that an observing float32 model meets in texts given as token ids."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()][1:]
    ranges: Ranges = {}
    for ids in texts:
        found = session.run(names, {"input_ids": np.array([ids], np.int64)})
        for name, largest in zip(names, found, strict=True):
            ranges[name] = np.maximum(ranges.get(name, largest), largest)
    return ranges


def calibration_ids(tokenizer: Tokenizer, lines: Sequence[str]) -> list[Sequence[int]]:
    """Each line on its own, as short texts are, and six together, as chunks are."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)  # pyright: ignore[reportUnknownMemberType]
    together = ["\n".join(lines[start : start + 6]) for start in range(0, len(lines), 6)]
    return [tokenizer.encode(text).ids for text in (*lines, *together)]


def main(arguments: Sequence[str]) -> int:
    """Write OUT; see the module's first lines."""
    weights_path, tokenizer_path, calibration_path, out = map(Path, arguments)
    weights = cast(dict[str, Floats], load_file(weights_path))
    lines = calibration_path.read_text(encoding="utf-8").splitlines()
    texts = calibration_ids(Tokenizer.from_file(str(tokenizer_path)), lines)
    ranges = observe(Graph(weights, None).emit(observe=True), texts)
    out.write_bytes(Graph(weights, ranges).emit())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
