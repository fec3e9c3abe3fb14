"""What every embedder behind an address does alike: batches, turns, retries, a breaker, counts, vectors checked.

Query parameters that all of them take, beside their own:

- `dimensions`: how long its vectors are; without it, it is asked when it is opened, and must answer then.
- `tokenizer`: path of a tokenizer.json, by which texts are cut into chunks and counted. Without it the tokenizer of the
  model that Headrace comes with estimates, and a quarter is added to what it counts.
- `max_tokens`: what the model reads of a text; longer ones are cut there.
- `batch`, `batch_tokens`: texts and tokens of a request, at most; `concurrency`: requests at a time.
- `requests_per_minute`, `tokens_per_minute`: what the service allows.
- `timeout`: seconds for a request; `question_timeout`: for a question, all its attempts together; `retries`.
- `breaker_failures`, `breaker_pause`: after so many failures in a row it is left alone for so many seconds.
- `price`: of a million tokens.
- `query_prefix`, `document_prefix`: what some models want before a question, and before what is to be found.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray
from tokenizers import Tokenizer

from headrace.clock import now_us, rfc3339
from headrace.errors import BadInput, EmbeddingError, StoreError
from headrace.models import Service, Vectors
from headrace.models.address import Remote, tokenizer
from headrace.models.asked import Asked, Fault, Rows, Trouble
from headrace.models.limits import Breaker, Turns

logger = structlog.get_logger("headrace.models")
T = TypeVar("T")
Vector = NDArray[np.float32]

ESTIMATE = 1.25
"""Tokens of a model for each token of another's tokenizer, with room to spare."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 20.0
PATIENCE_S = 30.0
"""A service that asks for a longer pause is left alone for it."""
LARGE = 32_768
"""Characters from which on texts are counted in a thread."""
OPENING_S = 10.0
"""So long a service has at least to say its dimensions."""
SPARED = 20_000
"""Vectors of a call that failed are kept for the next, at most so many."""
PROBE = "headrace"


@dataclass(frozen=True, slots=True)
class _Text:
    """A text as it is sent, and about how many tokens that is."""

    sent: str
    tokens: int


@dataclass(slots=True)
class _Counts:
    requests: int = 0
    failures: int = 0
    texts: int = 0
    tokens: int = 0
    estimated: bool = False


