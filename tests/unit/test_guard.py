"""What a request must pass before any route sees it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx2
import pytest
from starlette.types import Message, Receive, Scope, Send

from headrace.server.guard import Guard

MAX_BODY = 2048


class Echo:
    """Answers with the body's size; counts who came through."""

    def __init__(self) -> None:
        self.came = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.came += 1
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            return
        size, more = 0, True
        while more:
            message = await receive()
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(size).encode()})


async def request(
    headers: dict[str, str], *, method: str = "POST", content: bytes | AsyncGenerator[bytes] = b""
) -> httpx2.Response:
    guard = Guard(Echo(), names=["Headrace.Example"], max_body=MAX_BODY)
    transport = httpx2.ASGITransport(app=guard)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8420") as http:
        return await http.request(method, "/v1/search", headers=headers, content=content)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8420", "localhost", "LOCALHOST:1", "[::1]:8420", "[::1]", "headrace.example:443"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_its_own_names_come_through(host: str, method: str) -> None:
    response = await request({"host": host}, method=method)

    assert (response.status_code, response.text) == (200, "0")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil:8420", "[::2]", "", "[::1"])
async def test_a_name_that_was_rebound_to_it_does_not(host: str) -> None:
    response = await request({"host": host}, method="GET")

    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["step"] == "check the Host header"


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8420", 200),
        ("HTTP://LocalHost:8420", 200),
        ("http://localhost:8421", 403),
        ("http://localhost", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("", 403),
    ],
)
async def test_a_page_of_another_origin_does_not(origin: str, status: int) -> None:
    response = await request({"host": "localhost:8420", "origin": origin})

    assert response.status_code == status


async def test_a_body_is_bounded_by_what_it_says_it_is() -> None:
    fits = await request({}, content=b"x" * MAX_BODY)
    too_large = await request({}, content=b"x" * (MAX_BODY + 1))

    assert (fits.status_code, fits.text) == (200, str(MAX_BODY))
    assert too_large.status_code == 413
    assert "max_body" in too_large.json()["remedy"]


async def test_a_body_without_a_length_is_counted_as_it_comes() -> None:
    async def pieces(count: int) -> AsyncGenerator[bytes]:
        for _ in range(count):
            yield b"x" * 512

    fits = await request({}, content=pieces(4))
    too_large = await request({}, content=pieces(5))

    assert (fits.status_code, fits.text) == (200, "2048")
    assert too_large.status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/documents", 200),
        ("PUT", "/v1/documents/uploads/a.md", 200),
        ("PUT", "/v1/documents/presigned/a.md", 200),
        ("POST", "/v1/documents/presigned", 413),
        ("POST", "/v1/documents/presigned/t1.x", 413),
        ("PATCH", "/v1/documents/uploads/a.md", 413),
        ("POST", "/v1/ask", 413),
    ],
)
async def test_only_what_is_taken_in_as_it_comes_may_be_larger(method: str, path: str, status: int) -> None:
    guard = Guard(Echo(), names=[], max_body=MAX_BODY, max_stream=2 * MAX_BODY)
    transport = httpx2.ASGITransport(app=guard)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8420") as http:
        assert (await http.request(method, path, content=b"x" * (MAX_BODY + 1))).status_code == status


@pytest.mark.parametrize("length", ["many", "-1", "1.5", "\xb2"])
async def test_a_length_that_is_none_is_refused(length: str) -> None:
    sent = await through("http", {b"host": b"localhost", b"content-length": length.encode("latin-1")})

    assert sent[0]["status"] == 400


async def through(kind: str, headers: dict[bytes, bytes]) -> list[Message]:
    """What the guard sends for a request with such headers."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": kind, "method": "POST", "path": "/", "headers": list(headers.items())}
    await Guard(Echo(), names=[], max_body=MAX_BODY)(scope, receive, send)
    return sent


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        ({b"host": b"localhost:8420", b"origin": b"http://localhost:8420"}, "websocket.accept"),
        ({b"host": b"localhost:8420"}, "websocket.accept"),
        ({b"host": b"localhost:8420", b"origin": b"http://evil.example"}, "websocket.close"),
        ({b"host": b"evil.example"}, "websocket.close"),
    ],
)
async def test_a_web_socket_is_checked_alike(headers: dict[bytes, bytes], answer: str) -> None:
    assert [m["type"] for m in await through("websocket", headers)] == [answer]


async def test_its_own_start_and_stop_pass() -> None:
    echo = Echo()

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        del message

    await Guard(echo, names=[], max_body=MAX_BODY)({"type": "lifespan"}, receive, send)

    assert echo.came == 1


@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [
        ("/v1/changes/crm", "application/x-ndjson; charset=utf-8", 200),
        ("/v1/changes/crm", "application/json", 413),
        ("/v1/ask", "application/x-ndjson", 413),
    ],
)
async def test_a_pushed_stream_of_lines_may_be_larger(path: str, kind: str, status: int) -> None:
    guard = Guard(Echo(), names=[], max_body=MAX_BODY, max_stream=10 * MAX_BODY)
    transport = httpx2.ASGITransport(app=guard)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8420") as http:
        sent = b"x" * (2 * MAX_BODY)
        answer = await http.post(path, content=sent, headers={"content-type": kind})
        larger = await http.post(path, content=sent * 6, headers={"content-type": kind})

    assert (answer.status_code, larger.status_code) == (status, 413)
