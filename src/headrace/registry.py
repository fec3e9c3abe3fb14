"""Every address that Headrace knows: URL scheme -> "module:factory", loaded when it is first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from headrace.config.references import with_secrets
from headrace.errors import ConfigError

SOURCES = {
    "postgresql": "headrace.sources.postgres:open",
    "postgres": "headrace.sources.postgres:open",
    "mysql": "headrace.sources.mysql:open",
    "mariadb": "headrace.sources.mysql:open",
    "file": "headrace.sources.files:open",
    "push": "headrace.sources.push:open",
    "upload": "headrace.sources.uploads:open",
}
DOCTORS = {
    "postgresql": "headrace.sources.postgres.doctor:check",
    "postgres": "headrace.sources.postgres.doctor:check",
    "mysql": "headrace.sources.mysql.doctor:check",
    "mariadb": "headrace.sources.mysql.doctor:check",
    "file": "headrace.sources.files.doctor:check",
    "push": "headrace.sources.push.doctor:check",
    "upload": "headrace.sources.uploads.doctor:check",
}
"""How a source is looked at before it is used; a source without one is not."""
STORE_DOCTORS = {
    "embedded": "headrace.stores.embedded_postgres:inspect",
    "postgresql": "headrace.stores.migrate:inspect",
    "postgres": "headrace.stores.migrate:inspect",
}
LOGS = {
    "embedded": "headrace.log.postgres:PostgresLog",
    "memory": "headrace.log.memory:MemoryLog",
}
STORES = {
    "embedded": "headrace.stores.postgres.store:PostgresStore",
    "postgresql": "headrace.stores.postgres.store:PostgresStore",
    "postgres": "headrace.stores.postgres.store:PostgresStore",
}
SERVERS = {"embedded": "headrace.stores.embedded_postgres:EmbeddedPostgres"}
MIGRATIONS = {"postgresql": "headrace.stores.migrate:migrate"}
EMBEDDERS = {
    "onnx": "headrace.models.onnx_minilm:open_embedder",
    "hf": "headrace.models.hub:open_embedder",
    "openai+http": "headrace.models.openai_embeddings:open_embedder",
    "openai+https": "headrace.models.openai_embeddings:open_embedder",
    "bedrock": "headrace.models.bedrock:open_embedder",
    "sagemaker": "headrace.models.sagemaker:open_embedder",
}
RERANKERS = {
    "onnx": "headrace.models.onnx_reranker:open_reranker",
    "hf": "headrace.models.hub:open_reranker",
    "http": "headrace.models.http_reranker:open_reranker",
    "https": "headrace.models.http_reranker:open_reranker",
    "tei+http": "headrace.models.http_reranker:open_reranker",
    "tei+https": "headrace.models.http_reranker:open_reranker",
    "bedrock": "headrace.models.bedrock_reranker:open_reranker",
}
"""What scores the passages that were found."""
RUNTIMES = {
    "onnxruntime": "headrace.models.onnxruntime_graph:OnnxRuntimeGraph",
    "openvino": "headrace.models.openvino_graph:OpenVinoGraph",
}
"""What runs the graph of a model in this process."""
CHOICES = {"onnx": "headrace.models.choosing:here"}
"""What chooses for this machine where an embedder's address leaves something open."""
GENERATORS = {
    "openai+http": "headrace.models.openai:open_generator",
    "openai+https": "headrace.models.openai:open_generator",
}
DETECTORS = {
    "rules": "headrace.redaction.rules:open_detector",
    "presidio": "headrace.redaction.presidio:open_detector",
    "comprehend": "headrace.redaction.comprehend:open_detector",
}
"""What finds personal data in texts."""
_OFFICE = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."
FORMATS = {
    "text/plain": "headrace.knowledge.formats.text:parse",
    "text/x-code": "headrace.knowledge.formats.code:parse",
    "text/markdown": "headrace.knowledge.formats.markdown:parse",
    "text/html": "headrace.knowledge.formats.html:parse",
    "text/x-rst": "headrace.knowledge.formats.rst:parse",
    "text/csv": "headrace.knowledge.formats.delimited:parse",
    "text/tab-separated-values": "headrace.knowledge.formats.delimited:parse",
    "application/json": "headrace.knowledge.formats.json_text:parse",
    "application/x-ipynb+json": "headrace.knowledge.formats.json_text:notebook",
    "application/rss+xml": "headrace.knowledge.formats.feed:parse",
    "application/rtf": "headrace.knowledge.formats.rtf:parse",
    "application/mbox": "headrace.knowledge.formats.mbox:parse",
    "message/rfc822": "headrace.knowledge.formats.mail:parse",
    "application/vnd.ms-outlook": "headrace.knowledge.formats.msg:parse",
    "application/epub+zip": "headrace.knowledge.formats.epub:parse",
    "application/zip": "headrace.knowledge.formats.archive:parse",
    "application/pdf": "headrace.knowledge.formats.pdf:parse",
    "application/msword": "headrace.knowledge.formats.doc:parse",
    "application/vnd.ms-powerpoint": "headrace.knowledge.formats.ppt:parse",
    _OFFICE + "wordprocessingml.document": "headrace.knowledge.formats.docx:parse",
    _OFFICE + "presentationml.presentation": "headrace.knowledge.formats.pptx:parse",
    _OFFICE + "spreadsheetml.sheet": "headrace.knowledge.formats.sheets:parse",
    "application/vnd.ms-excel.sheet.binary.macroenabled.12": "headrace.knowledge.formats.sheets:parse",
    "application/vnd.ms-excel": "headrace.knowledge.formats.sheets:parse",
    _ODF + "text": "headrace.knowledge.formats.opendocument:parse",
    _ODF + "text-template": "headrace.knowledge.formats.opendocument:parse",
    _ODF + "text-master": "headrace.knowledge.formats.opendocument:parse",
    _ODF + "text-flat-xml": "headrace.knowledge.formats.opendocument:parse",
    _ODF + "presentation": "headrace.knowledge.formats.opendocument:parse",
    _ODF + "presentation-template": "headrace.knowledge.formats.opendocument:parse",
    _ODF + "presentation-flat-xml": "headrace.knowledge.formats.opendocument:parse",
    _ODF + "spreadsheet": "headrace.knowledge.formats.opendocument_sheets:parse",
    _ODF + "spreadsheet-template": "headrace.knowledge.formats.opendocument_sheets:parse",
    "application/vnd.apache.parquet": "headrace.knowledge.formats.parquet:parse",
    "application/avro": "headrace.knowledge.formats.avro:parse",
    "image/png": "headrace.knowledge.formats.image:parse",
    "image/jpeg": "headrace.knowledge.formats.image:parse",
    "image/gif": "headrace.knowledge.formats.image:parse",
    "image/tiff": "headrace.knowledge.formats.image:parse",
    "image/webp": "headrace.knowledge.formats.image:parse",
    "image/bmp": "headrace.knowledge.formats.image:parse",
}
"""What reads a document, by its content type."""
OBJECT_STORES = {"s3": "headrace.objects.s3:open_objects"}
"""Where clients put large uploads."""
OCR = {"rapidocr": "headrace.knowledge.formats.rapid:engine"}


