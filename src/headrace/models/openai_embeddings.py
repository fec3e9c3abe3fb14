"""Embedder `openai+http:` and `openai+https:`: any server that speaks OpenAI's embeddings.

    openai+http://127.0.0.1:8080/v1?model=bge-m3&dimensions=1024
    openai+https://api.openai.com/v1?model=text-embedding-3-small&key=${env:MY_KEY}

Query parameters beside those of `headrace.models.remote`: `model`; `key` (over https the default is the environment's
OPENAI_API_KEY, which is never sent in the clear); `connect_timeout`, seconds; `shorten`: whether the server is told
`dimensions`, as it can give shorter vectors (default: for OpenAI's own `text-embedding-3`).
https://platform.openai.com/docs/api-reference/embeddings
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from urllib.parse import quote

import httpx2
import msgspec
import numpy as np

from headrace.models.address import Remote, read, unusable
from headrace.models.asked import Fault, Trouble, Vectors, garbage
from headrace.models.posting import Poster
from headrace.models.remote import RemoteEmbedder, opened

FORM = "openai+http://HOST:PORT/v1?model=NAME, the key only as key=${env:NAME}"
OWN_MAX_TOKENS, MAX_TOKENS = 8191, 512
"""Of OpenAI's own models; and what most others read, where the address does not say."""


class Settings(Remote, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The query of an address without its key; times in seconds."""

    model: str
    connect_timeout: float = 5
    shorten: bool | None = None


class _Row(msgspec.Struct, frozen=True):
    embedding: list[float] | str
    index: int | None = None


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int | None = None
    total_tokens: int | None = None


class _Answer(msgspec.Struct, frozen=True):
    data: list[_Row]
    usage: _Usage | None = None


class OpenAIEmbeddings:
    """Implements `headrace.models.asked.Asked`."""

    def __init__(self, base_url: str, settings: Settings, key: str = "") -> None:
        shorter = f"&dimensions={settings.dimensions}" if settings.dimensions and settings.shorten else ""
        self.id = f"openai+{base_url}?model={quote(settings.model)}{shorter}"
        self.shown = f"{httpx2.URL(base_url).netloc.decode()} with {settings.model}"
        self._settings = settings
        self._poster = Poster(f"{base_url}/embeddings", key, settings.connect_timeout)

    async def ask(self, texts: Sequence[str], *, query: bool) -> Vectors:
        """Raises Trouble."""
        del query  # the protocol knows no difference; a prefix may make one
        body: dict[str, object] = {"model": self._settings.model, "input": list(texts), "encoding_format": "float"}
        if self._settings.shorten and self._settings.dimensions:
            body["dimensions"] = self._settings.dimensions
        return self._read(await self._poster.post(body), len(texts))

    def _read(self, content: bytes, count: int) -> Vectors:
        try:
            answer = msgspec.json.decode(content, type=_Answer)
            rows = [_floats(row) for row in answer.data]
        except (msgspec.MsgspecError, ValueError) as error:
            raise garbage("embeddings, as JSON", error) from None
        places = [n if row.index is None else row.index for n, row in enumerate(answer.data)]
        if len(rows) == count and sorted(places) != list(range(count)):
            raise Trouble(Fault.BROKEN, f"vectors numbered 0 to {count - 1}", f"others: {sorted(places)[:8]}")
        ordered = [row for _, row in sorted(zip(places, rows, strict=True), key=lambda each: each[0])]
        used = answer.usage
        tokens = None if used is None else used.total_tokens if used.prompt_tokens is None else used.prompt_tokens
        return Vectors(ordered, tokens or None)

    async def close(self) -> None:
        await self._poster.close()


def _floats(row: _Row) -> Sequence[float]:
    """Some servers give base64 of little-endian floats, whatever they were asked for."""
    if isinstance(row.embedding, str):
        return np.frombuffer(base64.b64decode(row.embedding, validate=True), "<f4").tolist()
    return row.embedding


def open_embedder(url: str) -> RemoteEmbedder:
    """The embedder of an address. Raises ConfigError, which never shows the key, and EmbeddingError."""
    parts, settings, key = read(url, Settings, FORM)
    scheme = parts.scheme.removeprefix("openai+")
    if scheme not in {"http", "https"} or not settings.model or not settings.connect_timeout > 0:
        raise unusable(FORM, f"{parts.scheme}://{parts.netloc} with model={settings.model!r}")
    key = key or (os.environ.get("OPENAI_API_KEY", "") if scheme == "https" else "")
    own = settings.model.startswith("text-embedding-")
    shorten = settings.model.startswith("text-embedding-3") if settings.shorten is None else settings.shorten
    settings = msgspec.structs.replace(settings, shorten=shorten)
    base_url = f"{scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v1'}"
    return opened(OpenAIEmbeddings(base_url, settings, key), settings, OWN_MAX_TOKENS if own else MAX_TOKENS)
