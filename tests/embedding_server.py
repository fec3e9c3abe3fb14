"""A server that embeds as OpenAI, Bedrock's Titan and Cohere, and SageMaker's Hugging Face containers do over HTTP, and
that does on demand what such servers do wrong.

Its vectors mean nothing: they show that requests, batches, limits, retries and failures are right. Signatures are seen,
not verified.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self, cast
from urllib.parse import unquote

import numpy as np

Json = Any


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


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; with `cut` the connection ends instead."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    cut: bool = False


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
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        return Reply(status, json.dumps(body).encode(), told)

    return behave


def gives(body: bytes) -> Behaviour:
    return lambda request, server: Reply(200, body)


def cuts(request: Request, server: EmbeddingServer) -> Reply:
    """The connection ends without an answer."""
    return Reply(cut=True)


def waits(request: Request, server: EmbeddingServer) -> Reply:
    """No answer until the gate is opened."""
    assert server.gate.wait(120)
    return well(request, server)


def refuses(word: str) -> Behaviour:
    """Answers 400 as long as one of the texts holds a word."""

    def behave(request: Request, server: EmbeddingServer) -> Reply:
        bad = any(word in t for t in request.texts)
        return says(400, f"cannot embed {word}")(request, server) if bad else well(request, server)

    return behave


class EmbeddingServer:
    """Between `with` and its end; `stop` and `start` keep the port. Plays `script`, one behaviour a request, then
    `behaviour` again and again."""

    def __init__(self, dimensions: int = 8) -> None:
        self.dimensions = dimensions
        self.behaviour: Behaviour = well
        self.script: list[Behaviour] = []
        self.requests: list[Request] = []
        self.gate = threading.Event()
        self.at_once = 0
        self.most_at_once = 0
        self.port = 0
        self._lock = threading.Lock()
        self._server: _Server | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        self._server = _Server(("127.0.0.1", self.port), self)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Refuses connections from now on, and cuts those that there are."""
        self.gate.set()
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            server.cut_all()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

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

    def becomes(self, condition: Callable[[], bool]) -> bool:
        """Waits for it, at most a minute."""
        deadline = time.monotonic() + 60
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def answer(self, request: Request) -> Reply:
        with self._lock:
            self.requests.append(request)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            behave = self.script.pop(0) if self.script else self.behaviour
        try:
            return behave(request, self)
        finally:
            with self._lock:
                self.at_once -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], owner: EmbeddingServer) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def cut_all(self) -> None:
        for each in list(self._open):
            self.shutdown_request(each)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = json.loads(content)
        request = Request(self._kind(body), unquote(self.path), headers, body)
        reply = cast(_Server, self.server).owner.answer(request)
        if reply.cut:
            self.close_connection = True
            return
        self.send_response(reply.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(reply.body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        with contextlib.suppress(ConnectionError):  # whoever asked has gone
            self.end_headers()
            self.wfile.write(reply.body)

    def _kind(self, body: Json) -> str:
        if self.path.endswith("/embeddings"):
            return "openai"
        assert "Signature=" in self.headers["authorization"]
        if self.path.endswith("/invocations"):
            return "sagemaker"
        return "titan" if "inputText" in body else "cohere"

    def log_message(self, format: str, *args: Any) -> None:
        del format, args
