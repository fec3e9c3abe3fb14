"""Rerankers `http:` and `https:`: any server with the request that Cohere, Jina, vLLM, llama.cpp, Infinity and others
share; and `tei+http:`, `tei+https:`: Hugging Face's Text Embeddings Inference, which has one of its own.

    https://api.cohere.com/v2/rerank?model=rerank-v3.5&key=${env:COHERE_KEY}&search_price=2
    https://api.jina.ai/v1/rerank?model=jina-reranker-v2-base-multilingual&key=${env:JINA_KEY}
    http://127.0.0.1:8000/v1/rerank?model=BAAI/bge-reranker-v2-m3
    tei+http://127.0.0.1:8080

The path is the whole one, with `/rerank` where none is given. Query parameters beside those of
`headrace.models.remote_reranker`: `model` (not for TEI, which has one), `key`, `connect_timeout` in seconds.
https://docs.cohere.com/reference/rerank, https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html,
https://huggingface.github.io/text-embeddings-inference/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from urllib.parse import quote

import msgspec

from headrace.models.address import RERANKER, Reranking, read, unusable
from headrace.models.asked import Scored, garbage
from headrace.models.posting import Poster
from headrace.models.remote_reranker import RemoteReranker

FORM = "http://HOST:PORT/v1/rerank?model=NAME or tei+http://HOST:PORT, the key only as key=${env:NAME}"
TEI = "tei+"


class Settings(Reranking, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The query of an address without its key; times in seconds."""

    model: str = ""
    connect_timeout: float = 5


class TeiSettings(Settings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`batch`: as many texts as TEI takes in a request unless it was started with more."""

    batch: int = 32


class _Result(msgspec.Struct, frozen=True):
    index: int
    relevance_score: float


class _Usage(msgspec.Struct, frozen=True):
    total_tokens: int | None = None


class _Billed(msgspec.Struct, frozen=True):
    search_units: float | None = None
    input_tokens: float | None = None


class _Meta(msgspec.Struct, frozen=True):
    billed_units: _Billed | None = None


class _Answer(msgspec.Struct, frozen=True):
    """`usage` is Jina's and vLLM's, `meta` Cohere's."""

    results: list[_Result]
    usage: _Usage | None = None
    meta: _Meta | None = None


class _TeiResult(msgspec.Struct, frozen=True):
    index: int
    score: float


class _Form(Protocol):
    """How a request and its answer look."""

    def body(self, query: str, passages: Sequence[str]) -> object: ...
    def read(self, content: bytes) -> Scored:
        """Raises MsgspecError."""
        ...


class _Common:
    def __init__(self, model: str) -> None:
        self._model = model

    def body(self, query: str, passages: Sequence[str]) -> object:
        return {"model": self._model, "query": query, "documents": list(passages), "top_n": len(passages)}

    def read(self, content: bytes) -> Scored:
        answer = msgspec.json.decode(content, type=_Answer)
        billed = (answer.meta and answer.meta.billed_units) or _Billed()
        tokens = answer.usage.total_tokens if answer.usage else billed.input_tokens
        searches = None if billed.search_units is None else round(billed.search_units)
        scores = [(r.index, r.relevance_score) for r in answer.results]
        return Scored(scores, None if tokens is None else round(tokens), searches)


class _Tei:
    def body(self, query: str, passages: Sequence[str]) -> object:
        return {"query": query, "texts": list(passages), "truncate": True}

    def read(self, content: bytes) -> Scored:
        return Scored([(r.index, r.score) for r in msgspec.json.decode(content, type=list[_TeiResult])], None)


class HttpReranker:
    """Implements `headrace.models.asked.AskedReranker`."""

    def __init__(self, id: str, shown: str, poster: Poster, form: _Form) -> None:
        self.id = id
        self.shown = shown
        self._poster = poster
        self._form = form

    async def ask(self, query: str, passages: Sequence[str]) -> Scored:
        """Raises Trouble."""
        content = await self._poster.post(self._form.body(query, passages))
        try:
            return self._form.read(content)
        except msgspec.MsgspecError as error:
            raise garbage("an index and a score for each passage, as JSON", error) from None

    async def close(self) -> None:
        await self._poster.close()


def open_reranker(url: str) -> RemoteReranker:
    """The reranker of an address; it is not asked yet. Raises ConfigError, which never shows the key."""
    tei = url.startswith(TEI)
    parts, settings, key = read(url, TeiSettings if tei else Settings, FORM)
    shown = f"{parts.scheme}://{parts.netloc}{parts.path}"
    if not settings.connect_timeout > 0:
        raise unusable("connect_timeout above 0", str(settings.connect_timeout), RERANKER)
    if tei == bool(settings.model):
        raise unusable(FORM, f"{shown} with model={settings.model!r}", RERANKER)
    target = f"{parts.scheme.removeprefix(TEI)}://{parts.netloc}{parts.path.rstrip('/') or '/rerank'}"
    poster = Poster(target, key, settings.connect_timeout)
    if tei:
        asked = HttpReranker(TEI + target, parts.netloc, poster, _Tei())
    else:
        id = f"{target}?model={quote(settings.model)}"
        asked = HttpReranker(id, f"{parts.netloc} with {settings.model}", poster, _Common(settings.model))
    return RemoteReranker(asked, settings)
