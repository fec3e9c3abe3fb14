"""A server that embeds as OpenAI, Bedrock's Titan and Cohere, and SageMaker's Hugging Face containers do over HTTP, and
that does on demand what such servers do wrong.

Its vectors mean nothing: they show that requests, batches, limits, retries and failures are right. Signatures are seen,
not verified.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tests.model_server import Json, ModelServer, Reply, reply_of


@dataclass(frozen=True, slots=True)
class Request:
    """What came. `kind`: `openai`, `titan`, `cohere` or `sagemaker`."""

    kind: str
    path: str
    headers: dict[str, str]
    body: Json

    @property
    def texts(self) -> list[str]:
        match self.kind:
            case "openai":
                return self.body["input"]
            case "titan":
                return [self.body["inputText"]]
            case "cohere":
                return self.body["texts"]
            case _:
                return self.body["inputs"]


Behaviour = Callable[[Request, "EmbeddingServer"], Reply]


def well(request: Request, server: EmbeddingServer) -> Reply:
    """The vectors that were asked for."""
    rows = [server.vector(t) for t in request.texts]
    tokens = sum(len(t.split()) for t in request.texts)
    match request.kind:
        case "openai":
            data: list[Json] = [{"object": "embedding", "index": n, "embedding": row} for n, row in enumerate(rows)]
            made: Json = {"object": "list", "data": data[::-1], "usage": {"prompt_tokens": tokens}}
        case "titan":
            made = {"embedding": rows[0], "inputTextTokenCount": tokens}
        case "cohere":
            made = {"embeddings": {"float": rows} if request.body.get("embedding_types") else rows, "id": "1"}
        case _:
            made = rows
    headers = {"x-amzn-bedrock-input-token-count": str(tokens)} if request.kind == "cohere" else {}
    return Reply(200, json.dumps(made).encode(), headers)


def says(status: int, message: str = "no", **headers: str) -> Behaviour:
    """An error, in the form of whoever is asked."""

    def behave(request: Request, server: EmbeddingServer) -> Reply:
        if request.kind == "openai":
            body: Json = {"error": {"message": message, "type": "t"}}
        else:
            body = {"message": message}
        return reply_of(status, body, headers)

    return behave


def refuses(word: str) -> Behaviour:
    """Answers 400 as long as one of the texts holds a word."""

    def behave(request: Request, server: EmbeddingServer) -> Reply:
        bad = any(word in t for t in request.texts)
        return says(400, f"cannot embed {word}")(request, server) if bad else well(request, server)

    return behave


class EmbeddingServer(ModelServer[Request]):
    def __init__(self, dimensions: int = 8) -> None:
        super().__init__(well)
        self.dimensions = dimensions

    @property
    def openai(self) -> str:
        """An address for `[models] embedding`."""
        return f"openai+{self.address}/v1?model=test"

    @property
    def texts(self) -> list[str]:
        return [t for r in self.requests for t in r.texts]

    def vector(self, text: str) -> list[float]:
        """Not of length 1; the same for the same text."""
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
        return (np.random.default_rng(seed).standard_normal(self.dimensions) * 3).round(6).tolist()

    def expected(self, texts: Sequence[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        made = np.array([self.vector(t) for t in texts])
        return made / np.linalg.norm(made, axis=1, keepdims=True)

    def read(self, path: str, headers: dict[str, str], body: Json) -> Request:
        if path.endswith("/embeddings"):
            return Request("openai", path, headers, body)
        assert "Signature=" in headers["authorization"]
        if path.endswith("/invocations"):
            return Request("sagemaker", path, headers, body)
        return Request("titan" if "inputText" in body else "cohere", path, headers, body)
