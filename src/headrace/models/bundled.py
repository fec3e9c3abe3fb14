"""The folder of the model that Headrace comes with, made from its weights where it is not there yet."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import structlog
from tokenizers import Tokenizer

from headrace.models import build_minilm
from headrace.models.threads import features

logger = structlog.get_logger("headrace.models")
DATA = Path(__file__).parent / "data"
NAME = build_minilm.NAME
ADDRESS = f"onnx:{NAME}"
BFLOAT_MATRICES = "amx_bf16"
"""The processor's feature with which OpenVINO is ahead of onnxruntime's 8 bits: see docs/decisions/0015."""


def made(folder: Path) -> Path:
    """The same folder; a checkout that was only synced makes it here, in a wheel it is there. Raises BuildFailed."""
    if folder == build_minilm.TARGET and not (folder / "model.onnx").is_file():
        logger.info("making the embedding model's file from its weights, once", folder=str(folder))
        build_minilm.build(folder)
    return folder


def here(address: str) -> str:
    """With the runtime that is the fastest on this processor, of those installed, where the address leaves it open."""
    if address == ADDRESS and BFLOAT_MATRICES in features() and all(map(find_spec, ("openvino", "onnx"))):
        return f"{ADDRESS}?runtime=openvino"
    return address


def is_of(id: str) -> bool:
    """Whether an embedder with this id has the weights of this model, whichever file and runtime it is of."""
    return id.startswith(f"{NAME}/")


def tokenizer() -> Tokenizer:
    """Neither truncates nor pads. Raises BuildFailed."""
    return Tokenizer.from_file(str(made(DATA / NAME) / "tokenizer.json"))
