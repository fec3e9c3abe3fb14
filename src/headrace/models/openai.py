"""Generator `openai+http:` and `openai+https:`: any server that speaks OpenAI's chat completions.

    openai+http://127.0.0.1:11434/v1?model=llama3.2
    openai+https://api.openai.com/v1?model=gpt-5-mini&key=${env:MY_KEY}

Query parameters: `model`; `key` (over https the default is the environment's OPENAI_API_KEY, which is never sent in the
clear); `connect_timeout`, `first_token_timeout`, `token_timeout` (between tokens) and `timeout` (the whole answer), in
seconds; `retries`, made only while no token has come; `temperature`; `limit_field`, the name under which the server
takes the greatest number of tokens.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import os
import random
from collections.abc import AsyncGenerator, Awaitable, Generator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, cast
from urllib.parse import parse_qsl, quote, urlsplit

import httpx2
import msgspec

from headrace.errors import ConfigError, GenerationError, GenerationRefused, without_extra
from headrace.models import Message

try:
    from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError, AsyncOpenAI, AsyncStream, omit
    from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam
except ImportError as missing:
    raise without_extra("openai", "load the openai generator", missing) from None

T = TypeVar("T")
RETRIABLE = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
FINISHED = frozenset({"stop", "length"})
FILTERED = "content_filter"
REFUSED = frozenset({400, 413, 422})
"""What is asked for is wrong; the same server may answer others."""
FIRST_PAUSE_S = 0.25
DRAIN_S = 0.5
STEP = "generate an answer"
REMEDIES = {
    400: "Check the model's name and its context size.",
    401: "Check the key (`key=${env:NAME}` in the address, or OPENAI_API_KEY).",
    403: "Check what the key may use.",
    404: "Check the address (it usually ends in /v1) and the model's name.",
    429: "Wait, or raise the quota at the provider.",
}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of an address without its key; times in seconds."""

    model: str
    connect_timeout: float = 5
    first_token_timeout: float = 60
    token_timeout: float = 20
    timeout: float = 300
    retries: int = 2
    temperature: float | None = None
    limit_field: Literal["max_tokens", "max_completion_tokens"] | None = None


class _Delta(msgspec.Struct, frozen=True):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, frozen=True):
    """What is read of a chunk; servers differ in the rest."""

    choices: list[_Choice] | None = None


class _Transient(GenerationError):
    """May succeed when tried again, after so many seconds if the server said so."""

    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Limit:
    """A moment of the event loop's clock, and what is told when it passes."""

    moment: float
    expected: str


