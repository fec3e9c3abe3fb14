"""What every reranker behind an address does alike: passages cut, parted into requests, scores checked.

Query parameters that all of them take are those of `headrace.models.calls` and `headrace.models.cutting`, and
`search_price`: of a thousand searches, where a service bills those instead of tokens. `max_tokens` cuts passages, never
the query; without it the service does what it does with longer ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from headrace.errors import RerankingError
from headrace.models import Scores, Service
from headrace.models.address import Reranking, tokenizer
from headrace.models.asked import AskedReranker, Fault, Scored, Trouble
from headrace.models.calls import Calls, Reply, Wording
from headrace.models.cutting import Cut, Cutter

WHOLE = 1 << 30
"""Tokens: no passage is longer."""
_WORDING = Wording("rerank passages", RerankingError, "reranker")


class RemoteReranker:
    """Implements `headrace.models.Reranker` and `ServedReranker` over any service; see the module's first lines."""

    def __init__(self, asked: AskedReranker, settings: Reranking) -> None:
        found, own = tokenizer(settings)
        self._asked = asked
        self._settings = settings
        self._cutter = Cutter(found, settings.max_tokens or WHOLE, own=own)
        self._calls = Calls(settings, asked.shown, _WORDING)
        self._searches = 0

    @property
    def id(self) -> str:
        return self._asked.id

    @property
    def service(self) -> Service:
        """`texts` are passages; `cost` has searches too."""
        seen, price = self._calls.service, self._settings.search_price
        return seen if price is None else replace(seen, cost=(seen.cost or 0.0) + self._searches * price / 1000)

    async def scores(self, query: str, passages: Sequence[str]) -> Scores:
        """Shape (len(passages),), float64. Raises RerankingError, and StoreError after `close`."""
        self._calls.check_open()
        asked, cut = await asyncio.to_thread(self._all_cut, query, passages)
        size = self._settings.batch
        batches = [cut[n : n + size] for n in range(0, len(cut), size)]
        done = await asyncio.gather(*(self._batch(asked, batch) for batch in batches), return_exceptions=True)
        found = [np.empty(0, np.float64)]
        for scores in done:
            if isinstance(scores, BaseException):
                raise scores
            found.append(scores)
        return np.concatenate(found)

    async def close(self) -> None:
        """Refuse what comes, and close all connections; a second call does nothing."""
        self._calls.end()
        await self._asked.close()

    def _all_cut(self, query: str, passages: Sequence[str]) -> tuple[Cut, list[Cut]]:
        try:
            query.encode()
            return Cut(query, self._cutter.count(query)), [self._cutter.cut(p) for p in passages]
        except (TypeError, ValueError) as error:
            got = f"{type(error).__name__} from the tokenizer (a lone surrogate?)"
            raise self._calls.error(Trouble(Fault.BROKEN, "Unicode texts", got, "Correct the text.")) from None

    async def _batch(self, query: Cut, batch: Sequence[Cut]) -> Scores:
        """The scores of one request, tried again as long as that may help."""
        passages = [p.sent for p in batch]
        tokens = sum(query.tokens + p.tokens for p in batch)

        async def send() -> Reply[tuple[Scores, int]]:
            answer = await self._asked.ask(query.sent, passages)
            made = checked(answer, len(passages))
            return Reply((made, 1 if answer.searches is None else answer.searches), answer.tokens)

        try:
            scores, searches = await self._calls.again(lambda: self._calls.once(send, len(passages), tokens))
        except Trouble as refusal:
            raise self._calls.error(refusal) from None
        self._searches += searches
        return scores


def checked(answer: Scored, count: int) -> Scores:
    """Shape (count,), in the passages' order. Raises Trouble for anything that is not one number for each of them."""
    if sorted(place for place, _ in answer.scores) != list(range(count)):
        places = ", ".join(str(place) for place, _ in answer.scores[:8]) or "none"
        raise Trouble(Fault.BROKEN, f"a score for each of {count} passages", f"{len(answer.scores)}: of {places}")
    made = np.empty(count, np.float64)
    for place, score in answer.scores:
        made[place] = score
    if not np.isfinite(made).all():
        raise Trouble(Fault.BROKEN, "scores that are numbers", "one that is none")
    return made
