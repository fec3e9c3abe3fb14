"""A language model behind a running Headrace: a real server streams, cancels and cites; one that fails is told of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.llm_server import LlmServer
from tests.servers import free_port
from tests.whole import Whole, whole

SETTINGS = """
[models]
generation = "{url}"
[answer]
max_tokens = {tokens}
[[sources]]
name = "manual"
url = "file://{folder}"
"""
QUESTION = "How often must the pump be oiled?"


@pytest.fixture(scope="module")
def model() -> Iterator[LlmServer]:
    with LlmServer() as server:
        yield server


@pytest.fixture(scope="module")
def manual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("manual")
    (folder / "pump.md").write_text("# Pump\n\nThe pump must be oiled every 200 hours. Use oil of grade 68.\n")
    return folder


@pytest.fixture(scope="module")
def running(model: LlmServer, manual: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    url = model.base_url.replace("http://", "openai+http://") + "?model=smollm2"
    with whole(tmp_path_factory.mktemp("running"), SETTINGS.format(url=url, tokens=200, folder=manual)) as made:
        made.settle()
        yield made


def frames(socket: ClientConnection) -> Iterator[dict[str, Any]]:
    """Frames of one run until its last."""
    while True:
        frame = json.loads(socket.recv(timeout=120))
        yield frame
        if frame["chunk"]["type"] in ("finish", "error", "abort"):
            return


def ask(socket: ClientConnection, question: str) -> None:
    socket.send(json.dumps({"action": "send", "question": question}))


def ws(running: Whole) -> str:
    return f"ws://127.0.0.1:{running.port}/ws"


def test_a_models_answer_is_streamed_as_it_comes_and_finishes(running: Whole) -> None:
    with connect(ws(running)) as socket:
        ask(socket, QUESTION)
        chunks = [f["chunk"] for f in frames(socket)]
    kinds = [c["type"] for c in chunks]
    deltas = [c["delta"] for c in chunks if c["type"] == "text-delta"]

    assert kinds[0] == "start"
    assert kinds[-1] == "finish"
    assert len(deltas) > 3, "a model's words come in many pieces"
    assert kinds.index("text-start") < kinds.index("text-delta") < kinds.index("text-end")
    assert "degraded" not in chunks[-1]["data"]


def test_the_same_by_http_and_the_conversation_goes_on(running: Whole) -> None:
    first = running.post("/v1/ask", {"question": QUESTION})
    second = running.post("/v1/ask", {"question": "And the oil?", "conversation": first["conversation"]})

    assert first["answer"].strip()
    assert second["conversation"] == first["conversation"]
    assert first["freshness_ms"] is not None


def test_a_cancelled_answer_stops_the_model_too(running: Whole, model: LlmServer) -> None:
    with connect(ws(running)) as socket:
        ask(socket, "Write a very long story about a pump.")
        last = ""
        for frame in frames(socket):
            last = frame["chunk"]["type"]
            if last == "text-delta":
                socket.send(json.dumps({"action": "cancel", "run": frame["run"]}))

    assert last in ("abort", "finish")
    assert model.becomes_free()


def test_an_answer_can_be_picked_up_by_another_connection(running: Whole) -> None:
    with connect(ws(running)) as socket:
        ask(socket, QUESTION)
        seen = [next(frames(socket))]
    with connect(ws(running)) as socket:
        socket.send(json.dumps({"action": "resume", "run": seen[0]["run"], "seq": seen[0]["seq"]}))
        seen += frames(socket)

    assert [f["seq"] for f in seen] == list(range(1, len(seen) + 1))
    assert seen[-1]["chunk"]["type"] == "finish"


def test_a_model_that_is_not_there_is_replaced_and_told(manual: Path, tmp_path: Path) -> None:
    url = f"openai+http://127.0.0.1:{free_port()}/v1?model=none&retries=0"
    with whole(tmp_path, SETTINGS.format(url=url, tokens=50, folder=manual)) as made:
        made.settle()
        answer = made.post("/v1/ask", {"question": QUESTION})

    assert "every 200 hours" in answer["answer"]
    assert answer["citations"][0]["quote"] in (manual / "pump.md").read_text()
    assert {"step", "expected", "got", "remedy"} <= answer["degraded"].keys()


def test_frames_that_make_no_sense_are_refused_and_the_connection_stays(running: Whole) -> None:
    with connect(ws(running)) as socket:
        deep = '{"action": "send", "question": ' + "[" * 20_000
        for nonsense in ("nonsense", "[]", '{"action": "fly"}', '{"action": "send"}', '{"action": "cancel"}', deep):
            socket.send(nonsense)
            chunk = json.loads(socket.recv(timeout=20))["chunk"]
            assert chunk["type"] == "error"
            assert chunk["problem"]["remedy"]
        ask(socket, QUESTION)
        assert next(frames(socket))["chunk"]["type"] == "start"
