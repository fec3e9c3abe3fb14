"""A server that speaks OpenAI's chat completions and says what a test tells it to: labels, garbage, errors, or nothing
for a while."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Said = str | int
"""An answer's words, or the status of a refusal."""


class ScriptedModel:
    """Running between `with` and its end. `says` may be changed at any time; `gate` holds answers back while it is
    clear."""

    def __init__(self, says: Callable[[str, str], Said]) -> None:
        self.says = says
        """(system, user) -> what it says."""
        self.asked: list[tuple[str, str]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = threading.Event()
        """Set when somebody waits for an answer that is held back."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.answer(self, body)

            def log_message(self, format: str, *args: object) -> None:
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()

    def address(self, model: str = "scripted", **query: str | int) -> str:
        """As `[models] generation` takes it; it is not asked twice by itself."""
        given = {"model": model, "retries": 0, **query}
        return f"openai+http://127.0.0.1:{self._server.server_port}/v1?" + "&".join(
            f"{n}={v}" for n, v in given.items()
        )

    def answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        system, user = (m["content"] for m in body["messages"])
        self.asked.append((system, user))
        if not self.gate.is_set():
            self.waiting.set()
            self.gate.wait(240)
        said = self.says(system, user)
        try:
            if isinstance(said, int):
                handler.send_error(said, "as it was told to")
                return
            handler.send_response(200)
            handler.send_header("content-type", "text/event-stream")
            handler.end_headers()
            for delta, reason in (({"role": "assistant", "content": said}, None), ({}, "stop")):
                chunk = {
                    "id": "1", "object": "chat.completion.chunk", "created": 1, "model": body["model"],
                    "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
                }  # fmt: skip
                handler.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            handler.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            return  # whoever asked was ended

    def of(self, word: str) -> list[str]:
        """What was asked about documents that hold a word."""
        return [user for _, user in self.asked if word in user]
