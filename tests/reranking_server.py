"""A server that reranks as Cohere, Jina and vLLM do, as Text Embeddings Inference does, and as Bedrock's models, and
that does on demand what such servers do wrong. Signatures are seen, not verified.

The score of a passage is the part of its letters that stand in the query: higher for what is nearer, and nothing more.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self, cast
from urllib.parse import unquote

Json = Any


@dataclass(frozen=True, slots=True)
class Request:
    """What came. `kind`: `common`, `tei` or `bedrock`."""

    kind: str
    path: str
    headers: Mapping[str, str]
    body: Json

    @property
    def query(self) -> str:
        return self.body["query"]

    @property
    def passages(self) -> list[str]:
        return self.body["texts" if self.kind == "tei" else "documents"]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; with `cut` the connection ends instead."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    cut: bool = False


Behaviour = Callable[[Request, "RerankingServer"], Reply]
Score = Callable[[str, str], float]


def alike(query: str, passage: str) -> float:
    words = passage.casefold().split()
    return sum(word in query.casefold() for word in words) / max(1, len(words))


def well(request: Request, server: RerankingServer) -> Reply:
    """The scores that were asked for, best first."""
    scores = [server.score(request.query, p) for p in request.passages]
    name = "score" if request.kind == "tei" else "relevance_score"
    results = sorted(({"index": n, name: s} for n, s in enumerate(scores)), key=lambda r: -float(r[name]))
    tokens = sum(len(f"{request.query} {p}".split()) for p in request.passages)
    if request.kind == "tei":
        return Reply(200, json.dumps(results).encode())
    made: Json = {"id": "1", "results": results[: request.body["top_n"]], **server.bills(tokens)}
    headers = {"x-amzn-bedrock-input-token-count": str(tokens)} if request.kind == "bedrock" else {}
    return Reply(200, json.dumps(made).encode(), headers)


def says(status: int, message: str = "no", **headers: str) -> Behaviour:
    def behave(request: Request, server: RerankingServer) -> Reply:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        return Reply(status, json.dumps({"message": message}).encode(), told)

    return behave


def gives(body: bytes) -> Behaviour:
    return lambda request, server: Reply(200, body)


def cuts(request: Request, server: RerankingServer) -> Reply:
    """The connection ends without an answer."""
    return Reply(cut=True)


def waits(request: Request, server: RerankingServer) -> Reply:
    """No answer until the gate is opened."""
    assert server.gate.wait(120)
    return well(request, server)


def by_usage(tokens: int) -> dict[str, Json]:
    """As Jina and vLLM."""
    return {"model": "test", "usage": {"total_tokens": tokens}}


def by_search(tokens: int) -> dict[str, Json]:
    """As Cohere."""
    return {"meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 2}}}


class RerankingServer:
    """Between `with` and its end; `stop` and `start` keep the port. Plays `script`, one behaviour a request, then
    `behaviour` again and again."""

    def __init__(self) -> None:
        self.score: Score = alike
        self.bills: Callable[[int], dict[str, Json]] = by_usage
        self.behaviour: Behaviour = well
        self.script: list[Behaviour] = []
        self.requests: list[Request] = []
        self.gate = threading.Event()
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
    def common(self) -> str:
        """An address for `[models] reranker`."""
        return f"{self.address}/v1/rerank?model=test"

    @property
    def passages(self) -> list[str]:
        return [p for r in self.requests for p in r.passages]

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
            behave = self.script.pop(0) if self.script else self.behaviour
        return behave(request, self)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], owner: RerankingServer) -> None:
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
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        kind = "tei" if "texts" in body else "bedrock" if self.path.endswith("/invoke") else "common"
        assert kind != "bedrock" or "Signature=" in headers["authorization"]
        request = Request(kind, unquote(self.path), headers, body)
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

    def log_message(self, format: str, *args: Any) -> None:
        del format, args
