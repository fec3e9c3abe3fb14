"""Embedder `onnx:`: a sentence model as an ONNX file, run in this process.

    onnx:all-MiniLM-L6-v2          the one that comes with Headrace
    onnx:/path/to/folder           a folder as models have it at Hugging Face: model.onnx, or onnx/model.onnx, and
                                   tokenizer.json
    onnx:/path/to/folder?file=onnx/model_quantized.onnx&pooling=cls
    onnx:/path/to/folder?runtime=openvino          run by OpenVINO instead of onnxruntime

A model gives one vector for a text, or one for each token of it: these become one as the folder's 1_Pooling/config.json
says (`pooling`: otherwise; without either their mean), and either is made to length 1. How much of a text is read,
and what is put before questions and before what is to be found, is read from the folder too, as sentence-transformers
does, and may be set: `max_tokens`, `query_prefix`, `document_prefix`.

One text an inference and one thread an inference: a vector depends on its text alone, and on two cores two such
inferences side by side do more than one over both. Live texts and background texts have threads of their own; those of
the background yield the processor to others, so that a live text waits for no bulk, not even for its running inference,
and the event loop does not either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qsl

import msgspec
import numpy as np
from tokenizers import Tokenizer

from headrace.errors import BadInput, StoreError
from headrace.models import Vectors, bundled, onnx_graph
from headrace.models.onnx_model import REBUILD, Model, Settings, load, unusable
from headrace.models.pooling import POOLINGS, Vector
from headrace.models.threads import processors, yield_to_others

SCHEME = "onnx:"
DATA = bundled.DATA
BACKGROUND_NICENESS = 10


class _Lane:
    """Threads for one kind of work and a bound on what waits for them; beyond it callers wait in turn."""

    def __init__(self, name: str, threads: int, niceness: int = 0) -> None:
        self.width = 2 * threads  # a thread that is done finds its next text without asking the event loop
        self._slots = asyncio.Semaphore(self.width)
        self._threads = ThreadPoolExecutor(threads, f"headrace-embed-{name}", yield_to_others, (niceness,))
        self._closed = False

    async def run(self, work: Callable[[str], Vector], text: str) -> Vector:
        async with self._slots:
            if self._closed:
                raise StoreError(
                    step="embed a text",
                    expected="an open embedder",
                    got="one that was closed",
                    remedy="Headrace is stopping: ask again when it is up.",
                )
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, text)

    async def close(self) -> None:
        """Refuse what comes, finish what has a slot."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown)


class OnnxEmbedder:
    """Embedder over one ONNX file; see the module's first lines and the port."""

    def __init__(self, model: Model) -> None:
        self._model = model
        threads = max(2, processors())
        self._live = _Lane("live", threads)
        self._background = _Lane("background", processors(), BACKGROUND_NICENESS)

    @property
    def id(self) -> str:
        """Name, precision and the start of the file's SHA-256."""
        return self._model.id

    @property
    def dimensions(self) -> int:
        return self._model.dimensions

    @property
    def max_tokens(self) -> int:
        """Tokens that the model reads of a text, its two special ones included; the rest is left out."""
        return self._model.max_tokens

    @property
    def tokenizer(self) -> Tokenizer:
        return self._model.tokenizer

    def count_tokens(self, text: str) -> int:
        """Tokens of the whole text, special ones included: it is embedded whole if this is at most `max_tokens`."""
        return len(self._model.tokenizer.encode(text).ids)

    async def embed(self, texts: Sequence[str], *, background: bool = False, query: bool = False) -> Vectors:
        """Shape (len(texts), dimensions), float32. Raises BadInput, and StoreError after `close`."""
        lane = self._background if background else self._live
        prefix = self._model.folder.query_prefix if query else self._model.folder.document_prefix
        texts = [prefix + text for text in texts] if prefix else texts
        vectors = np.empty((len(texts), self.dimensions), np.float32)
        if len(texts) == 1:
            vectors[0] = await lane.run(self._model.vector, texts[0])
            return vectors
        todo = iter(enumerate(texts))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(lane.width, len(texts))):
                    group.create_task(self._fill(vectors, todo, lane))
        except ExceptionGroup as errors:  # `except*` would wrap what is raised in it, before Python 3.11.4
            known = errors.subgroup((BadInput, StoreError))
            raise (known or errors).exceptions[0] from None
        return vectors

    async def _fill(self, vectors: Vectors, todo: Iterator[tuple[int, str]], lane: _Lane) -> None:
        for row, text in todo:
            vectors[row] = await lane.run(self._model.vector, text)

    async def close(self) -> None:
        """Finish the running inferences and end the threads; a second call does nothing."""
        await asyncio.gather(self._live.close(), self._background.close())


def open_embedder(url: str) -> OnnxEmbedder:
    """The embedder of an `onnx:` address. Blocks while it loads. Raises ConfigError, BuildFailed."""
    name, _, query = url.removeprefix(SCHEME).partition("?")
    settings = _settings(query)
    shipped = "/" not in name and "\\" not in name
    folder = DATA / name if shipped else Path(name).expanduser()
    if shipped and name != bundled.NAME and not (folder / "model.onnx").is_file():
        raise unusable(
            "one of " + ", ".join(_shipped()), repr(name), "Name one of these, or a folder: onnx:/path/to/folder."
        )
    folder = bundled.made(folder)
    remedy = REBUILD if shipped else "The folder needs model.onnx and tokenizer.json."
    file = onnx_graph.found(folder, settings.file)
    if file is None:
        raise unusable(f"{settings.file or 'model.onnx'} in {folder}", "no such file", remedy)
    if not (folder / "tokenizer.json").is_file():
        raise unusable(f"tokenizer.json in {folder}", "no such file", remedy)
    return OnnxEmbedder(load(folder, file, settings, remedy))


def _settings(query: str) -> Settings:
    try:
        settings = msgspec.convert(dict(parse_qsl(query, keep_blank_values=True)), Settings, strict=False)
    except msgspec.ValidationError as error:
        known = ", ".join(Settings.__struct_fields__)
        raise unusable(known, str(error), "Correct `embedding` in [models].") from None
    if settings.pooling and settings.pooling not in POOLINGS:
        raise unusable("pooling=" + " or ".join(POOLINGS), settings.pooling, "Correct the address.")
    if settings.max_tokens is not None and settings.max_tokens < 1:
        raise unusable("max_tokens above 0", str(settings.max_tokens), "Correct the address.")
    return settings


def _shipped() -> list[str]:
    there = {path.parent.name for path in DATA.glob("*/model.onnx")}
    return sorted(there | {bundled.NAME})
