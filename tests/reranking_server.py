"""A server that reranks as Cohere, Jina and vLLM do, as Text Embeddings Inference does, and as Bedrock's models, and
that does on demand what such servers do wrong. Signatures are seen, not verified.

The score of a passage is the part of its letters that stand in the query: higher for what is nearer, and nothing more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.model_server import Json, ModelServer, Reply, reply_of


@dataclass(frozen=True, slots=True)
class Request:
    """What came. `kind`: `common`, `tei` or `bedrock`."""

    kind: str
    path: str
    headers: Mapping[str, str]
    body: Json

    @property
    def query(self) -> str:
        return self.body["query"]

    @property
    def passages(self) -> list[str]:
        return self.body["texts" if self.kind == "tei" else "documents"]


Behaviour = Callable[[Request, "RerankingServer"], Reply]
Score = Callable[[str, str], float]


def alike(query: str, passage: str) -> float:
    words = passage.casefold().split()
    return sum(word in query.casefold() for word in words) / max(1, len(words))


def well(request: Request, server: RerankingServer) -> Reply:
    """The scores that were asked for, best first."""
    scores = [server.score(request.query, p) for p in request.passages]
    name = "score" if request.kind == "tei" else "relevance_score"
    results = sorted(({"index": n, name: s} for n, s in enumerate(scores)), key=lambda r: -float(r[name]))
    tokens = sum(len(f"{request.query} {p}".split()) for p in request.passages)
    if request.kind == "tei":
        return Reply(200, json.dumps(results).encode())
    made: Json = {"id": "1", "results": results[: request.body["top_n"]], **server.bills(tokens)}
    headers = {"x-amzn-bedrock-input-token-count": str(tokens)} if request.kind == "bedrock" else {}
    return Reply(200, json.dumps(made).encode(), headers)


def says(status: int, message: str = "no", **headers: str) -> Behaviour:
    return lambda request, server: reply_of(status, {"message": message}, headers)


def by_usage(tokens: int) -> dict[str, Json]:
    """As Jina and vLLM."""
    return {"model": "test", "usage": {"total_tokens": tokens}}


def by_search(tokens: int) -> dict[str, Json]:
    """As Cohere."""
    return {"meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 2}}}


class RerankingServer(ModelServer[Request]):
    def __init__(self) -> None:
        super().__init__(well)
        self.score: Score = alike
        self.bills: Callable[[int], dict[str, Json]] = by_usage

    @property
    def common(self) -> str:
        """An address for `[models] reranker`."""
        return f"{self.address}/v1/rerank?model=test"

    @property
    def passages(self) -> list[str]:
        return [p for r in self.requests for p in r.passages]

    def read(self, path: str, headers: dict[str, str], body: Json) -> Request:
        kind = "tei" if "texts" in body else "bedrock" if path.endswith("/invoke") else "common"
        assert kind != "bedrock" or "Signature=" in headers["authorization"]
        return Request(kind, path, headers, body)
