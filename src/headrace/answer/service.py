"""Reads for answers: waits for tokens, opens one snapshot, searches it, and says how fresh it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from headrace.access import ANYBODY, Viewer
from headrace.answer.remember import Remembered
from headrace.answer.rerank import Ranking
from headrace.answer.retrieve import USUAL, Retrieval, arrange, find
from headrace.change import Position, Stamp, Style, format_position, stamp_json
from headrace.clock import now_us, parse_rfc3339
from headrace.courtesy import Courtesy
from headrace.errors import BadRequest, EmbeddingError, Lagging
from headrace.operators import OVERTAKING, Lag, Marks, Progress
from headrace.stores import Applied, AsOf, Snapshot, Store
from headrace.stores.knowledge import Filter, Passage
from headrace.stores.values import Failure, Vector
from headrace.token import Token, heads, parse_token

MAX_WAIT_MS = 60_000
COMING_MS = 10
"""So long at most a read of the present waits for a change that has come in and is just being applied."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What every read may say: not before a token, as of a token or time, how long it waits (milliseconds), and who
    reads: left out, somebody of whom nothing is known."""

    after: str | None = None
    as_of: str | None = None
    wait_ms: int | None = None
    viewer: Viewer = ANYBODY


@dataclass(frozen=True, slots=True)
class View:
    """One snapshot with what it is: its token, and how fresh it was when it was opened. `degraded`: why what was found
    in it was found by words alone, or is not reranked. `held`: its token, once it is closed."""

    snapshot: Snapshot
    marks: Marks
    as_of: str | None
    at: AsOf
    degraded: Failure | None = None
    held: str | None = None

    async def token(self) -> str:
        """What this snapshot holds: what its own rows say, or what was certain before; of the past, that point itself.

        To be asked once.
        """
        return self.held or self.as_of or _token(self.marks, await self.snapshot.progress())

    def freshness(self) -> tuple[float | None, str | None]:
        """As `Marks.freshness`; of the past, at least as long ago as it is."""
        if self.at.token is not None:
            return None, "it is read as of an earlier token: what was committed since is left out"
        now = now_us()
        ms, reason = self.marks.freshness(now)
        if ms is not None and self.at.time is not None:
            ms = max(ms, (now - self.at.time) / 1000)
        return ms, reason


class Reader:
    """Opens snapshots for those who ask."""

    def __init__(
        self,
        store: Store,
        embedder: Remembered,
        progress: Progress,
        wait_ms: int,
        ranking: Ranking | None = None,
        courtesy: Courtesy | None = None,
    ) -> None:
        """`courtesy` is told who asks."""
        self.ranking = ranking
        self._courtesy = courtesy or Courtesy()
        self._store = store
        self._embedder = embedder
        self._progress = progress
        self._wait_ms = wait_ms

    @property
    def sources(self) -> Sequence[str]:
        return tuple(self._progress.styles)

    async def token(self) -> str:
        """A token of everything that is committed at the sources now. Raises SourceError when one cannot be asked."""
        return heads(await self._progress.heads()).encode()

    @asynccontextmanager
    async def view(self, asked: Asked, *operators: str) -> AsyncGenerator[View]:
        """A snapshot in which `operators` (default: all) have applied `after`. Raises Lagging, BadRequest."""
        operators = operators or tuple(self._progress.operators)
        await self._wait(asked, operators)
        if asked.after is None and asked.as_of is None and asked.wait_ms != 0:
            await self._progress.settle(operators, COMING_MS)
        marks = self._progress.marks()
        at = as_of(asked.as_of)
        with self._courtesy.asking():
            async with self._store.snapshot(at, asked.viewer) as snapshot:
                yield View(snapshot, marks, asked.as_of, at)

    @asynccontextmanager
    async def search(
        self, asked: Asked, query: str, k: int, where: Filter, *operators: str, how: Retrieval = USUAL
    ) -> AsyncGenerator[tuple[View, Sequence[Passage]]]:
        """The k best passages for a query, and the view in which they are, of which the snapshot may be closed. The
        query is embedded meanwhile. While it cannot be, they are found by their words. Raises EmbeddingError where only
        meaning is asked for, BadRequest where a reranker is that is not there."""
        ranking = how.ranked_by(self.ranking)
        model = self._embedder.model
        wanted = how.blend.retriever != "lexical"
        known = self._embedder.known(query) if wanted else None
        troubles: list[EmbeddingError] = []
        making = asyncio.create_task(self._vector(query, troubles)) if wanted and known is None else None
        try:
            async with AsyncExitStack() as stack:
                view = await stack.enter_async_context(self.view(asked, *operators))
                vector = making or known
                if wanted and self._embedder.model != model:  # another one serves since, until this snapshot is closed
                    troubles.clear()
                    vector = await self._vector(query, troubles)
                knowledge = view.snapshot.knowledge
                passages = await find(knowledge, query, vector, k, where, how, self.ranking)
                if troubles and how.blend.retriever == "vector":
                    raise troubles[0]
                if ranking and not how.neighbours:
                    view = replace(view, held=await view.token())
                    await stack.aclose()  # others read meanwhile: there are few places, and this may take long
                found = await arrange(query, passages, k, how, self.ranking)
                if how.neighbours and found.passages:
                    found = replace(found, passages=await knowledge.around(found.passages, how.neighbours))
                degraded = together(by_words(troubles[0]) if troubles else None, found.degraded)
                yield replace(view, degraded=degraded), found.passages
        finally:
            if making is not None:
                making.cancel()

    async def _vector(self, query: str, troubles: list[EmbeddingError]) -> Vector | None:
        """None, and the reason in `troubles`, while it cannot be made."""
        try:
            return (await self._embedder.embed([query]))[0]
        except EmbeddingError as error:
            troubles.append(error)
            return None

    def stamp(self, stamp: Stamp) -> dict[str, str]:
        return stamp_json(stamp, self._progress.styles.get(stamp.source, Style.NUMBER))

    async def _wait(self, asked: Asked, operators: Sequence[str]) -> None:
        if asked.after is None:
            return
        token = parse_token(asked.after)
        unknown = token.positions.keys() - self._progress.styles.keys()
        if unknown:
            raise BadRequest(
                step="read a token",
                expected="sources of this Headrace: " + ", ".join(self._progress.styles),
                got=", ".join(sorted(unknown)),
                remedy="Pass a token of this Headrace, or name one of its sources.",
            )
        wanted = {s: {o: p for o in operators if (p := token.position(s, o))} for s in token.positions}
        wait_ms = min(self._wait_ms if asked.wait_ms is None else asked.wait_ms, MAX_WAIT_MS)
        missing = await self._progress.wait(wanted, wait_ms)
        if missing:
            raise self._lagging(missing, wait_ms)

    def _lagging(self, missing: Sequence[Lag], wait_ms: int) -> Lagging:
        styles = self._progress.styles
        behind = "; ".join(
            f"{x.operator} has applied {x.source} up to {format_position(x.reached, styles[x.source])}, "
            f"not {format_position(x.wanted, styles[x.source])}"
            for x in missing
        )
        return Lagging(
            step="wait for `after`",
            expected=f"everything up to the token within {wait_ms} ms",
            got=behind,
            remedy="Ask again, with a larger wait_ms if this repeats; /v1/status shows the lag.",
        )


def by_words(error: EmbeddingError) -> Failure:
    """What an answer says that had to do without the meaning of its question."""
    return Failure(error.step, error.expected, f"{error.got}: found by words alone", error.remedy)


def together(*failures: Failure | None) -> Failure | None:
    """Several as one; what they have in common is said once."""
    there = [f for f in failures if f is not None]
    if len(there) < 2:
        return there[0] if there else None
    parts = zip(*((f.step, f.expected, f.got, f.remedy) for f in there), strict=True)
    return Failure(*("; ".join(dict.fromkeys(part)) for part in parts))


def _token(marks: Marks, progress: Sequence[Applied]) -> str:
    positions: dict[str, dict[str, Position]] = {}
    for (operator, source), reached in marks.reached.items():
        positions.setdefault(source, {})[operator] = reached
    for a in progress:
        of_source = positions.setdefault(a.source, {})
        of_source[a.operator] = max(a.position, of_source.get(a.operator, a.position))
    return Token(_lean(positions)).encode()


def as_of(text: str | None) -> AsOf:
    """A token or an RFC 3339 time. Raises BadRequest."""
    if text is None:
        return AsOf()
    return AsOf(token=parse_token(text)) if _is_token(text) else AsOf(time=parse_rfc3339(text))


def _is_token(text: str) -> bool:
    return text.startswith("h1.") or "@" in text


def _lean(positions: Mapping[str, Mapping[str, Position]]) -> dict[str, dict[str, Position]]:
    """Leaves out overtaking positions that say nothing more than the operator's own."""
    return {
        source: {
            o: p for o, p in of.items() if not (o.endswith(OVERTAKING) and p <= of.get(o.removesuffix(OVERTAKING), p))
        }
        for source, of in positions.items()
    }
