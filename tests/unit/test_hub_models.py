"""`hf:` models, from a hub of our own: fetched once, whole, and opened without it from then on."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from headrace.errors import ConfigError
from headrace.registry import embedder_at
from tests.small_model import small_model

COMMIT = "5f1b8cd78bc4fb444dd171e59b18f3a3af89a079"
NAME = "acme/travel"


class Hub:
    """Serves one repository as the Hub does, one revision of it, and counts what is asked. `gone` lets it fail."""

    def __init__(self, folder: Path) -> None:
        self.files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        self.asked: list[str] = []
        self.gone: set[str] = set()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.answer(self, body=True)

            def do_HEAD(self) -> None:
                hub.answer(self, body=False)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, asked: BaseHTTPRequestHandler, *, body: bool) -> None:
        path = asked.path.partition("?")[0]
        self.asked.append(path)
        content, tag = self._content(path)
        missing = content is None or any(path.endswith(name) for name in self.gone)
        asked.send_response(404 if missing else 200)
        asked.send_header("Content-Length", "0" if content is None or missing else str(len(content)))
        asked.send_header("X-Repo-Commit", COMMIT)
        if missing:
            asked.send_header("X-Error-Code", "EntryNotFound" if NAME in path else "RepoNotFound")
        else:
            asked.send_header("ETag", f'"{tag}"')
        asked.end_headers()
        if body and content and not missing:
            asked.wfile.write(content)

    def _content(self, path: str) -> tuple[bytes | None, str]:
        api, files = f"/api/models/{NAME}", f"/{NAME}/resolve/{COMMIT}/"
        if path in (api, f"{api}/revision/main", f"{api}/revision/{COMMIT}"):
            siblings = [{"rfilename": name} for name in self.files]
            return json.dumps({"id": NAME, "modelId": NAME, "sha": COMMIT, "siblings": siblings}).encode(), "info"
        if path == f"{api}/tree/{COMMIT}":
            tree = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in self.files.items()
            ]
            return json.dumps(tree).encode(), "tree"
        name = path.removeprefix(files) if path.startswith(files) else ""
        content = self.files.get(name)
        return content, hashlib.sha1(content).hexdigest() if content is not None else ""

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """With a model as exporters leave it, and beside it what nobody needs."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    made = small_model(tmp_path / "made", 12)
    (made / "onnx").mkdir()
    (made / "model.onnx").rename(made / "onnx" / "model.onnx")
    (made / "config.json").write_text(json.dumps({"max_position_embeddings": 64}))
    (made / "pytorch_model.bin").write_bytes(b"\0" * 1000)
    (made / "onnx" / "model_O4.onnx").write_bytes(b"another graph")
    hub = Hub(made)
    yield hub
    hub.close()


async def opened(hub: Hub, more: str = "") -> tuple[str, int, int]:
    """Its id, how long its vectors are and how many tokens it reads."""
    embedder = embedder_at(f"hf:{NAME}?endpoint={hub.address}{more}")
    try:
        vectors = await embedder.embed(["A seat by the window."])
        return embedder.id, vectors.shape[1], embedder.max_tokens
    finally:
        await embedder.close()


async def test_a_model_is_fetched_once_and_then_opened_without_the_hub(hub: Hub) -> None:
    id, dimensions, most = await opened(hub)

    assert (id.partition("/")[0], dimensions, most) == ("acme--travel", 12, 64)
    fetched = {path.rpartition(f"{COMMIT}/")[2] for path in hub.asked if "/resolve/" in path}
    assert fetched == {"config.json", "tokenizer.json", "onnx/model.onnx"}, "and nothing that is not needed"

    hub.asked.clear()
    assert await opened(hub) == (id, dimensions, most)
    assert not hub.asked


async def test_what_was_fetched_in_part_is_fetched_to_its_end(hub: Hub) -> None:
    hub.gone = {"onnx/model.onnx"}
    with pytest.raises(ConfigError, match="fetch a model"):
        await opened(hub)

    hub.gone = set()
    assert (await opened(hub))[1] == 12


async def test_another_graph_and_a_revision_may_be_named(hub: Hub) -> None:
    with pytest.raises(ConfigError, match="a readable model"):  # that graph is none
        await opened(hub, "&file=onnx/model_O4.onnx")

    assert (await opened(hub, f"&revision={COMMIT}"))[1] == 12


@pytest.mark.parametrize("name", ["acme/nothing", "acme", "a/b/c"])
async def test_what_is_not_there_is_told(hub: Hub, name: str) -> None:
    with pytest.raises(ConfigError, match="fetch a model from the Hugging Face Hub") as told:
        embedder_at(f"hf:{name}?endpoint={hub.address}")

    assert name in str(told.value)


async def test_a_hub_that_is_away_is_told(hub: Hub) -> None:
    hub.close()

    with pytest.raises(ConfigError, match="at the network"):
        await opened(hub)
