"""The OpenAI generator against a real language model, and against a server that does all that servers do wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from headrace.errors import GenerationError
from headrace.models import Message
from headrace.models.openai import OpenAIGenerator, open_generator
from tests.llm_server import LlmServer

KEY = "sk-secret-0123456789"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
DONE = b"data: [DONE]\n\n"
STORY = [Message("user", "Tell me a long story about a river and its mill.")]
HELLO = [Message("system", "Answer in one word."), Message("user", "Say hello.")]


@pytest.fixture(scope="module")
def llm() -> Iterator[LlmServer]:
    with LlmServer() as server:
        yield server


@pytest_asyncio.fixture
async def smollm(llm: LlmServer) -> AsyncIterator[OpenAIGenerator]:
    generator = open_generator(f"openai+{llm.base_url}?model=smollm2&temperature=0")
    yield generator
    await generator.close()


async def said(generator: OpenAIGenerator, messages: list[Message] = HELLO, max_tokens: int = 16) -> list[str]:
    return [text async for text in generator.stream(messages, max_tokens=max_tokens)]


async def test_text_streams_from_a_real_model(smollm: OpenAIGenerator) -> None:
    texts = await said(smollm, STORY, 12)

    assert len(texts) > 3
    assert all(texts)


async def test_max_tokens_ends_a_real_answer_without_an_error(smollm: OpenAIGenerator) -> None:
    short, longer = await said(smollm, STORY, 4), await said(smollm, STORY, 12)

    assert len(short) <= 4
    assert len(longer) > len(short)
    assert "".join(longer).startswith("".join(short))


async def test_closing_the_stream_frees_the_real_server(llm: LlmServer, smollm: OpenAIGenerator) -> None:
    stream = smollm.stream(STORY, max_tokens=900)
    assert await anext(stream)
    assert llm.busy()

    await stream.aclose()

    assert await asyncio.to_thread(llm.becomes_free)
    assert await said(smollm)  # and it serves the next


async def test_cancelling_the_task_frees_the_real_server(llm: LlmServer, smollm: OpenAIGenerator) -> None:
    task = asyncio.create_task(said(smollm, STORY, 900))
    assert await asyncio.to_thread(llm.becomes_busy)

    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task

    assert task.cancelled()
    assert await asyncio.to_thread(llm.becomes_free)


async def test_a_question_longer_than_the_context_is_refused_with_the_servers_words(smollm: OpenAIGenerator) -> None:
    with pytest.raises(GenerationError, match="exceeds the available context size") as caught:
        await said(smollm, [Message("user", "river " * 3000)])

    assert "status 400" in caught.value.got
    assert "context size" in caught.value.remedy


def chunk(content: str | None = None, finish: str | None = None) -> bytes:
    delta = {} if content is None else {"content": content}
    body = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return event({**body, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def event(body: object) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def sends(*parts: bytes, head: bytes = HEAD) -> Script:
    """Answers with these bytes and closes the connection."""

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in (head, *parts):
            writer.write(part)
            await writer.drain()

    return script


def stalls(*parts: bytes, head: bytes = HEAD) -> Script:
    """Answers with these bytes and then with nothing until the client goes away."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await sends(*parts, head=head)(reader, writer)
        await reader.read()

    return script


def resets(*parts: bytes) -> Script:
    """Answers with these bytes and then cuts the connection hard, in the middle of a chunked body."""

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD.replace(b"Connection: close", b"Transfer-Encoding: chunked"))
        for part in parts:
            writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        await writer.drain()
        writer.transport.abort()

    return script


def status(code: int, message: str, headers: str = "") -> Script:
    body = json.dumps({"error": {"message": message, "type": "t"}}).encode()
    head = f"HTTP/1.1 {code} X\r\nContent-Type: application/json\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
    return sends(body, head=head.encode())


@dataclass
class Misbehaving:
    """Plays one script per request, the last one again and again, and keeps what it was asked."""

    scripts: list[Script]
    port: int = 0
    requests: list[bytes] = field(default_factory=list[bytes])
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    clients_gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(
            next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")).split()[1]
        )
        self.requests.append(head + await reader.readexactly(length))
        self.asked.set()
        script = self.scripts[min(len(self.requests), len(self.scripts)) - 1]
        with contextlib.suppress(ConnectionError):
            await script(reader, writer)
        self.clients_gone.set()
        writer.close()

    def generator(self, query: str = "") -> OpenAIGenerator:
        defaults = "model=m&retries=0&first_token_timeout=20&token_timeout=20"
        return open_generator(f"openai+http://127.0.0.1:{self.port}/v1?{defaults}&key={KEY}&{query}")


