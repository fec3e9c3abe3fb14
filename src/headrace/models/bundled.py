"""The folder of the model that Headrace comes with, made from its weights where it is not there yet."""

from __future__ import annotations

from pathlib import Path

import structlog
from tokenizers import Tokenizer

from headrace.models import build_minilm

logger = structlog.get_logger("headrace.models")
DATA = Path(__file__).parent / "data"
NAME = build_minilm.NAME


def made(folder: Path) -> Path:
    """The same folder; a checkout that was only synced makes it here, in a wheel it is there. Raises BuildFailed."""
    if folder == build_minilm.TARGET and not (folder / "model.onnx").is_file():
        logger.info("making the embedding model's file from its weights, once", folder=str(folder))
        build_minilm.build(folder)
    return folder


def tokenizer() -> Tokenizer:
    """Neither truncates nor pads. Raises BuildFailed."""
    return Tokenizer.from_file(str(made(DATA / NAME) / "tokenizer.json"))
