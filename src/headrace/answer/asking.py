"""A question's whole way: token, snapshot, history, retrieval, generation, and the turns that are kept of it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain, zip_longest
from time import perf_counter

from headrace.answer.compose import Done, Piece, generate
from headrace.answer.context import Answer, Context
from headrace.answer.question import retrieval_queries
from headrace.answer.remember import Remembered
from headrace.answer.retrieve import Retrieval, arrange, find
from headrace.answer.service import Asked, Reader, View, by_words, together
from headrace.clock import now_us, to_us
from headrace.errors import EmbeddingError, GenerationError
from headrace.models import Generator
from headrace.profiles.identifiers import normalise
from headrace.stores import Store
from headrace.stores.conversations import Turn
from headrace.stores.knowledge import Filter, Passage
from headrace.stores.values import Failure, Vector

HISTORY_TURNS = 12


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, by whom (an identifier or profile id), in which conversation, and how it is read. `rerank`: by
    the reranker, or not; None: as is configured."""

    text: str
    user: str | None = None
    conversation: str | None = None
    asked: Asked = field(default_factory=Asked)
    rerank: bool | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """First: which conversation this turn belongs to."""

    conversation: str


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage is done: wait, retrieve or generate, and how long it took (milliseconds)."""

    stage: str
    ms: float


@dataclass(frozen=True, slots=True)
class Finished:
    """Last: the whole answer, what it saw and how fresh that is now. `degraded`: which model it had to do without."""

    answer: Answer
    conversation: str
    token: str
    freshness_ms: float | None
    freshness_reason: str | None
    total_ms: float
    degraded: Failure | None


Event = Started | Stage | Piece | Finished


@dataclass(frozen=True, slots=True)
class _Looked:
    """What a snapshot held: `found` has the passages of each of the queries. The context is without passages."""

    queries: Sequence[str]
    found: Sequence[Sequence[Passage]]
    context: Context
    token: str
    degraded: Failure | None


@dataclass(frozen=True, slots=True)
class _Seen:
    context: Context
    view: View
    token: str
    degraded: Failure | None


class Asker:
    """Answers questions. `fixed_now`: the clock for words like "today", where it is not the real one."""

    def __init__(
        self,
        reader: Reader,
        store: Store,
        embedder: Remembered,
        generator: Generator | None,
        *,
        passages: int,
        max_tokens: int,
        fixed_now: datetime | None,
    ) -> None:
        self._reader = reader
        self._store = store
        self._embedder = embedder
        self._generator = generator
        self._passages = passages
        self._max_tokens = max_tokens
        self._fixed_now = fixed_now

    async def ask(self, question: Question) -> AsyncGenerator[Event, None]:
        """Events as they come; Finished last, when both turns are on disk.

        Raises Lagging, BadRequest (also where a reranker is asked for and none is configured), NotFound (another user's
        conversation), GenerationError.
        """
        began = perf_counter()
        how = Retrieval(rerank=question.rerank)
        how.ranked_by(self._reader.ranking)  # what is wrong with it is told before anything is done
        conversation = question.conversation or secrets.token_urlsafe(9)
        user = normalise(question.user) if question.user else None
        at = now_us()
        yield Started(conversation)
        async with self._reader.view(question.asked) as view:
            waited = perf_counter()
            yield Stage("wait", (waited - began) * 1000)
            looked = await self._look(view, question.text, user, conversation, how)
        seen = await self._see(view, looked, how)
        retrieved = perf_counter()
        yield Stage("retrieve", (retrieved - waited) * 1000)
        done: Done | None = None
        pieces = generate(seen.context, self._generator, embedder=self._embedder, max_tokens=self._max_tokens)
        async for piece in pieces:
            if isinstance(piece, Done):
                done = piece
            else:
                yield piece
        if done is None:
            raise _unfinished()
        yield Stage("generate", (perf_counter() - retrieved) * 1000)
        made_from = tuple(sorted({p.document for p in seen.context.passages} | _earlier(seen.context.history)))
        turns = [
            Turn("user", question.text, {}, at),
            Turn("assistant", done.answer.text, done.answer.focus, now_us(), made_from),
        ]
        await self._store.save_turns(conversation, user, turns)
        freshness, reason = seen.view.freshness()
        total_ms = (perf_counter() - began) * 1000
        degraded = together(seen.degraded, done.degraded)
        yield Finished(done.answer, conversation, seen.token, freshness, reason, total_ms, degraded)

    async def _look(self, view: View, text: str, user: str | None, conversation: str, how: Retrieval) -> _Looked:
        """Everything the answer may rest on, in one snapshot."""
        snapshot = view.snapshot
        history = await snapshot.conversations.turns(conversation, user, HISTORY_TURNS)
        profile = await snapshot.profiles.profile(user) if user else None
        now, zone = self._now()
        queries = retrieval_queries(text, history, now, zone, profile)
        vectors, degraded = await self._vectors(queries)
        found = [
            await find(snapshot.knowledge, q, v, self._passages, Filter(), how, self._reader.ranking)
            for q, v in zip(queries, vectors, strict=True)
        ]
        context = Context(text, (), profile, (), history, now, zone)
        return _Looked(queries, found, context, await view.token(), degraded)

    async def _see(self, view: View, looked: _Looked, how: Retrieval) -> _Seen:
        """The best of it. The snapshot is closed: a reranker may take its time, and there are few places for others."""
        k, ranking = self._passages, self._reader.ranking
        arranging = (arrange(q, p, k, how, ranking) for q, p in zip(looked.queries, looked.found, strict=True))
        best = await asyncio.gather(*arranging)
        context = replace(looked.context, passages=merged([b.passages for b in best], k))
        degraded = together(looked.degraded, *(b.degraded for b in best))
        return _Seen(context, view, looked.token, degraded)

    async def _vectors(self, queries: Sequence[str]) -> tuple[Sequence[Vector | None], Failure | None]:
        """None for each while they cannot be embedded, and why."""
        try:
            return list(await self._embedder.embed(queries)), None
        except EmbeddingError as error:
            return [None] * len(queries), by_words(error)

    def _now(self) -> tuple[int, int]:
        """Microseconds, and seconds east of UTC."""
        if self._fixed_now is None:
            offset = datetime.now().astimezone().utcoffset()
            return now_us(), int(offset.total_seconds()) if offset else 0
        offset = self._fixed_now.utcoffset()
        return to_us(self._fixed_now), int(offset.total_seconds()) if offset else 0


def _earlier(history: Sequence[Turn]) -> set[str]:
    """What the turns before were made from: this one may repeat it."""
    return {document for turn in history for document in turn.documents}


def merged(found: Sequence[Sequence[Passage]], k: int) -> list[Passage]:
    """Several queries' passages, each query's best first, taken in turns; each passage once."""
    if len(found) == 1:
        return list(found[0])
    chosen: dict[str, Passage] = {}
    for passage in chain.from_iterable(zip_longest(*found)):
        if passage is not None and passage.chunk not in chosen:
            chosen[passage.chunk] = passage
    return list(chosen.values())[: k + k // 2]


def _unfinished() -> GenerationError:
    return GenerationError(
        step="answer the question",
        expected="an answer to its end",
        got="a stream that stopped",
        remedy="Ask again.",
    )