@contextlib.asynccontextmanager
async def misbehaving(*scripts: Script) -> AsyncGenerator[Misbehaving]:
    fake = Misbehaving(list(scripts))
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.port = server.sockets[0].getsockname()[1]
    async with server:
        yield fake


async def failure(server: Misbehaving, query: str = "") -> tuple[list[str], GenerationError]:
    """What came before the error, and the error."""
    generator, texts = server.generator(query), list[str]()

    async def listen() -> None:
        async for text in generator.stream(HELLO, max_tokens=16):
            texts.append(text)

    with pytest.raises(GenerationError) as caught:
        await listen()
    await generator.close()
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None
    return texts, caught.value


async def test_what_is_asked_is_what_the_server_gets() -> None:
    async with misbehaving(sends(chunk("Hi"), chunk(finish="stop"), DONE)) as server:
        generator = server.generator("temperature=0.5")

        assert await said(generator) == ["Hi"]

        await generator.close()
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    asked = json.loads(body)
    assert head.startswith(b"POST /v1/chat/completions ")
    assert f"authorization: bearer {KEY}".encode() in head.lower()
    assert (asked["model"], asked["stream"], asked["max_tokens"], asked["temperature"]) == ("m", True, 16, 0.5)
    assert asked["messages"] == [{"role": message.role, "content": message.content} for message in HELLO]


async def test_a_server_that_never_answers_is_given_up_at_first_token_timeout() -> None:
    async with misbehaving(stalls(head=b"")) as server:
        texts, error = await failure(server, "first_token_timeout=0.2&retries=3")

        await asyncio.wait_for(server.clients_gone.wait(), 10)
    assert texts == []
    assert error.expected == "a first token within 0.2 s"
    assert len(server.requests) == 1


async def test_a_role_without_text_is_not_a_first_token() -> None:
    async with misbehaving(stalls(event({"choices": [{"index": 0, "delta": {"role": "assistant"}}]}))) as server:
        _, error = await failure(server, "first_token_timeout=0.2")

    assert error.expected == "a first token within 0.2 s"


async def test_a_stream_that_stalls_is_given_up_at_token_timeout_and_not_asked_again() -> None:
    async with misbehaving(stalls(chunk("half"))) as server:
        texts, error = await failure(server, "token_timeout=0.2&retries=3")

        await asyncio.wait_for(server.clients_gone.wait(), 10)
    assert texts == ["half"]
    assert error.expected == "the next token within 0.2 s"
    assert len(server.requests) == 1


async def test_an_answer_that_trickles_is_given_up_at_timeout() -> None:
    async def trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        while not writer.is_closing():
            writer.write(chunk("drip"))
            await writer.drain()
            await asyncio.sleep(0.01)

    async with misbehaving(trickle) as server:
        texts, error = await failure(server, "timeout=0.5")

    assert "drip" in texts
    assert error.expected == "the whole answer within 0.5 s"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(sends(chunk("half")), id="closed"),
        pytest.param(resets(chunk("half")), id="reset"),
        pytest.param(sends(chunk("half"), DONE), id="done without a finish_reason"),
        pytest.param(sends(chunk("half"), b'data: {"choices": [{"del'), id="cut inside a chunk"),
    ],
)
async def test_half_a_stream_is_an_error_after_its_text_and_not_asked_again(script: Script) -> None:
    async with misbehaving(script) as server:
        texts, _ = await failure(server, "retries=3")

    assert texts == ["half"]
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"data: {not json\n\n", id="broken JSON"),
        pytest.param(b"data: \xff\xfe\n\n", id="broken UTF-8"),
        pytest.param(event(42), id="a number"),
        pytest.param(event(None), id="null"),
        pytest.param(event([1]), id="a list"),
        pytest.param(event("text"), id="a string"),
        pytest.param(event({"choices": 5}), id="choices is a number"),
        pytest.param(event({"choices": [7]}), id="a choice is a number"),
        pytest.param(event({"choices": [{"delta": {"content": 7}}]}), id="content is a number"),
        pytest.param(event({"choices": [{"delta": {"content": ["a"]}}]}), id="content is a list"),
    ],
)
async def test_garbage_is_an_error_and_not_asked_again(body: bytes) -> None:
    async with misbehaving(sends(chunk("half"), body, chunk(finish="stop"), DONE)) as server:
        texts, _ = await failure(server, "retries=3")

    assert texts == ["half"]
    assert len(server.requests) == 1


