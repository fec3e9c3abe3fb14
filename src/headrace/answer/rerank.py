"""The best passages of a search in the order in which a reranker has them, unless it fails or takes too long."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import structlog

from headrace.breaker import Breaker
from headrace.clock import now_us, rfc3339
from headrace.errors import HeadraceError, RerankingError
from headrace.knowledge.indexed import indexed_text
from headrace.models import Reranker, ServedReranker
from headrace.stores.knowledge import Passage
from headrace.stores.values import Failure

logger = structlog.get_logger("headrace.answer")
LATE_FAILURES, LATE_PAUSE_S = 3, 5.0
"""So many searches in a row that it kept waiting in vain, and it is left alone: at first so long, then up to a
minute."""


@dataclass(slots=True)
class Outcomes:
    """What came of asking since the process began: searches by what became of them (`skipped`: it was left alone
    for being late), passages that were scored, and how long that took in all."""

    done: int = 0
    late: int = 0
    failed: int = 0
    skipped: int = 0
    passages: int = 0
    seconds: float = 0.0


class Ranking:
    """A reranker for the `candidates` best passages of a search, within `limit_s`; `by_default`: also of one that does
    not say whether it wants it."""

    def __init__(self, reranker: Reranker, candidates: int, limit_s: float, *, by_default: bool = True) -> None:
        self.reranker = reranker
        self.by_default = by_default
        self.candidates = candidates
        self.outcomes = Outcomes()
        self._limit_s = limit_s
        self._breaker = Breaker(LATE_FAILURES, LATE_PAUSE_S)

    @property
    def again_at(self) -> int | None:
        """Until when it is left alone because it is too slow (microseconds)."""
        open_s = self._breaker.open_s
        return None if open_s is None else now_us() + int(open_s * 1e6)

    async def order(self, query: str, passages: Sequence[Passage]) -> tuple[Sequence[Passage], Failure | None]:
        """The same passages, and why they are not reordered, if they are not. Never raises for what a reranker does."""
        if not passages:
            return passages, None
        try:
            return reordered(passages, await self._scores(query, passages[: self.candidates])), None
        except HeadraceError as error:
            return passages, not_reranked(error)
        except Exception as error:  # whatever it is, the passages that were found are an answer
            logger.exception("the reranker broke", reranker=self.reranker.id)
            broken = RerankingError(
                step="rerank passages",
                expected="a score for each",
                got=type(error).__name__,
                remedy="See the log, and report it.",
            )
            return passages, not_reranked(broken)

    async def _scores(self, query: str, passages: Sequence[Passage]) -> Sequence[float]:
        """A score for each; what reads the same is scored once."""
        if not self._breaker.admits():
            self.outcomes.skipped += 1
            raise self._too_slow(self._reason or "none in the searches before")
        texts = [indexed_text(p.title, p.heading, p.text) for p in passages]
        once = list(dict.fromkeys(texts))
        began = perf_counter()
        self._breaker.begin()
        try:
            async with asyncio.timeout(self._limit_s):
                found = (await self.reranker.scores(query, once)).tolist()
        except TimeoutError:
            self.outcomes.late += 1
            self._breaker.failed()
            raise self._too_slow(self._reason or "none until then") from None
        except Exception:
            self.outcomes.failed += 1
            self._breaker.cancelled()
            raise
        except BaseException:
            self._breaker.cancelled()
            raise
        finally:
            self.outcomes.seconds += perf_counter() - began
        self._breaker.succeeded()
        self.outcomes.done += 1
        self.outcomes.passages += len(once)
        scores = dict(zip(once, found, strict=True))
        return [scores[text] for text in texts]

    @property
    def _reason(self) -> str | None:
        """What a service said last: it may be late because it is asked again and again."""
        return self.reranker.service.reason if isinstance(self.reranker, ServedReranker) else None

    def _too_slow(self, got: str) -> RerankingError:
        remedy = "Raise rerank_ms or lower rerank_candidates in [models], or use a faster reranker."
        if (again_at := self.again_at) is not None:
            remedy += f" It is left alone, and tried again at {rfc3339(again_at)}."
        expected = f"scores within {self._limit_s * 1000:g} ms"
        return RerankingError(step="rerank passages", expected=expected, got=got, remedy=remedy)


def reordered(passages: Sequence[Passage], scores: Sequence[float]) -> list[Passage]:
    """The first passages, as many as there are scores, by these, best first, and those of one score as they were; the
    others behind them."""
    scored = [replace(p, rerank_score=score) for p, score in zip(passages, scores, strict=False)]
    scored.sort(key=lambda p: -(p.rerank_score or 0.0))
    return [*scored, *passages[len(scored) :]]


def not_reranked(error: HeadraceError) -> Failure:
    """What an answer says whose passages are as they were found."""
    return Failure(error.step, error.expected, f"{error.got}: not reranked", error.remedy)
