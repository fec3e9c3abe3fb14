"""Makes an answer as a stream: from a language model where there is one, else from the sources' own sentences."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

from headrace.answer.context import Answer, Context
from headrace.answer.extractive import candidates, extract
from headrace.answer.markers import Cited, Delta, FactUsed, MarkerStream
from headrace.answer.prompt import NOT_FOUND, prompt, rough_tokens
from headrace.answer.question import retrieval_queries
from headrace.answer.remember import Remembered
from headrace.errors import EmbeddingError, GenerationError
from headrace.models import Generator
from headrace.stores.values import Failure


@dataclass(frozen=True, slots=True)
class Done:
    """The whole answer, last. `degraded`: why a configured model was not the one that answered."""

    answer: Answer
    degraded: Failure | None = None


Piece = Delta | Cited | FactUsed | Done


async def generate(
    context: Context,
    generator: Generator | None,
    *,
    embedder: Remembered | None = None,
    max_tokens: int = 512,
    prompt_tokens: int = 3000,
    count: Callable[[str], int] = rough_tokens,
) -> AsyncGenerator[Piece, None]:
    """Pieces of an answer as they come; each citation and fact before the text that marks it first; Done at the end.

    A model that fails before its first words is replaced by the extractive answer, and Done says why. One that fails
    later raises GenerationError: half an answer is none. Closing the stream early closes the model's. With an
    `embedder`, extractive answers choose among sentences by meaning too.
    """
    if generator is None or not (context.passages or context.own_facts or context.profile):
        async for piece in _extractive(context, embedder, None):
            yield piece
        return
    asked = prompt(context, budget=prompt_tokens, count=count)
    stream = MarkerStream(asked.sources, asked.facts)
    began = False
    try:
        async with aclosing(_closable(generator.stream(asked.messages, max_tokens=max_tokens))) as deltas:
            async for text in deltas:
                for piece in stream.feed(text):
                    began = True
                    yield piece
        if not (began or stream.pending.strip()):
            raise _silent(generator.id)
    except GenerationError as error:
        if began:
            raise
        failure = Failure(error.step, error.expected, error.got, error.remedy)
        async for piece in _extractive(context, embedder, failure):
            yield piece
        return
    for piece in stream.finish():
        yield piece
    yield Done(_answer(context, stream))


async def similarities(context: Context, embedder: Remembered) -> dict[str, float] | None:
    """How near in meaning each text that may answer is to the question; at most eight texts are embedded. None while
    they cannot be."""
    texts = candidates(context)
    if not texts:
        return {}
    question = retrieval_queries(context.question, context.history, context.now, context.zone, context.profile)[0]
    try:
        vectors = await embedder.embed([question, *texts])
    except EmbeddingError:  # it is told by whoever looked for the passages
        return None
    return dict(zip(texts, map(float, vectors[1:] @ vectors[0]), strict=True))


async def _extractive(context: Context, embedder: Remembered | None, degraded: Failure | None) -> AsyncIterator[Piece]:
    if embedder is not None and context.similarities is None:
        context = replace(context, similarities=await similarities(context, embedder))
    answer = extract(context)
    for citation in answer.citations:
        yield Cited(citation)
    for fact in answer.facts:
        yield FactUsed(fact)
    for part in answer.text.splitlines(keepends=True):
        yield Delta(part)
    yield Done(answer, degraded)


def _answer(context: Context, stream: MarkerStream) -> Answer:
    """The model's words with what they rest on; what the next turn may refer to is found as for extractive answers."""
    abstained = not stream.citations and not stream.used and NOT_FOUND.lower() in stream.text.lower()
    focus = extract(context).focus
    return Answer(stream.text, abstained, tuple(stream.citations), tuple(stream.used), focus)


async def _closable(deltas: AsyncIterator[str]) -> AsyncGenerator[str, None]:
    """Closes the model's stream with its own, whatever kind of iterator that is."""
    try:
        async for text in deltas:
            yield text
    finally:
        if isinstance(deltas, AsyncGenerator):
            await deltas.aclose()


def _silent(model: str) -> GenerationError:
    return GenerationError(
        step="answer the question",
        expected="words from the language model",
        got=f"an empty answer from {model}",
        remedy="Look at the model server's log, or ask again.",
    )
