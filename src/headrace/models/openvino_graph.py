"""Runtime `openvino`: graphs in bfloat16 where the processor multiplies such numbers, in float32 where not.

A graph whose products are 8-bit ones of onnxruntime, as the bundled model's are, is run with the same weights and with
activations that are not rounded: OpenVINO would do such rounding step by step.

https://docs.openvino.ai/2026/openvino-workflow/running-inference/inference-devices-and-modes/cpu-device.html
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.errors import without_extra
from headrace.models.onnx_graph import Feed
from headrace.models.threads import processors

try:
    import onnx
    import openvino
    from onnx import ModelProto, NodeProto, helper
except ImportError as missing:
    raise without_extra("openvino", "open the runtime openvino", missing, "or leave out runtime=openvino") from None

QUANTISE, PRODUCT = "DynamicQuantizeLinear", "MatMulIntegerToFloat"
DEVICE = "CPU"


class OpenVinoGraph:
    """Graph run by OpenVINO. Loading and the first run of a priority block; its errors are RuntimeError.

    Vectors in bfloat16 and in float32 are apart by less than what two processors make of either: the mark is the same,
    and a store that moves to another processor is not embedded anew.
    """

    mark = "@openvino"

    def __init__(self, file: Path) -> None:
        self._core = openvino.Core()
        self._precision = "bf16" if "BF16" in self._core.get_property(DEVICE, "OPTIMIZATION_CAPABILITIES") else "f32"
        self._model = _read(self._core, file)
        self.inputs = frozenset(port.get_any_name() for port in self._model.inputs)
        self.outputs = [port.get_any_name() for port in self._model.outputs]
        self._compiled: dict[int, openvino.CompiledModel] = {}
        self._lock = threading.Lock()
        self._own = threading.local()

    def run(self, output: str, feed: Feed) -> NDArray[Any]:
        request = self._request()
        request.infer(feed)
        return np.array(request.get_tensor(output).data)

    def _request(self) -> openvino.InferRequest:
        """One for each thread that asks."""
        request: openvino.InferRequest | None = getattr(self._own, "request", None)
        if request is None:
            request = self._own.request = self._for_this_priority().create_infer_request()
        return request

    def _for_this_priority(self) -> openvino.CompiledModel:
        """OpenVINO works in threads of its own, which have the priority of the thread that compiles: a bulk's would
        take their time from live texts if there were one compiled model for both."""
        priority = os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) if sys.platform == "linux" else 0
        with self._lock:
            if priority not in self._compiled:
                threads = processors()  # one inference in each, as with onnxruntime
                options = {
                    "INFERENCE_PRECISION_HINT": self._precision,
                    "NUM_STREAMS": threads,
                    "INFERENCE_NUM_THREADS": threads,
                }
                self._compiled[priority] = self._core.compile_model(self._model, DEVICE, options)
            return self._compiled[priority]


def _read(core: openvino.Core, file: Path) -> openvino.Model:
    model = onnx.load(str(file), load_external_data=False)  # pyright: ignore[reportUnknownMemberType]
    if not any(node.op_type == PRODUCT for node in model.graph.node):
        return core.read_model(str(file))  # pyright: ignore[reportUnknownMemberType]
    onnx.load_external_data_for_model(model, str(file.parent))
    return core.read_model(unrounded(model).SerializeToString())  # pyright: ignore[reportUnknownMemberType]


def unrounded(model: ModelProto) -> ModelProto:
    """The same graph with float activations: an 8-bit product becomes one by the weights that it stands for."""
    rounded = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == QUANTISE}
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        if node.op_type == PRODUCT:
            nodes += _float_product(node, rounded[node.input[0]])
        elif node.op_type != QUANTISE:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _float_product(node: NodeProto, activations: str) -> list[NodeProto]:
    """Of `activations` by the node's weights (input 1) with their scales (3), and its bias (6) where there is one."""
    weights, scales = node.input[1], node.input[3]
    bias = node.input[6] if len(node.input) > 6 else ""
    matrix, product = f"{node.name}.weights", f"{node.name}.product" if bias else node.output[0]
    made = [
        helper.make_node("DequantizeLinear", [weights, scales], [matrix], axis=1),
        helper.make_node("MatMul", [activations, matrix], [product]),
    ]
    return [*made, helper.make_node("Add", [product, bias], [node.output[0]])] if bias else made