class RemoteEmbedder:
    """Implements `headrace.models.Embedder` and `Served` over any service; see the module's first lines."""

    def __init__(self, asked: Asked, settings: Remote, max_tokens: int, tokenizer: Tokenizer, own: bool) -> None:
        """`own`: the tokenizer is the model's. Without `dimensions`, they are those of the first answer."""
        self._asked = asked
        self._settings = settings
        self._dimensions = settings.dimensions
        self._max_tokens = max_tokens
        self._tokenizer = tokenizer
        self._ratio = 1.0 if own else ESTIMATE
        self._turns = Turns(settings.concurrency, settings.requests_per_minute, settings.tokens_per_minute)
        self._breaker = Breaker(settings.breaker_failures, settings.breaker_pause)
        self._counts = _Counts()
        self._last: Trouble | None = None
        self._spared: dict[str, Vector] = {}
        self._untold: EmbeddingError | None = None
        self._closed = False

    @property
    def id(self) -> str:
        """Where the model is and its name, and what is put before texts: all of it is in their vectors."""
        prefix = self._settings.document_prefix
        return f"{self._asked.id}#{quote(prefix)}" if prefix else self._asked.id

    @property
    def dimensions(self) -> int:
        """Raises EmbeddingError where it never answered and nobody said it."""
        if self._dimensions is None:
            raise self._untold or self._error(Trouble(Fault.TRANSIENT, "an answer", "none yet"))
        return self._dimensions

    def know(self, dimensions: int) -> None:
        self._dimensions = self._dimensions or dimensions

    @property
    def max_tokens(self) -> int:
        return self._max_tokens

    @property
    def tokenizer(self) -> Tokenizer:
        return self._tokenizer

    def count_tokens(self, text: str) -> int:
        """Estimated upwards where the tokenizer is not the model's."""
        return math.ceil(len(self._tokenizer.encode(text).ids) * self._ratio)

    @property
    def service(self) -> Service:
        counts, open_s = self._counts, self._breaker.open_s
        return Service(
            "open" if open_s is not None else "failing" if self._last else "ok",
            self._last.got if self._last else None,
            None if open_s is None else now_us() + int(open_s * 1e6),
            counts.requests,
            counts.failures,
            counts.texts,
            counts.tokens,
            counts.estimated,
            None if self._settings.price is None else counts.tokens * self._settings.price / 1e6,
        )

    async def embed(self, texts: Sequence[str], *, background: bool = False, query: bool = False) -> Vectors:
        """Shape (len(texts), dimensions), float32. Raises BadInput, EmbeddingError, and StoreError after `close`."""
        if self._closed:
            raise _ended()
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
        self._closed = True
        await self._asked.close()

    def ask_dimensions(self, thread: ThreadPoolExecutor) -> None:
        """In an event loop of its own; blocks."""
        try:
            self.know(thread.submit(asyncio.run, _dimensions(self._asked, self._settings, self._tokenizer)).result())
        except EmbeddingError as error:
            remedy = f"{error.remedy} With dimensions=N in the address, Headrace starts without asking it."
            self._untold = EmbeddingError(step=error.step, expected=error.expected, got=error.got, remedy=remedy)
            logger.warning("the service that embeds does not answer", error=str(error))

    # ---- texts -------------------------------------------------------------------------------------------------------

    async def _all_cut(self, texts: Sequence[str]) -> list[_Text]:
        """Many are counted in a thread: questions do not wait for it."""
        if sum(map(len, texts)) <= LARGE:
            return [self._cut(text) for text in texts]
        return await asyncio.to_thread(lambda: [self._cut(text) for text in texts])

    def _cut(self, text: str) -> _Text:
        """As much of it as the model reads."""
        try:
            encoded = self._tokenizer.encode(text)
            text.encode()
        except (TypeError, ValueError) as error:
            raise BadInput(
                step="embed a text",
                expected="Unicode text",
                got=f"{type(error).__name__} from the tokenizer (a lone surrogate?)",
                remedy="Correct the text at its source.",
            ) from error
        most = max(1, int(self._max_tokens / self._ratio))
        if len(encoded.ids) <= most:
            return _Text(text, math.ceil(len(encoded.ids) * self._ratio))
        ends = [end for _, end in encoded.offsets[:most]]
        return _Text(text[: max(ends)], self._max_tokens)

    def _batches(self, texts: Sequence[_Text]) -> Iterator[list[_Text]]:
        """In their order, each within the limits of a request, or one text alone."""
        batch: list[_Text] = []
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
            got = self._last.got if self._last else "none until then"
            raise self._error(Trouble(Fault.TRANSIENT, f"vectors within {seconds:g} s", got)) from None

    async def _batch(self, batch: Sequence[_Text], *, background: bool, query: bool) -> Vectors:
        """The vectors of one request, tried again as long as that may help."""
        for attempt in range(self._settings.retries + 1):
            try:
                return await self._once(batch, background=background, query=query)
            except Trouble as trouble:
                if trouble.fault is Fault.REFUSED:
                    return await self._refused(batch, trouble, background=background, query=query)
                if attempt == self._settings.retries or not worth_trying(trouble):
                    raise self._error(trouble) from None
                # Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
                pause_s = random.uniform(0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt))  # noqa: S311
                pause_s += trouble.after_s or 0.0
            await asyncio.sleep(pause_s)
        raise AssertionError("the last attempt returns or raises")

    async def _refused(self, batch: Sequence[_Text], refusal: Trouble, *, background: bool, query: bool) -> Vectors:
        """Which of the texts it is that the service does not take; where it takes none at all, no text is at fault."""
        if len(batch) > 1:
            half = len(batch) // 2
            first = await self._batch(batch[:half], background=background, query=query)
            return np.concatenate([first, await self._batch(batch[half:], background=background, query=query)])
        try:
            await self._once([_Text(PROBE, 1)], background=background, query=query)
        except Trouble as trouble:
            raise self._error(refusal if trouble.fault is Fault.REFUSED else trouble) from None
        raise BadInput(
            step=f"embed a text at {self._asked.shown}",
            expected="one that the service takes",
            got=refusal.got,
            remedy="Correct the text at its source, or lower max_tokens in the address.",
        )

    async def _once(self, batch: Sequence[_Text], *, background: bool, query: bool) -> Vectors:
        """One request. Raises Trouble, and EmbeddingError while the service is left alone."""
        self._check()
        tokens = sum(t.tokens for t in batch)
        async with self._turns.turn(tokens, background=background) as spent:
            self._check()
            self._breaker.begin()
            try:
                vectors, told = await self._sent([t.sent for t in batch], query=query)
            except Trouble as trouble:
                self._failed(trouble)
                raise
            except BaseException:
                self._breaker.cancelled()
                raise
            self._breaker.succeeded()
            self._last = None
            spent.tokens = tokens if told is None else told
            self._counts.texts += len(batch)
            self._counts.tokens += spent.tokens
            self._counts.estimated = self._counts.estimated or told is None
            return vectors

    async def _sent(self, texts: Sequence[str], *, query: bool) -> tuple[Vectors, int | None]:
        self._counts.requests += 1
        seconds = self._settings.timeout
        try:
            async with asyncio.timeout(seconds):
                answer = await self._asked.ask(texts, query=query)
        except TimeoutError:
            raise Trouble(Fault.TRANSIENT, f"an answer within {seconds:g} s", "none until then") from None
        vectors = unit(answer.rows, len(texts), self._dimensions)
        self._dimensions = vectors.shape[1]
        return vectors, answer.tokens

    def _failed(self, trouble: Trouble) -> None:
        if trouble.fault is Fault.REFUSED:  # it answers
            self._breaker.succeeded()
            return
        self._counts.failures += 1
        self._last = trouble
        if trouble.fault is Fault.TRANSIENT and not worth_trying(trouble):
            self._breaker.cancelled()
            self._breaker.open_for(trouble.after_s or 0.0)
        elif trouble.busy:
            self._breaker.cancelled()
            self._turns.hold(trouble.after_s or 0.0)
        else:
            self._breaker.failed()

    def _check(self) -> None:
        """Raises EmbeddingError while the service is left alone, StoreError after `close`."""
        if self._closed:
            raise _ended()
        if not self._breaker.admits():
            raise self._error(self._last or Trouble(Fault.TRANSIENT, "an answer", "none"))

    def _error(self, trouble: Trouble) -> EmbeddingError:
        """What is told, with when it is tried again."""
        open_s = self._breaker.open_s
        again = ""
        if open_s is not None:
            again = f" It is left alone, and tried again at {rfc3339(now_us() + int(open_s * 1e6))}."
        error = EmbeddingError(
            step=f"embed texts at {self._asked.shown}",
            expected=trouble.expected,
            got=trouble.got,
            remedy=trouble.remedy + again,
        )
        error.after_s = trouble.after_s if open_s is None else open_s
        return error


def worth_trying(trouble: Trouble) -> bool:
    """Whether the same request may soon succeed."""
    return trouble.fault is Fault.TRANSIENT and (trouble.after_s or 0.0) <= PATIENCE_S


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


def _ended() -> StoreError:
    return StoreError(
        step="embed a text",
        expected="an open embedder",
        got="one that was closed",
        remedy="Headrace is stopping: ask again when it is up.",
    )


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
