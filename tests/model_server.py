"""What servers in the place of models' services share: they play behaviours, one a request, keep what came, refuse and
cut connections."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Generic, Self, TypeVar, cast
from urllib.parse import unquote

Json = Any
Asked = TypeVar("Asked")
"""What a server makes of a request."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; with `cut` the connection ends instead."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    cut: bool = False


def reply_of(status: int, body: Json, headers: Mapping[str, str]) -> Reply:
    """`headers`: with `_` for `-`."""
    return Reply(status, json.dumps(body).encode(), {name.replace("_", "-"): value for name, value in headers.items()})


def gives(body: bytes) -> Callable[[object, object], Reply]:
    return lambda request, server: Reply(200, body)


def cuts(request: object, server: object) -> Reply:
    """The connection ends without an answer."""
    return Reply(cut=True)


def waits(request: Any, server: ModelServer[Any]) -> Reply:
    """No answer until the gate is opened."""
    assert server.gate.wait(120)
    return server.well(request, server)


class ModelServer(ABC, Generic[Asked]):
    """Between `with` and its end; `stop` and `start` keep the port. Plays `script`, one behaviour a request, then
    `behaviour` again and again, which is `well` at first."""

    def __init__(self, well: Callable[[Asked, Self], Reply]) -> None:
        self.well = well
        self.behaviour: Callable[[Asked, Self], Reply] = well
        self.script: Sequence[Callable[[Asked, Self], Reply]] = ()
        self.requests: list[Asked] = []
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

    def becomes(self, condition: Callable[[], bool]) -> bool:
        """Waits for it, at most a minute."""
        deadline = time.monotonic() + 60
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    @abstractmethod
    def read(self, path: str, headers: dict[str, str], body: Json) -> Asked:
        """Names of headers are in lower case."""

    def answer(self, request: Asked) -> Reply:
        with self._lock:
            self.requests.append(request)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            behave, *self.script = self.script or (self.behaviour,)
        try:
            return behave(request, self)
        finally:
            with self._lock:
                self.at_once -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], owner: ModelServer[Any]) -> None:
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
        owner = cast(_Server, self.server).owner
        reply = owner.answer(owner.read(unquote(self.path), headers, body))
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