def lookup(kind: str, table: dict[str, str], url: str) -> Callable[..., Any]:
    """The factory for an address. Raises ConfigError naming what there is; `headrace.<kind>` entry points add to it."""
    scheme = url.partition(":")[0]
    target = table.get(scheme) or _plugin(kind, scheme)
    if target is None:
        raise ConfigError(
            step=f"find the {kind} for an address",
            expected="one of " + ", ".join(f"{s}:" for s in sorted(table)),
            got=f"{scheme}:",
            remedy="Correct the address, or install the plugin that brings it.",
        )
    if not isinstance(target, str):
        return target
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def chosen_here(address: str) -> str:
    """An embedder's address with what is best on this machine, where it leaves something open."""
    return lookup("choices", CHOICES, address)(address) if address.partition(":")[0] in CHOICES else address


def embedder_at(address: str) -> Any:
    """The embedder of an address as it stands in the configuration, references to secrets included. Blocks while it
    opens. Raises ConfigError, and EmbeddingError when a service does not answer."""
    return lookup("embedders", EMBEDDERS, address)(with_secrets(address))


def reranker_at(address: str) -> Any:
    """As `embedder_at`, the reranker. Raises ConfigError; a service is not asked for anything yet."""
    return lookup("rerankers", RERANKERS, address)(with_secrets(address))


def _plugin(kind: str, scheme: str) -> Callable[..., Any] | None:
    for point in entry_points(group=f"headrace.{kind}"):
        if point.name == scheme:
            return point.load()
    return None


class Lazily:
    """A module that is loaded when something of it is used first: a command does not load what serves.

    Its user imports it under `TYPE_CHECKING` as well, so that names and directions are checked.
    """

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self._module), name)
