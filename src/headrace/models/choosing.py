"""How the model that comes along is run on this processor, where its address leaves that open."""

from __future__ import annotations

from importlib.util import find_spec

from headrace.models.bundled import NAME
from headrace.models.threads import features

ADDRESS = f"onnx:{NAME}"
BFLOAT_MATRICES = "amx_bf16"
"""The processor's feature with which OpenVINO is ahead of onnxruntime's 8 bits: see docs/decisions/0015."""


def here(address: str) -> str:
    """With the runtime that is the fastest on this processor, of those installed, where the address leaves it open."""
    if address == ADDRESS and BFLOAT_MATRICES in features() and all(map(find_spec, ("openvino", "onnx"))):
        return f"{ADDRESS}?runtime=openvino"
    return address
