"""What every embedder behind an address does alike: batches, refusals, questions in time, vectors checked.

Query parameters that all of them take, beside those of `headrace.models.calls`, `headrace.models.cutting` and their
own:

- `dimensions`: how long its vectors are; without it, it is asked when it is opened, and must answer then.
- `batch_tokens`: tokens of a request, at most; its `tokenizer` is what chunks are cut by too.
- `question_timeout`: seconds for a question, all its attempts together.
- `query_prefix`, `document_prefix`: what some models want before a question, and before what is to be found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray
from tokenizers import Tokenizer

from headrace.errors import BadInput, EmbeddingError, ServiceError
from headrace.models import Service, Vectors
from headrace.models.address import Remote, tokenizer
from headrace.models.asked import Asked, Fault, Rows, Trouble
from headrace.models.calls import Calls, Reply, Wording
from headrace.models.cutting import Cut, Cutter

logger = structlog.get_logger("headrace.models")
T = TypeVar("T")
Vector = NDArray[np.float32]

LARGE = 32_768
"""Characters from which on texts are counted in a thread."""
OPENING_S = 10.0
"""So long a service has at least to say its dimensions."""
SPARED = 20_000
"""Vectors of a call that failed are kept for the next, at most so many."""
PROBE = "headrace"
_WORDING = Wording("embed texts", EmbeddingError, "embedder")


class RemoteEmbedder:
    """Implements `headrace.models.Embedder` and `Served` over any service; see the module's first lines."""

    def __init__(self, asked: Asked, settings: Remote, max_tokens: int, tokenizer: Tokenizer, own: bool) -> None:
        """`own`: the tokenizer is the model's. Without `dimensions`, they are those of the first answer."""
        self._asked = asked
        self._settings = settings
        self._dimensions = settings.dimensions
        self._cutter = Cutter(tokenizer, max_tokens, own=own)
        self._calls = Calls(settings, asked.shown, _WORDING)
        self._spared: dict[str, Vector] = {}
        self._untold: ServiceError | None = None

    @property
    def id(self) -> str:
        """Where the model is and its name, and what is put before texts: all of it is in their vectors."""
        prefix = self._settings.document_prefix
        return f"{self._asked.id}#{quote(prefix)}" if prefix else self._asked.id

    @property
    def dimensions(self) -> int:
        """Raises EmbeddingError where it never answered and nobody said it."""
        if self._dimensions is None:
            raise self._untold or self._calls.error(Trouble(Fault.TRANSIENT, "an answer", "none yet"))
        return self._dimensions

    def know(self, dimensions: int) -> None:
        self._dimensions = self._dimensions or dimensions

    @property
    def max_tokens(self) -> int:
        return self._cutter.max_tokens

    @property
    def tokenizer(self) -> Tokenizer:
        return self._cutter.tokenizer

    def count_tokens(self, text: str) -> int:
        """Estimated upwards where the tokenizer is not the model's."""
        return self._cutter.count(text)

    @property
    def service(self) -> Service:
        return self._calls.service

    async def embed(self, texts: Sequence[str], *, background: bool = False, query: bool = False) -> Vectors:
        """Shape (len(texts), dimensions), float32. Raises BadInput, EmbeddingError, and StoreError after `close`."""
        self._calls.check_open()
        prefix = self._settings.query_prefix if query else self._settings.document_prefix
        wanted = await self._all_cut([prefix + text for text in texts])
        found = {t.sent: v for t in wanted if (v := self._spared.pop(t.sent, None)) is not None}
        missing = {t.sent: t for t in wanted if t.sent not in found}
        batches = list(self._batches(list(missing.values())))
        work = [self._batch(b, background=background, query=query) for b in batches]
        done = await (self._in_time(_all(work)) if query else _all(work))
        for batch, rows in zip(batches, done, strict=True):
            if not isinstance(rows, BaseException):
                found |= {t.sent: row for t, row in zip(batch, rows, strict=True)}
        if failed := [e for e in done if isinstance(e, BaseException)]:
            self._spare(found)
            raise min(failed, key=lambda e: isinstance(e, BadInput))  # what can pass comes first
        if not texts:
            return np.empty((0, self.dimensions), np.float32)
        return np.stack([found[t.sent] for t in wanted])

    async def close(self) -> None:
        """Refuse what comes, and close all connections; a second call does nothing."""
        self._calls.end()
        await self._asked.close()

    def ask_dimensions(self, thread: ThreadPoolExecutor) -> None:
        """In an event loop of its own; blocks."""
        try:
            self.know(thread.submit(asyncio.run, _dimensions(self._asked, self._settings, self.tokenizer)).result())
        except EmbeddingError as error:
            remedy = f"{error.remedy} With dimensions=N in the address, Headrace starts without asking it."
            self._untold = EmbeddingError(step=error.step, expected=error.expected, got=error.got, remedy=remedy)
            logger.warning("the service that embeds does not answer", error=str(error))

    # ---- texts -------------------------------------------------------------------------------------------------------

    async def _all_cut(self, texts: Sequence[str]) -> list[Cut]:
        """Many are counted in a thread: questions do not wait for it."""
        if sum(map(len, texts)) <= LARGE:
            return [self._cut(text) for text in texts]
        return await asyncio.to_thread(lambda: [self._cut(text) for text in texts])

    def _cut(self, text: str) -> Cut:
        try:
            return self._cutter.cut(text)
        except (TypeError, ValueError) as error:
            raise BadInput(
                step="embed a text",
                expected="Unicode text",
                got=f"{type(error).__name__} from the tokenizer (a lone surrogate?)",
                remedy="Correct the text at its source.",
            ) from error

    def _batches(self, texts: Sequence[Cut]) -> Iterator[list[Cut]]:
        """In their order, each within the limits of a request, or one text alone."""
        batch: list[Cut] = []
        tokens = 0
        for text in texts:
            full = len(batch) >= self._settings.batch or tokens + text.tokens > self._settings.batch_tokens
            if batch and full:
                yield batch
                batch, tokens = [], 0
            batch.append(text)
            tokens += text.tokens
        if batch:
            yield batch

    def _spare(self, found: dict[str, Vector]) -> None:
        """What was embedded, and paid, is not embedded again when the call is."""
        self._spared |= found
        while len(self._spared) > SPARED:
            del self._spared[next(iter(self._spared))]

    # ---- requests ----------------------------------------------------------------------------------------------------

    async def _in_time(self, work: Coroutine[Any, Any, T]) -> T:
        """A question is not kept waiting: there is another way to answer it."""
        seconds = self._settings.question_timeout
        try:
            async with asyncio.timeout(seconds):
                return await work
        except TimeoutError:
            late = Trouble(Fault.TRANSIENT, f"vectors within {seconds:g} s", self._calls.said)
            raise self._calls.error(late) from None

    async def _batch(self, batch: Sequence[Cut], *, background: bool, query: bool) -> Vectors:
        """The vectors of one request, tried again as long as that may help."""
        try:
            return await self._calls.again(lambda: self._once(batch, background=background, query=query))
        except Trouble as trouble:
            refusal = trouble
        return await self._refused(batch, refusal, background=background, query=query)

    async def _refused(self, batch: Sequence[Cut], refusal: Trouble, *, background: bool, query: bool) -> Vectors:
        """Which of the texts it is that the service does not take; where it takes none at all, no text is at fault."""
        if len(batch) > 1:
            half = len(batch) // 2
            first = await self._batch(batch[:half], background=background, query=query)
            return np.concatenate([first, await self._batch(batch[half:], background=background, query=query)])
        try:
            await self._once([Cut(PROBE, 1)], background=background, query=query)
        except Trouble as trouble:
            raise self._calls.error(refusal if trouble.fault is Fault.REFUSED else trouble) from None
        raise BadInput(
            step=f"embed a text at {self._asked.shown}",
            expected="one that the service takes",
            got=refusal.got,
            remedy="Correct the text at its source, or lower max_tokens in the address.",
        )

    async def _once(self, batch: Sequence[Cut], *, background: bool, query: bool) -> Vectors:
        """One request. Raises Trouble, and EmbeddingError while the service is left alone."""
        texts = [t.sent for t in batch]

        async def send() -> Reply[Vectors]:
            answer = await self._asked.ask(texts, query=query)
            vectors = unit(answer.rows, len(texts), self._dimensions)
            self._dimensions = vectors.shape[1]
            return Reply(vectors, answer.tokens)

        return await self._calls.once(send, len(texts), sum(t.tokens for t in batch), background=background)


