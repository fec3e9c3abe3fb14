"""The adapter of S3 against a server that fails as stores and networks do: moto never does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from headrace.findings import Level
from headrace.objects import NotUploaded, ObjectStore, ObjectStoreError, ObjectStoreRefused
from headrace.objects.s3 import open_objects
from tests.object_store import ENVIRONMENT
from tests.servers import free_port

Behaviour = Callable[[BaseHTTPRequestHandler], None]


@dataclass(slots=True)
class Failing:
    """A server that behaves one way; `asked` are methods and paths."""

    behave: Behaviour
    port: int = 0
    asked: list[str] = field(default_factory=list[str])

    @property
    def address(self) -> str:
        return f"s3://files/in?region=us-east-1&endpoint=http://127.0.0.1:{self.port}&timeout=0.5"


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Failing]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    made = Failing(says(500, "InternalError"))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(f"{self.command} {self.path.partition('?')[0]}")
            made.behave(self)

        do_PUT = do_DELETE = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join(60)


def says(status: int, code: str) -> Behaviour:
    def behave(handler: BaseHTTPRequestHandler) -> None:
        body = f"<Error><Code>{code}</Code><Message>hush</Message></Error>".encode()
        handler.send_response(status)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return behave


def breaks_off(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "3000000")
    handler.end_headers()
    handler.wfile.write(b"x" * 1_500_000)
    handler.close_connection = True


def stops(handler: BaseHTTPRequestHandler) -> None:
    """In the middle, until the other side goes away."""
    handler.send_response(200)
    handler.send_header("content-length", "3000000")
    handler.end_headers()
    handler.wfile.write(b"x" * 1_500_000)
    handler.connection.settimeout(60)
    while handler.connection.recv(1000):
        pass
    handler.close_connection = True


def cuts(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


async def fetched(store: ObjectStore) -> int:
    try:
        async with store.open("the-key") as stored:
            return sum([len(piece) async for piece in stored.pieces()])
    finally:
        await store.close()


@pytest.mark.parametrize(
    "behave", [breaks_off, stops, cuts, says(503, "SlowDown"), says(500, "InternalError"), says(400, "RequestTimeout")]
)
async def test_what_may_work_again_is_told_apart(failing: Failing, behave: Behaviour) -> None:
    failing.behave = behave

    with pytest.raises(ObjectStoreError, match="nothing is lost") as trouble:
        await fetched(open_objects(failing.address))

    assert trouble.value.status == 503
    assert "hush" not in str(trouble.value)
    assert failing.asked[0] == "GET /files/in/the-key"


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (404, "NoSuchBucket"), (301, "PermanentRedirect")])
async def test_what_somebody_has_to_put_right_is_told_apart(failing: Failing, status: int, code: str) -> None:
    failing.behave = says(status, code)

    with pytest.raises(ObjectStoreRefused, match=code) as trouble:
        await fetched(open_objects(failing.address))

    assert trouble.value.status == 502
    assert "hush" not in str(trouble.value)


async def test_what_is_not_there_is_no_trouble(failing: Failing) -> None:
    failing.behave = says(404, "NoSuchKey")

    with pytest.raises(NotUploaded):
        await fetched(open_objects(failing.address))


async def test_nobody_there(failing: Failing) -> None:
    address = failing.address.replace(str(failing.port), str(free_port()))

    with pytest.raises(ObjectStoreError, match="EndpointConnectionError"):
        await fetched(open_objects(address))


async def test_the_doctor_says_what_is_missing_to_tell_absence(failing: Failing) -> None:
    """Without the right to list a bucket, S3 answers "forbidden" for what is not there."""
    there: set[str] = set()

    def behave(handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.partition("?")[0]
        if handler.command == "PUT":
            handler.rfile.read(int(handler.headers["content-length"]))
            there.add(path)
        if handler.command == "GET" and path not in there:
            says(403, "AccessDenied")(handler)
            return
        if handler.command == "DELETE":
            there.discard(path)
        handler.send_response(200)
        handler.send_header("content-length", "0")
        handler.end_headers()

    failing.behave = behave
    store = open_objects(failing.address)

    found = {f.check: f for f in await store.examine([])}
    await store.close()

    assert found["put"].level is found["delete"].level is Level.OK
    assert found["absence"].level is Level.WARNING
    assert "s3:ListBucket" in found["absence"].remedy
