"""Reranker `onnx:`: a cross-encoder as an ONNX file, run in this process.

    onnx:/path/to/folder           a folder as models have it at Hugging Face: model.onnx, or onnx/model.onnx, and
                                   tokenizer.json
    onnx:/path/to/folder?file=onnx/model_quantized.onnx&max_tokens=256

The graph gives one logit for a pair, whose logistic function is the score, or two, whose second is that of passages
that answer. How much of a pair is read is what the folder's tokenizer_config.json and config.json say; the passage is
cut there, and a query only where it would leave less than a quarter of it.

One pair an inference and one thread an inference, so that a score depends on its pair alone. The pairs of a search wait
together, behind those of the searches that came before: when there are too many, some come too late, and not all. The
threads yield the processor to what embeds questions and live changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qsl

import msgspec
import numpy as np

from headrace.errors import RerankingError, StoreError
from headrace.models import Scores
from headrace.models.cross_encoder import CrossEncoder, Settings, load, unusable
from headrace.models.onnx_graph import said
from headrace.models.threads import processors, yield_to_others

SCHEME = "onnx:"
NICENESS = 5


class OnnxReranker:
    """Reranker over one ONNX file; see the module's first lines and the port."""

    def __init__(self, model: CrossEncoder) -> None:
        self._model = model
        self._threads = ThreadPoolExecutor(processors(), "headrace-rerank", yield_to_others, (NICENESS,))
        self._closed = False

    @property
    def id(self) -> str:
        """Name, the start of the file's SHA-256, and how many tokens are read."""
        return self._model.id

    async def scores(self, query: str, passages: Sequence[str]) -> Scores:
        """Shape (len(passages),), float64, 0 to 1. Raises RerankingError, and StoreError after `close`."""
        if self._closed:
            raise StoreError(
                step="rerank passages",
                expected="an open reranker",
                got="one that was closed",
                remedy="Headrace is stopping: ask again when it is up.",
            )
        run = asyncio.get_running_loop().run_in_executor
        work = [run(self._threads, self._model.score, query, passage) for passage in passages]
        try:
            found = np.array(await asyncio.gather(*work), np.float64)
        except Exception as error:  # onnxruntime's errors share no base class
            raise _unscored(said(error)) from error
        finally:
            for each in work:  # what has not begun is not done for nobody
                each.cancel()
        if not np.isfinite(found).all():
            raise _unscored("one that is no number")
        return found

    async def close(self) -> None:
        """Finish the running inferences and end the threads; a second call does nothing."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)


def _unscored(got: str) -> RerankingError:
    remedy = "Look at the model's folder and at max_tokens in its address."
    return RerankingError(step="rerank passages", expected="a score for each", got=got, remedy=remedy)


def open_reranker(url: str) -> OnnxReranker:
    """The reranker of an `onnx:` address. Blocks while it loads. Raises ConfigError."""
    name, _, query = url.removeprefix(SCHEME).partition("?")
    try:
        settings = msgspec.convert(dict(parse_qsl(query, keep_blank_values=True)), Settings, strict=False)
    except msgspec.ValidationError as error:
        known = ", ".join(Settings.__struct_fields__)
        raise unusable(known, str(error), "Correct `reranker` in [models].") from None
    if settings.max_tokens is not None and settings.max_tokens < 1:
        raise unusable("max_tokens above 0", str(settings.max_tokens), "Correct the address.")
    if not name:
        raise unusable("a folder: onnx:/path/to/folder", "none", "No reranker comes with Headrace.")
    return OnnxReranker(load(Path(name).expanduser(), settings))
