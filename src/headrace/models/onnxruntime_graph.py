"""Runtime `onnxruntime`."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import onnxruntime as ort
from numpy.typing import NDArray

from headrace.models.onnx_graph import Feed
from headrace.models.threads import features


class OnnxRuntimeGraph:
    """Graph run by onnxruntime, in the thread that asks. Loading blocks. Its errors share no base class."""

    mark = ""

    def __init__(self, file: Path) -> None:
        self._session = ort.InferenceSession(str(file), _options(), providers=["CPUExecutionProvider"])
        self.inputs = frozenset(argument.name for argument in self._session.get_inputs())
        self.outputs = [argument.name for argument in self._session.get_outputs()]

    def run(self, output: str, feed: Feed) -> NDArray[Any]:
        return self._session.run([output], feed)[0]


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