class OpenAIGenerator:
    """Generator over one server and model; see the port."""

    def __init__(self, base_url: str, settings: Settings, key: str = "") -> None:
        self.id = f"openai+{base_url}?model={quote(settings.model)}"
        self._settings = settings
        self._key = key
        self._host = urlsplit(base_url).netloc
        self._client = AsyncOpenAI(
            base_url=base_url,
            api_key=key or "none",  # local servers take any
            timeout=httpx2.Timeout(None, connect=settings.connect_timeout),
            max_retries=0,
        )

    async def stream(self, messages: Sequence[Message], *, max_tokens: int) -> AsyncGenerator[str]:
        """Text as it comes. Raises GenerationError; nothing is tried again once a token has come."""
        clock = asyncio.get_running_loop().time
        whole = _Limit(clock() + self._settings.timeout, f"the whole answer within {self._settings.timeout:g} s")
        seconds = self._settings.first_token_timeout
        first = _Limit(clock() + seconds, f"a first token within {seconds:g} s")
        for attempt in range(self._settings.retries + 1):
            try:
                async with contextlib.aclosing(self._attempt(messages, max_tokens, first, whole)) as texts:
                    async for text in texts:
                        yield text
                return
            except _Transient as error:
                pause = error.after_s or FIRST_PAUSE_S * 2**attempt * random.uniform(0.5, 1.5)  # noqa: S311
                if attempt == self._settings.retries or clock() + pause >= min(first.moment, whole.moment):
                    raise
                await asyncio.sleep(pause)

    async def close(self) -> None:
        """Close all connections; a second call does nothing."""
        await self._client.close()

    async def _attempt(
        self, messages: Sequence[Message], max_tokens: int, first: _Limit, whole: _Limit
    ) -> AsyncGenerator[str]:
        """One request. Raises _Transient only while no token has come."""
        stream = await self._within(self._request(messages, max_tokens), first, whole, begun=False)
        begun, reason = False, None
        try:
            while reason is None:
                limit = self._token_limit() if begun else first
                choice = await self._within(_next(stream), limit, whole, begun=begun)
                if choice is None:
                    raise self._error("an answer that says why it ends", _ending(stream), begun=begun)
                delta, reason = choice.delta or _Delta(), choice.finish_reason
                begun = begun or bool(delta.content or delta.reasoning or delta.reasoning_content)
                if delta.content:
                    yield delta.content
            if reason not in FINISHED:
                kind = GenerationRefused if reason == FILTERED else GenerationError
                raise kind(
                    step=self._step,
                    expected="an answer that ends by itself or at its limit",
                    got=f"finish_reason {reason!r}",
                    remedy="Look into the server's log, then ask again.",
                )
            await _drain(stream)
        finally:
            await stream.close()

    def _request(self, messages: Sequence[Message], max_tokens: int) -> Awaitable[AsyncStream[ChatCompletionChunk]]:
        settings = self._settings
        sent = [{"role": message.role, "content": message.content} for message in messages]
        # OpenAI's newer models refuse the old name, and older servers do not know the new one.
        new = "max_completion_tokens" if self._host == "api.openai.com" else "max_tokens"
        newest = (settings.limit_field or new) == "max_completion_tokens"
        return self._client.chat.completions.create(
            model=settings.model,
            messages=cast(list[ChatCompletionMessageParam], sent),
            stream=True,
            max_completion_tokens=max_tokens if newest else omit,
            max_tokens=omit if newest else max_tokens,
            temperature=omit if settings.temperature is None else settings.temperature,
        )

    def _token_limit(self) -> _Limit:
        seconds = self._settings.token_timeout
        return _Limit(asyncio.get_running_loop().time() + seconds, f"the next token within {seconds:g} s")

    async def _within(self, work: Awaitable[T], *limits: _Limit, begun: bool) -> T:
        """Waits for work until the first of the limits; every way to fail becomes a GenerationError."""
        limit = min(limits, key=lambda each: each.moment)
        with self._told(begun=begun):
            try:
                async with asyncio.timeout_at(limit.moment):
                    return await work
            except TimeoutError:
                remedy = "Raise the timeout in the address, or use a faster model."
                raise GenerationError(
                    step=self._step, expected=limit.expected, got="nothing until then", remedy=remedy
                ) from None

    @contextlib.contextmanager
    def _told(self, *, begun: bool) -> Generator[None]:
        """Turns the client's exceptions into ours; none of theirs is chained, as requests hold the key."""
        try:
            yield
        except APITimeoutError:
            expected = f"a connection within {self._settings.connect_timeout:g} s"
            raise self._error(expected, "none", begun=begun) from None
        except APIConnectionError as error:
            got = type(error.__cause__ or error).__name__
            raise self._error("a connection that stays", got, begun=begun) from None
        except APIStatusError as error:
            raise self._refusal(error) from None
        except APIError as error:
            raise self._error("an answer", self._redacted(f"the error {error.message!r}"), begun=begun) from None
        except (ValueError, msgspec.MsgspecError) as error:
            got = self._redacted(f"something else ({type(error).__name__}: {error})")
            raise self._error("chunks of a chat completion, as JSON", got, begun=True) from None

    def _refusal(self, error: APIStatusError) -> GenerationError:
        """What a status says. The words of 401 and 403 are left out: servers quote keys in them."""
        status = error.status_code
        words = "" if status in {401, 403} else f": {self._redacted(error.message)}"
        kind = _Transient if status in RETRIABLE else GenerationRefused if status in REFUSED else GenerationError
        told = kind(
            step=self._step,
            expected="status 200",
            got=f"status {status}{words}",
            remedy=REMEDIES.get(status, "Look into the server's log."),
        )
        if isinstance(told, _Transient):
            told.after_s = _seconds(error.response.headers.get("retry-after"))
        return told

    def _error(self, expected: str, got: str, *, begun: bool) -> GenerationError:
        kind = GenerationError if begun else _Transient
        return kind(step=self._step, expected=expected, got=got, remedy="Look into the server's log, then ask again.")

    @property
    def _step(self) -> str:
        return f"{STEP} at {self._host} with {self._settings.model}"

    def _redacted(self, text: str) -> str:
        return (text.replace(self._key, "***") if self._key else text)[:300]


async def _next(stream: AsyncStream[ChatCompletionChunk]) -> _Choice | None:
    """The next chunk's first choice; None at the end. Chunks without a choice carry counts only."""
    async for chunk in stream:
        if not isinstance(cast(object, chunk), ChatCompletionChunk):  # the client hands on whatever JSON came
            raise ValueError(f"a {type(chunk).__name__}")
        read = msgspec.convert(chunk.model_dump(warnings=False), _Chunk)
        if read.choices:
            return read.choices[0]
    return None


def _ending(stream: AsyncStream[ChatCompletionChunk]) -> str:
    kind = stream.response.headers.get("content-type", "no content type")
    return f"the end of the stream without a finish_reason ({kind.split(';')[0]})"


async def _drain(stream: AsyncStream[ChatCompletionChunk]) -> None:
    """Reads what follows the finish_reason, so that the connection can be used again."""
    try:
        async with asyncio.timeout(DRAIN_S):
            async for _ in stream:
                pass
    except (TimeoutError, APIError, ValueError):
        return  # the answer is complete: only the connection is lost


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:  # a date: the usual pause will do
        return None


def open_generator(url: str) -> OpenAIGenerator:
    """The generator of an address; connects when it is first used. Raises ConfigError, which never shows the key."""
    parts = urlsplit(url)
    scheme = parts.scheme.removeprefix("openai+")
    if scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
        got = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        raise _unusable("openai+http://HOST:PORT/v1?model=NAME, the key only as key=${env:NAME}", got)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    key = query.pop("key", "") or (os.environ.get("OPENAI_API_KEY", "") if scheme == "https" else "")
    known = Settings.__struct_fields__
    for name in query.keys() - set(known):
        near = difflib.get_close_matches(name, known, 1)
        raise _unusable(f"key, {', '.join(known)}", name + (f" (meant {near[0]}?)" if near else ""))
    try:
        settings = msgspec.convert(query, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise _unusable("model=NAME, times in seconds, retries as a number", str(error)) from None
    times = (settings.connect_timeout, settings.first_token_timeout, settings.token_timeout, settings.timeout)
    if not settings.model or settings.retries < 0 or min(times) <= 0:
        raise _unusable("a model, times above 0 and retries from 0", "an empty model or a number out of range")
    return OpenAIGenerator(f"{scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v1'}", settings, key)


def _unusable(expected: str, got: str) -> ConfigError:
    return ConfigError(
        step="open the generator", expected=expected, got=got, remedy="Correct `generation` in [models]."
    )
