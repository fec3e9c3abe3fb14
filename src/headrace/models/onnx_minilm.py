"""Embedder `onnx:`: a sentence model as an ONNX file, run in this process.

    onnx:all-MiniLM-L6-v2      the one that comes with Headrace
    onnx:/path/to/folder       model.onnx and tokenizer.json of the same shape: token ids in, one unit vector out

One text an inference and one thread an inference: a vector depends on its text alone, and on two cores two such
inferences side by side do more than one over both. Live texts and background texts have threads of their own; those of
the background yield the processor to others, so that a live text waits for no bulk, not even for its running inference,
and the event loop does not either.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import platform
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import msgspec
import numpy as np
import onnxruntime as ort
import structlog
from numpy.typing import NDArray
from tokenizers import Tokenizer

from headrace.errors import BadInput, ConfigError, StoreError
from headrace.models import Vectors, build_minilm

logger = structlog.get_logger("headrace.models")
SCHEME = "onnx:"
DATA = Path(__file__).parent / "data"
BACKGROUND_NICENESS = 10
DEFAULT_MAX_TOKENS = 256
KNOWN_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})
REBUILD = "Make it with `make dev`, or with `python -m headrace.models.build_minilm`."

Vector = NDArray[np.float32]


class _Manifest(msgspec.Struct, frozen=True):
    """What stands beside a model of ours; a folder of another maker need not have it."""

    name: str
    precision: str
    max_tokens: int
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Model:
    """A loaded model: threads may share it."""

    id: str
    dimensions: int
    max_tokens: int
    tokenizer: Tokenizer  # neither truncates nor pads
    truncating: Tokenizer
    session: ort.InferenceSession
    inputs: frozenset[str]
    output: str

    def vector(self, text: str) -> Vector:
        """The unit vector of one text, shape (dimensions,). Blocks. Raises BadInput."""
        try:
            ids = np.array([self.truncating.encode(text).ids], np.int64)
        except (TypeError, ValueError) as error:
            raise BadInput(
                step="embed a text",
                expected="Unicode text",
                got=f"{type(error).__name__} from the tokenizer (a lone surrogate?)",
                remedy="Correct the text at its source.",
            ) from error
        feed = {"input_ids": ids}
        if "attention_mask" in self.inputs:
            feed["attention_mask"] = np.ones_like(ids)
        if "token_type_ids" in self.inputs:
            feed["token_type_ids"] = np.zeros_like(ids)
        return self.session.run([self.output], feed)[0][0]


class _Lane:
    """Threads for one kind of work and a bound on what waits for them; beyond it callers wait in turn."""

    def __init__(self, name: str, threads: int, niceness: int = 0) -> None:
        self.width = 2 * threads  # a thread that is done finds its next text without asking the event loop
        self._slots = asyncio.Semaphore(self.width)
        self._threads = ThreadPoolExecutor(threads, f"headrace-embed-{name}", _yield_to_others, (niceness,))
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

    def __init__(self, model: _Model) -> None:
        self._model = model
        threads = max(2, _processors())
        self._live = _Lane("live", threads)
        self._background = _Lane("background", _processors(), BACKGROUND_NICENESS)

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

    async def embed(self, texts: Sequence[str], *, background: bool = False) -> Vectors:
        """Shape (len(texts), dimensions), float32. Raises BadInput, and StoreError after `close`."""
        lane = self._background if background else self._live
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
    name = url.removeprefix(SCHEME)
    shipped = "/" not in name and "\\" not in name
    folder = DATA / name if shipped else Path(name).expanduser()
    if shipped and name != "all-MiniLM-L6-v2" and not (folder / "model.onnx").is_file():
        raise _unusable(
            "one of " + ", ".join(_shipped()), repr(name), "Name one of these, or a folder: onnx:/path/to/folder."
        )
    if folder == build_minilm.TARGET and not (folder / "model.onnx").is_file():
        logger.info("making the embedding model's file from its weights, once", folder=str(folder))
        build_minilm.build(folder)  # in a wheel it is there; a checkout that was only synced makes it here
    remedy = REBUILD if shipped else "The folder needs model.onnx and tokenizer.json."
    for file in ("model.onnx", "tokenizer.json"):
        if not (folder / file).is_file():
            raise _unusable(f"{file} in {folder}", "no such file", remedy)
    return OnnxEmbedder(_load(folder, remedy))


def _shipped() -> list[str]:
    there = {path.parent.name for path in DATA.glob("*/model.onnx")}
    return sorted(there | {"all-MiniLM-L6-v2"})


def _load(folder: Path, remedy: str) -> _Model:
    content = (folder / "model.onnx").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    manifest = _manifest(folder)
    if manifest and manifest.files.get("model.onnx") != digest:
        raise _unusable(f"model.onnx with the SHA-256 of {folder / 'manifest.json'}", digest, remedy)
    try:
        session = ort.InferenceSession(content, _options(), providers=["CPUExecutionProvider"])
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # onnxruntime and tokenizers share no base class
        raise _unusable(f"a readable model in {folder}", f"{type(error).__name__}: {error}"[:300], remedy) from error
    max_tokens = manifest.max_tokens if manifest else _truncation(tokenizer)
    name = f"{manifest.name}/{manifest.precision}" if manifest else folder.resolve().name
    return _probed(folder, f"{name}/{digest[:12]}", max_tokens, session, tokenizer)


def _probed(folder: Path, id: str, max_tokens: int, session: ort.InferenceSession, tokenizer: Tokenizer) -> _Model:
    """Embeds two texts to see that the model has the shape that is promised; this also warms it up."""
    truncating = Tokenizer.from_str(tokenizer.to_str())
    for each in (tokenizer, truncating):
        each.no_padding()
        each.no_truncation()
    truncating.enable_truncation(max_tokens)  # pyright: ignore[reportUnknownMemberType]
    inputs = frozenset(argument.name for argument in session.get_inputs())
    outputs = [argument.name for argument in session.get_outputs()]
    output = "sentence_embedding" if "sentence_embedding" in outputs else outputs[0]
    expected = "input_ids (and attention_mask, token_type_ids) in, one unit vector (1, dimensions) out"
    remedy = "Export the model with its pooling and normalisation inside the graph."
    if not inputs <= KNOWN_INPUTS or "input_ids" not in inputs:
        raise _unusable(expected, f"inputs {sorted(inputs)} in {folder}", remedy)
    model = _Model(id, 0, max_tokens, tokenizer, truncating, session, inputs, output)
    for text in ("", "a probe that is longer than " + "many words " * max_tokens):
        vector = model.vector(text)
        if vector.ndim != 1 or not np.isclose(np.linalg.norm(vector), 1, atol=1e-3):
            raise _unusable(expected, f"output {output} of shape {(1, *vector.shape)} in {folder}", remedy)
    return _Model(id, len(vector), max_tokens, tokenizer, truncating, session, inputs, output)


def _manifest(folder: Path) -> _Manifest | None:
    with contextlib.suppress(FileNotFoundError):
        try:
            return msgspec.json.decode((folder / "manifest.json").read_bytes(), type=_Manifest)
        except msgspec.DecodeError as error:
            raise _unusable(f"a manifest in {folder / 'manifest.json'}", str(error), REBUILD) from error
    return None


def _truncation(tokenizer: Tokenizer) -> int:
    settings = cast(dict[str, int] | None, tokenizer.truncation)  # pyright: ignore[reportUnknownMemberType]
    return settings["max_length"] if settings else DEFAULT_MAX_TOKENS


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
    processors = Path("/proc/cpuinfo")
    return processors.is_file() and "vnni" in processors.read_text(encoding="utf-8")


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _yield_to_others(niceness: int) -> None:
    """Lower the calling thread's priority; only Linux has one per thread."""
    if niceness and sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)


def _unusable(expected: str, got: str, remedy: str) -> ConfigError:
    return ConfigError(step="open the embedding model", expected=expected, got=got, remedy=remedy)
