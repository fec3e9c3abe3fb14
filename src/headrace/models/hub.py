"""Embedder and reranker `hf:`: a repository of the Hugging Face Hub that has an ONNX file, fetched once.

    hf:BAAI/bge-small-en-v1.5
    hf:intfloat/multilingual-e5-small?file=onnx/model_O4.onnx&revision=614241f622f53c4eeff9890bdc4f31cfecc418b3
    hf:acme/travel?endpoint=https://models.example.com

Everything else of the address is as with `onnx:`. Files are kept where the Hub's own library keeps them (HF_HOME), and
what is there is used without asking the Hub: `revision` names another one. HF_TOKEN is read for what is not public.
https://huggingface.co/docs/huggingface_hub/guides/download
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx2
import structlog
from huggingface_hub import snapshot_download  # pyright: ignore[reportUnknownVariableType]
from huggingface_hub.errors import LocalEntryNotFoundError

from headrace.errors import ConfigError
from headrace.models.onnx_graph import PLACES
from headrace.registry import EMBEDDERS, RERANKERS, lookup

SCHEME = "hf:"
REMEDY = "Look at the name and the revision, at HF_TOKEN where it is not public, and at the network."

logger = structlog.get_logger("headrace.models")


def open_embedder(url: str) -> Any:
    """Blocks while it is fetched and loaded. Raises ConfigError."""
    return lookup("embedders", EMBEDDERS, "onnx:")(_fetched(url))


def open_reranker(url: str) -> Any:
    """As `open_embedder`."""
    return lookup("rerankers", RERANKERS, "onnx:")(_fetched(url))


def _fetched(url: str) -> str:
    """The address of the folder that it is kept in."""
    repository, _, query = url.removeprefix(SCHEME).partition("?")
    said = dict(parse_qsl(query, keep_blank_values=True))
    revision, endpoint = said.pop("revision", None), said.pop("endpoint", None)
    graphs = [said["file"]] if said.get("file") else PLACES
    wanted = ["*.json", *(pattern for graph in graphs for pattern in (graph, f"{graph}[_.]data*"))]
    asked = {"repo_id": repository, "revision": revision, "endpoint": endpoint, "allow_patterns": wanted}
    try:
        folder = _folder(asked)
    except (OSError, ValueError, httpx2.HTTPError) as error:
        raise ConfigError(
            step="fetch a model from the Hugging Face Hub",
            expected=f"{repository} at {revision or 'its main revision'}",
            got=f"{type(error).__name__}: {error}"[:300],
            remedy=REMEDY,
        ) from error
    return f"onnx:{folder}?{urlencode({'name': repository.replace('/', '--'), **said})}"


def _folder(asked: Mapping[str, Any]) -> str:
    try:
        return str(snapshot_download(**asked, local_files_only=True))  # pyright: ignore[reportUnknownArgumentType]
    except LocalEntryNotFoundError:
        logger.info("fetching a model, once", repository=asked["repo_id"], revision=asked["revision"])
        return str(snapshot_download(**asked, library_name="headrace"))  # pyright: ignore[reportUnknownArgumentType]