async def test_a_web_page_instead_of_a_stream_is_named_as_such() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n\r\n"
    async with misbehaving(sends(b"<html>Welcome</html>", head=head)) as server:
        _, error = await failure(server)

    assert "text/html" in error.got


async def test_an_error_inside_the_stream_is_told_with_its_words() -> None:
    async with misbehaving(sends(chunk("half"), event({"error": {"message": f"out of memory {KEY}"}}))) as server:
        texts, error = await failure(server)

    assert texts == ["half"]
    assert "out of memory ***" in error.got


async def test_a_filtered_answer_is_an_error() -> None:
    async with misbehaving(sends(chunk("half"), chunk(finish="content_filter"), DONE)) as server:
        texts, error = await failure(server)

    assert texts == ["half"]
    assert "content_filter" in error.got


@pytest.mark.parametrize("ending", [sends, stalls, resets], ids=["closed", "stalled", "reset"])
async def test_an_answer_with_a_finish_reason_is_whole_without_done(ending: Callable[..., Script]) -> None:
    async with misbehaving(ending(chunk("all"), chunk(" of it", finish="stop"))) as server:
        generator = server.generator()

        assert await said(generator) == ["all", " of it"]

        await generator.close()


@pytest.mark.parametrize("code", [400, 401, 403, 404])
async def test_a_refusal_is_told_with_its_status_at_once(code: int) -> None:
    async with misbehaving(status(code, f"no, not with {KEY}")) as server:
        _, error = await failure(server, "retries=3")

    assert error.got.startswith(f"status {code}")
    assert error.remedy
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [429, 500, 503])
async def test_a_passing_failure_is_tried_again(code: int) -> None:
    failing = status(code, "busy", "Retry-After: 0.01\r\n")
    async with misbehaving(failing, failing, sends(chunk("Hi"), chunk(finish="stop"), DONE)) as server:
        generator = server.generator("retries=2")

        assert await said(generator) == ["Hi"]

        await generator.close()
    assert len(server.requests) == 3


async def test_a_lasting_failure_is_told_after_the_last_retry() -> None:
    async with misbehaving(status(500, "broken", "Retry-After: 0.01\r\n")) as server:
        _, error = await failure(server, "retries=2")

    assert "status 500: " in error.got
    assert "broken" in error.got
    assert len(server.requests) == 3


async def test_a_pause_beyond_the_first_token_is_not_waited_for() -> None:
    async with misbehaving(status(429, "slow down", "Retry-After: 3600\r\n")) as server:
        _, error = await failure(server, "retries=2")

    assert "status 429" in error.got
    assert len(server.requests) == 1


async def test_a_connection_cut_before_the_first_token_is_tried_again() -> None:
    async with misbehaving(resets(), sends(chunk("Hi"), chunk(finish="stop"), DONE)) as server:
        generator = server.generator("retries=1")

        assert await said(generator) == ["Hi"]

        await generator.close()
    assert len(server.requests) == 2


async def test_a_server_that_is_not_there_is_named() -> None:
    async with misbehaving() as server:
        pass

    _, error = await failure(server)

    assert f"127.0.0.1:{server.port}" in error.step
    assert error.expected == "a connection that stays"


async def test_closing_early_closes_the_connection_at_the_server() -> None:
    async with misbehaving(stalls(chunk("half"))) as server:
        generator = server.generator()
        stream = generator.stream(HELLO, max_tokens=16)
        assert await anext(stream) == "half"

        await stream.aclose()

        await asyncio.wait_for(server.clients_gone.wait(), 10)
        await generator.close()


async def test_cancelling_before_the_first_token_closes_the_connection_at_the_server() -> None:
    async with misbehaving(stalls(head=b"")) as server:
        generator = server.generator()
        task = asyncio.create_task(said(generator))
        await server.asked.wait()

        task.cancel()

        await asyncio.wait_for(server.clients_gone.wait(), 10)
        assert (await asyncio.gather(task, return_exceptions=True))[0].__class__ is asyncio.CancelledError
        await generator.close()
