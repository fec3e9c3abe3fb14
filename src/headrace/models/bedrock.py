"""Embedder `bedrock:`: Titan's and Cohere's models at Amazon Bedrock.

    bedrock://eu-west-1/amazon.titan-embed-text-v2:0?dimensions=512
    bedrock://us-east-1/cohere.embed-multilingual-v3
    bedrock://us-east-1/arn:aws:bedrock:us-east-1:111122223333:inference-profile/x?family=cohere

Query parameters beside those of `headrace.models.remote`: `endpoint`, and `family` (`titan` or `cohere`) where the
model's name does not say it. Titan takes one text a request; Cohere's embed questions otherwise than what is to be
found. https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html,
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol
from urllib.parse import unquote

import msgspec

from headrace.models.address import read, unusable
from headrace.models.asked import Rows, Vectors, garbage
from headrace.models.aws import AwsRemote, Runtime
from headrace.models.remote import RemoteEmbedder, opened

FORM = "bedrock://REGION/MODEL"
JSON = "application/json"
TITAN_SIZES = frozenset({256, 512, 1024})
COHERE_MOST = 96
"""Texts of a request."""
COHERE_V3_CHARACTERS = 2048
"""Of a text, at most; a longer one is refused before it is cut by its tokens."""


class Settings(AwsRemote, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The query of an address."""

    family: Literal["titan", "cohere"] | None = None


class _Family(Protocol):
    """How requests and answers of a maker's models look."""

    max_tokens: int

    def body(self, texts: Sequence[str], *, query: bool) -> object: ...
    def read(self, content: bytes) -> tuple[Rows, int | None]:
        """Raises MsgspecError."""
        ...


class _TitanAnswer(msgspec.Struct, frozen=True):
    embedding: list[float]
    inputTextTokenCount: int | None = None


class _Titan:
    max_tokens = 8192

    def __init__(self, model: str, dimensions: int | None) -> None:
        self._newer = "titan-embed-text-v1" not in model  # the first had one size and no switches
        self._dimensions = dimensions

    def body(self, texts: Sequence[str], *, query: bool) -> object:
        del query  # it knows no difference
        (text,) = texts
        body: dict[str, object] = {"inputText": text}
        if self._newer:
            body["normalize"] = True
            if self._dimensions:
                body["dimensions"] = self._dimensions
        return body

    def read(self, content: bytes) -> tuple[Rows, int | None]:
        answer = msgspec.json.decode(content, type=_TitanAnswer)
        return [answer.embedding], answer.inputTextTokenCount


class _ByType(msgspec.Struct, frozen=True):
    floats: list[list[float]] = msgspec.field(name="float")


class _CohereAnswer(msgspec.Struct, frozen=True):
    """Version 3 gives the vectors alone, later ones by their type."""

    embeddings: list[list[float]] | _ByType


class _Cohere:
    def __init__(self, model: str, dimensions: int | None) -> None:
        self._third = "-v3" in model
        self._dimensions = dimensions
        self.max_tokens = 512 if self._third else 8192

    def body(self, texts: Sequence[str], *, query: bool) -> object:
        most = COHERE_V3_CHARACTERS if self._third else None
        kind = "search_query" if query else "search_document"
        body: dict[str, object] = {"texts": [t[:most] for t in texts], "input_type": kind}
        if self._third:
            return {**body, "truncate": "END"}
        sized = {"output_dimension": self._dimensions} if self._dimensions else {}
        return {**body, "truncate": "RIGHT", "embedding_types": ["float"], **sized}

    def read(self, content: bytes) -> tuple[Rows, int | None]:
        found = msgspec.json.decode(content, type=_CohereAnswer).embeddings
        return (found.floats if isinstance(found, _ByType) else found), None


class Bedrock:
    """Implements `headrace.models.asked.Asked`."""

    def __init__(self, region: str, model: str, settings: Settings, family: _Family) -> None:
        sized = f"?dimensions={settings.dimensions}" if settings.dimensions else ""
        self.id = f"bedrock://{region}/{model}{sized}"
        self.shown = f"Bedrock in {region} with {model}"
        self._model = model
        self._family = family
        self._runtime = Runtime("bedrock-runtime", region, settings)

    async def ask(self, texts: Sequence[str], *, query: bool) -> Vectors:
        """Raises Trouble."""
        body = msgspec.json.encode(self._family.body(texts, query=query)).decode()
        reply = await self._runtime.ask("invoke_model", modelId=self._model, body=body, contentType=JSON, accept=JSON)
        try:
            rows, tokens = self._family.read(reply.content)
        except msgspec.MsgspecError as error:
            raise garbage("embeddings as the model's maker describes them", error) from None
        counted = reply.headers.get("x-amzn-bedrock-input-token-count", "")
        return Vectors(rows, int(counted) if counted.isdecimal() else tokens)

    async def close(self) -> None:
        await self._runtime.close()


def open_embedder(url: str) -> RemoteEmbedder:
    """The embedder of an address. Raises ConfigError, and EmbeddingError when it does not answer."""
    parts, settings, key = read(url, Settings, FORM)
    model = unquote(parts.path.removeprefix("/"))
    if not model or parts.port or key:
        raise unusable(
            FORM + ", and credentials where boto3 finds them", f"{parts.scheme}://{parts.netloc}{parts.path}"
        )
    family = settings.family or ("titan" if "titan-embed" in model else "cohere" if "cohere.embed" in model else None)
    if family is None:
        raise unusable("a model of Titan or Cohere that embeds texts, or family=titan or family=cohere", model)
    if family == "titan":
        if "titan-embed-text-v2" in model and settings.dimensions not in {None, *TITAN_SIZES}:
            raise unusable(f"dimensions of Titan: {', '.join(map(str, sorted(TITAN_SIZES)))}", str(settings.dimensions))
        settings, made = msgspec.structs.replace(settings, batch=1), _Titan(model, settings.dimensions)
    else:
        batch = min(settings.batch, COHERE_MOST)
        settings, made = msgspec.structs.replace(settings, batch=batch), _Cohere(model, settings.dimensions)
    return opened(Bedrock(parts.netloc, model, settings, made), settings, made.max_tokens)
