"""A running Headrace with a reranker that turns the order round: searches follow it, unless they say otherwise or it
fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.reranking_server import RerankingServer, says, well
from tests.whole import Whole

KEY = "sk-secret-0123456789"
SETTINGS = """identity = "headers"
identity_secret = "${{env:IDENTITY}}"
[models]
reranker = "{address}"
{more}
[[sources]]
name = "manual"
url = "file://./documents"
[[sources.access_rules]]
match = "secret/**"
groups = ["board"]
[sources.redact]
"""
SECRET = "0123456789abcdef"
OPERATOR = {"X-Headrace-Secret": SECRET, "X-Headrace-User": "ops", "X-Headrace-Groups": "headrace-operators"}
ANNA = {"X-Headrace-Secret": SECRET, "X-Headrace-User": "anna", "X-Headrace-Groups": "sales"}
QUERY = "how often must the pump be oiled"


@pytest.fixture
def server() -> Iterator[RerankingServer]:
    with RerankingServer() as made:
        made.score = lambda query, passage: float("pump" not in passage)
        yield made


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IDENTITY", SECRET)
    monkeypatch.setenv("RERANK_KEY", KEY)
    written = {
        "pump.md": "# The pump\n\nThe pump must be oiled every 200 hours, says pat@example.com.\n",
        "valve.md": "# The valve\n\nThe valve must be oiled every 90 hours.\n",
        "secret/plan.md": "# The plan\n\nHow often the pump must be oiled will change to every 500 hours.\n",
    }
    for name, text in written.items():
        path = tmp_path / "documents" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "queries.jsonl").write_text(json.dumps({"_id": "1", "text": QUERY}))
    (tmp_path / "qrels.tsv").write_text("1 0 manual/valve.md 1\n")
    return tmp_path


def found(running: Whole, **more: object) -> list[str]:
    return [r["document"].removeprefix("manual/") for r in running.search(QUERY, **more)["results"]]


def reranker(running: Whole) -> Any:
    return running.get("/v1/status")["reranker"]


def test_searches_follow_a_service_unless_they_say_otherwise_or_it_fails(server: RerankingServer, folder: Path) -> None:
    address = f"{server.common}&key=${{env:RERANK_KEY}}&price=2&retries=0&breaker_failures=99"
    running = Whole(folder, SETTINGS.format(address=address, more="rerank_ms = 60000"))
    running.say(OPERATOR)
    with closing(running.start()):
        running.settle()

        # It orders what is found, and both scores are told.
        turned = running.search(QUERY)
        first, *_, last = turned["results"]
        assert "degraded" not in turned
        assert first["document"] == "manual/valve.md"
        assert (first["rerank_score"], last["rerank_score"]) == (1.0, 0.0)
        assert first["score"] < last["score"] or first["score"] < turned["results"][1]["score"]
        before = len(server.requests)
        plain = running.command("search", QUERY, "-k", "10", "--no-rerank", "--json").json
        assert plain["results"][-1]["document"] == "manual/valve.md"
        assert "rerank_score" not in plain["results"][0]
        assert len(server.requests) == before
        assert found(running, k=1) == ["valve.md"], "more are looked at than are asked for"
        assert found(running, as_of=turned["token"])[0] == "valve.md"
        assert found(running, neighbours=1)[0] == "valve.md"

        # A question says it too.
        question = {"question": "How often must the valve be oiled?"}
        before = len(server.requests)
        assert "90 hours" in running.post("/v1/ask", {**question, "rerank": False})["answer"]
        assert "90 hours" in running.command("ask", question["question"], "--no-rerank", "--json").json["answer"]
        assert len(server.requests) == before
        assert "90 hours" in running.command("ask", question["question"], "--rerank", "--json").json["answer"]
        assert len(server.requests) == before + 1

        # Whether it helps is measured.
        measured = running.command("eval", "--queries", "queries.jsonl", "--qrels", "qrels.tsv", "--json").json
        scores = {s["setting"]: s["mrr"] for s in measured["settings"]}
        assert list(scores)[:2] == ["default", "without reranker"]
        assert scores["default"] == 1 > scores["without reranker"]

        # It is sent what may be read, as it may be read.
        assert any("500 hours" in p for p in server.passages)
        assert not any("pat@example.com" in p for p in server.passages)
        assert any("[EMAIL]" in p for p in server.passages)
        before = len(server.requests)
        running.say(ANNA)
        assert found(running) == ["valve.md", "pump.md"]
        asked = running.post("/v1/ask", {"question": "How often must the valve be oiled?"})
        assert "90 hours" in asked["answer"]
        assert "degraded" not in asked
        hers = server.requests[before:]
        assert len(hers) == 2
        assert not any("500 hours" in p for r in hers for p in r.passages)
        running.say(OPERATOR)

        # It fails: passages are as they were found, and that is said.
        server.behaviour = says(500, f"no, {KEY}")
        failing = running.search(QUERY)
        assert [r["chunk"] for r in failing["results"]] == [r["chunk"] for r in plain["results"]]
        assert failing["degraded"]["got"] == "status 500: no, ***: not reranked"
        assert "rerank_score" not in failing["results"][0]
        assert "degraded" not in running.search(QUERY, rerank=False)
        answered = running.post("/v1/ask", {"question": "How often must the valve be oiled?"})
        assert "90 hours" in answered["answer"]
        assert answered["degraded"]["got"].endswith("not reranked")

        # It is counted.
        told, requests = reranker(running), server.requests
        assert told["model"] == server.common
        assert (told["searches"]["late"], told["searches"]["failed"], told["searches"]["skipped"]) == (0, 2, 0)
        assert told["searches"]["done"] == len(requests) - 2, "each that succeeded was one request"
        assert told["service"]["failures"] == 2
        assert told["service"]["cost"] > 0
        metrics = httpx2.get(f"http://127.0.0.1:{running.port}/metrics", headers=OPERATOR).text
        assert f'headrace_rerank_searches_total{{model="{server.common}",outcome="failed"}} 2.0' in metrics
        server.behaviour = well
        assert found(running)[0] == "valve.md"
        assert f"reranking: {told['searches']['done'] + 1} searches" in running.command("status").out
        assert KEY not in metrics + str(told) + running.output.read_text("utf-8", "replace")


def test_one_that_is_asked_on_demand_only(server: RerankingServer, folder: Path) -> None:
    running = Whole(
        folder, SETTINGS.format(address=f"{server.common}&retries=0", more="rerank = false\nrerank_ms = 60000")
    )
    running.say(OPERATOR)
    with closing(running.start()):
        running.settle()
        question = {"question": "How often must the valve be oiled?"}
        plain = running.search(QUERY)["results"]
        running.post("/v1/ask", question)

        assert plain[-1]["document"] == "manual/valve.md"
        assert not any("rerank_score" in r for r in plain)
        assert not server.requests

        assert found(running, rerank=True)[0] == "valve.md"
        assert "rerank_score" in running.command("search", QUERY, "--rerank", "--json").json["results"][0]
        running.post("/v1/ask", {**question, "rerank": True})
        assert len(server.requests) == 3
        measured = running.command("eval", "--queries", "queries.jsonl", "--qrels", "qrels.tsv", "--json").json
        scores = {s["setting"]: s["mrr"] for s in measured["settings"]}
        assert list(scores)[:2] == ["default", "with reranker"]
        assert scores["with reranker"] == 1 > scores["default"]