async def _all(work: Sequence[Coroutine[Any, Any, Vectors]]) -> list[Vectors | BaseException]:
    return await asyncio.gather(*work, return_exceptions=True)


def unit(rows: Rows, count: int, dimensions: int | None) -> Vectors:
    """Shape (count, dimensions), each of length 1. Raises Trouble for anything that is not that many such vectors."""
    if len(rows) != count:
        raise Trouble(Fault.BROKEN, f"{count} vectors for {count} texts", f"{len(rows)}")
    lengths = {len(row) for row in rows}
    if dimensions is not None and lengths - {dimensions}:
        got = f"vectors of {', '.join(map(str, sorted(lengths)))}"
        remedy = "Correct `dimensions` in the address; if the service has another model now, name it there."
        raise Trouble(Fault.BROKEN, f"vectors of {dimensions} dimensions", got, remedy)
    if len(lengths) != 1 or not lengths - {0}:
        raise Trouble(Fault.BROKEN, "vectors of one length", f"lengths {', '.join(map(str, sorted(lengths)))}")
    made = np.asarray(rows, np.float64)
    norms = np.linalg.norm(made, axis=1, keepdims=True)
    if not np.isfinite(norms).all() or not norms.all():
        raise Trouble(Fault.BROKEN, "vectors that have a direction", "one of zeros, or with a value that is no number")
    return (made / norms).astype(np.float32)


def opened(asked: Asked, settings: Remote, max_tokens: int) -> RemoteEmbedder:
    """The embedder of a service, with `max_tokens` where the settings do not say. Without `dimensions` the service is
    asked for them now, which blocks; where it does not answer, whoever opened it may know them."""
    found, own = tokenizer(settings)
    embedder = RemoteEmbedder(asked, settings, settings.max_tokens or max_tokens, found, own)
    if settings.dimensions is None:
        with ThreadPoolExecutor(1, "headrace-embed-open") as thread:  # there may be an event loop in this one
            embedder.ask_dimensions(thread)
    return embedder


async def _dimensions(asked: Asked, settings: Remote, tokenizer: Tokenizer) -> int:
    patient = msgspec.structs.replace(settings, question_timeout=max(OPENING_S, settings.question_timeout))
    once = RemoteEmbedder(asked, patient, 64, tokenizer, True)
    try:
        return (await once.embed([PROBE], query=True)).shape[1]
    finally:
        await once.close()
