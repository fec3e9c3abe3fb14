"""Reranker `bedrock:`: Cohere's and Amazon's at Amazon Bedrock.

    bedrock://eu-central-1/cohere.rerank-v3-5:0?search_price=2
    bedrock://us-west-2/amazon.rerank-v1:0

Query parameters beside those of `headrace.models.remote_reranker`: `endpoint`.
https://docs.aws.amazon.com/bedrock/latest/userguide/rerank-supported.html
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

import msgspec

from headrace.models.address import RERANKER, read, unusable
from headrace.models.asked import Scored, garbage
from headrace.models.aws import AwsReranking, Runtime
from headrace.models.remote_reranker import RemoteReranker

FORM = "bedrock://REGION/MODEL, and credentials where boto3 finds them"
JSON = "application/json"
COHERE_VERSION = 2
"""Of the request that Cohere's model takes."""


class _Result(msgspec.Struct, frozen=True):
    index: int
    relevance_score: float


class _Answer(msgspec.Struct, frozen=True):
    results: list[_Result]


class BedrockReranker:
    """Implements `headrace.models.asked.AskedReranker`."""

    def __init__(self, region: str, model: str, settings: AwsReranking) -> None:
        self.id = f"bedrock://{region}/{model}"
        self.shown = f"Bedrock in {region} with {model}"
        self._model = model
        self._version = {"api_version": COHERE_VERSION} if "cohere.rerank" in model else {}
        self._runtime = Runtime("bedrock-runtime", region, settings)

    async def ask(self, query: str, passages: Sequence[str]) -> Scored:
        """Raises Trouble."""
        wanted = {"query": query, "documents": list(passages), "top_n": len(passages), **self._version}
        body = msgspec.json.encode(wanted).decode()
        reply = await self._runtime.ask("invoke_model", modelId=self._model, body=body, contentType=JSON, accept=JSON)
        try:
            results = msgspec.json.decode(reply.content, type=_Answer).results
        except msgspec.MsgspecError as error:
            raise garbage("an index and a relevance_score for each passage", error) from None
        counted = reply.headers.get("x-amzn-bedrock-input-token-count", "")
        return Scored([(r.index, r.relevance_score) for r in results], int(counted) if counted.isdecimal() else None)

    async def close(self) -> None:
        await self._runtime.close()


def open_reranker(url: str) -> RemoteReranker:
    """The reranker of an address; it is not asked yet. Raises ConfigError."""
    parts, settings, key = read(url, AwsReranking, FORM)
    model = unquote(parts.path.removeprefix("/"))
    if not model or parts.port or key:
        raise unusable(FORM, f"{parts.scheme}://{parts.netloc}{parts.path}", RERANKER)
    return RemoteReranker(BedrockReranker(parts.netloc, model, settings), settings)
