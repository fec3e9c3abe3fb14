"""What every integration asks and gets: passages with what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from headrace.errors import HeadraceError

TIMEOUT_S = 70.0
"""More than a read may wait for a token."""
_ALWAYS = ("document", "chunk", "title", "heading", "start", "end", "age_ms")
_SOMETIMES = ("dated", "superseded_by", "rerank_score")
OURS = frozenset(
    (*_ALWAYS, *_SOMETIMES, "source", "position", "committed_at", "superseded", "score", "token", "freshness_ms")
)
"""What a passage's metadata say in Headrace's own words: a document's own field of the same name is not shown."""


class SearchRefused(HeadraceError):
    """Headrace answered with a problem, or not at all."""

    title = "Headrace did not answer a search"


@dataclass(frozen=True, slots=True)
class Search:
    """How to search: `filter`, `after`, `as_of` and `rerank` as in `POST /v1/search`; `token`: what is sent as bearer;
    `headers`: what else, such as who reads."""

    url: str
    k: int = 10
    filter: Mapping[str, Any] | None = None
    after: str | None = None
    as_of: str | None = None
    neighbours: int = 0
    token: str | None = None
    headers: Mapping[str, str] | None = None
    rerank: bool | None = None

    def now(self, query: str) -> list[Passage]:
        """Blocks. Raises SearchRefused."""
        with httpx2.Client(timeout=TIMEOUT_S) as http:
            try:
                return _passages(http.post(self._address, json=self._body(query), headers=self._headers))
            except httpx2.TransportError as error:
                raise self._unreachable(error) from None

    async def soon(self, query: str) -> list[Passage]:
        """Raises SearchRefused."""
        async with httpx2.AsyncClient(timeout=TIMEOUT_S) as http:
            try:
                return _passages(await http.post(self._address, json=self._body(query), headers=self._headers))
            except httpx2.TransportError as error:
                raise self._unreachable(error) from None

    @property
    def _address(self) -> str:
        return self.url.rstrip("/") + "/v1/search"

    @property
    def _headers(self) -> dict[str, str]:
        return {**(self.headers or {}), **({"authorization": f"Bearer {self.token}"} if self.token else {})}

    def _body(self, query: str) -> dict[str, Any]:
        given = {"query": query, "k": self.k, "after": self.after, "as_of": self.as_of, "filter": self.filter}
        given |= {"neighbours": self.neighbours, "rerank": self.rerank}
        return {n: v for n, v in given.items() if v is not None}

    def _unreachable(self, error: Exception) -> SearchRefused:
        return SearchRefused(
            step=f"search at {self.url}",
            expected="a Headrace that answers",
            got=type(error).__name__,
            remedy="Start `headrace up`, or correct the address.",
        )


@dataclass(frozen=True, slots=True)
class Passage:
    """`text` with what stands around it; `metadata` are plain values and lists of them: what its document states of
    itself, where it is from, its stamp, how fresh it is."""

    id: str
    text: str
    score: float
    metadata: dict[str, Any]


def _passages(answer: httpx2.Response) -> list[Passage]:
    found: Any = answer.json()
    if answer.status_code >= 400:
        raise SearchRefused(
            step=str(found.get("step", "search")),
            expected=str(found.get("expected", "an answer")),
            got=str(found.get("got", answer.status_code)),
            remedy=str(found.get("remedy", "See the server's log.")),
        )
    fresh = {"token": found["token"]}
    if found["freshness_ms"] is not None:
        fresh["freshness_ms"] = found["freshness_ms"]
    results: list[dict[str, Any]] = found["results"]
    # Frameworks sort by the score: it is what the order is by.
    by = "rerank_score" if all("rerank_score" in r for r in results) else "score"
    return [_passage(r, fresh, r[by]) for r in results]


def _passage(result: Mapping[str, Any], fresh: Mapping[str, Any], score: float) -> Passage:
    stamp = result["stamp"]
    known = {name: result[name] for name in _ALWAYS}
    known |= {"source": stamp["source"], "position": stamp["position"], "committed_at": stamp["committed_at"]}
    known |= {name: result[name] for name in _SOMETIMES if name in result}
    # What an older server does not give, and what it states by one of our names, is left out.
    metadata = {
        **result.get("metadata", {}),
        **known,
        "superseded": result["superseded"],
        "score": result["score"],
        **fresh,
    }
    around = (result.get("before", ""), result["text"], result.get("behind", ""))
    return Passage(result["chunk"], "\n".join(t for t in around if t), score, metadata)
