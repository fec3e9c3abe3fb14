"""A running Headrace whose texts a service embeds: it fails in every way and comes back, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from tests.embedding_server import Behaviour, EmbeddingServer, says, well
from tests.model_server import cuts, gives
from tests.whole import Refused, Whole, until, whole

KEY = "sk-secret-0123456789"
SETTINGS = """
[models]
embedding = "{address}&key=${{env:EMBEDDING_KEY}}&dimensions=8&breaker_pause=0.2&question_timeout=60&price=3{more}"
[[sources]]
name = "manual"
url = "file://./documents"
"""


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with EmbeddingServer() as made:
        yield made


@pytest.fixture
def documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMBEDDING_KEY", KEY)
    folder = tmp_path / "documents"
    folder.mkdir()
    for name in ("pump", "valve", "mill"):
        (folder / f"{name}.md").write_text(f"# The {name}\n\nThe {name} must be oiled every 200 hours.\n")
    return folder


def settings(server: EmbeddingServer, more: str = "") -> str:
    return SETTINGS.format(address=server.openai, more=more)


def embedder(running: Whole) -> Any:
    [told] = running.get("/v1/status")["embedders"]
    return told


def found(running: Whole, query: str) -> list[str]:
    return [r["document"] for r in running.search(query)["results"]]


def secretless(running: Whole) -> None:
    """Neither what it says, nor what it keeps, has the key."""
    told = httpx2.get(f"http://127.0.0.1:{running.port}/metrics").text + str(running.get("/v1/status"))
    with psycopg.connect(running.store, autocommit=True) as store:
        kept = str(store.execute("select name, value from settings").fetchall())
    assert "${env:EMBEDDING_KEY}" in kept
    for text in (told, kept, running.output.read_text("utf-8", "replace")):
        assert KEY not in text


def test_a_service_embeds_what_is_found_and_what_is_asked(server: EmbeddingServer, documents: Path) -> None:
    with whole(documents.parent, settings(server)) as running:
        running.settle()

        best = running.search("The valve\nThe valve must be oiled every 200 hours.", retriever="vector")
        told = embedder(running)
        metrics = httpx2.get(f"http://127.0.0.1:{running.port}/metrics").text

        assert "degraded" not in best
        assert len(best["results"]) == 3
        assert (told["state"], told["dimensions"]) == ("ok", 8)
        assert told["model"] == f"{server.openai}"
        assert told["service"]["texts"] == len(server.texts) > 3
        assert told["service"]["cost"] == pytest.approx(told["service"]["tokens"] * 3 / 1e6, abs=1e-6)
        assert f'headrace_embedding_up{{model="{server.openai}"}} 1.0' in metrics
        secretless(running)
        verified = running.command("verify", "--json").json
        assert verified["equal"]
        assert f"embedding: {len(server.texts)} texts" in running.command("status").out
        doctor = running.command("doctor", "--json")
        assert "8 dimensions, answers in" in doctor.out
        assert KEY not in doctor.out + doctor.err


FAULTS: dict[str, Behaviour] = {
    "a broken server": says(500, f"broken with {KEY}"),
    "one with too much to do": says(429),
    "one that refuses the key": says(401, KEY),
    "one that cuts": cuts,
    "one that answers something else": gives(b"<html>"),
    "one that forgets a vector": gives(b'{"data": []}'),
}


def test_changes_wait_and_questions_are_answered_by_words_until_it_is_back(
    server: EmbeddingServer, documents: Path
) -> None:
    with whole(documents.parent, settings(server, "&retries=0&breaker_failures=2")) as running:
        running.settle()
        for name, fault in FAULTS.items():
            server.behaviour = fault
            (documents / "pump.md").write_text(f"# The pump\n\nThe pump is oiled by {name}.\n")
            until(lambda: embedder(running)["state"] != "ok", f"{name} is noticed", running.told)
            (documents / "mill.md").unlink()
            until(lambda: running.document("manual/mill.md") is None, "the delete overtakes what waits", running.told)

            by_words(running, name)
            assert name not in running.document("manual/pump.md")["text"], "a document is replaced as a whole"

            server.behaviour = well
            (documents / "mill.md").write_text("# The mill\n\nThe mill must be oiled every 200 hours.\n")
            running.settle()
            assert name in running.document("manual/pump.md")["text"]
            assert "degraded" not in running.search(f"who oils it, {name}")
            assert embedder(running)["state"] == "ok"
        assert running.letters() == []
        secretless(running)
        assert running.command("verify", "--json").json["equal"]


def by_words(running: Whole, name: str) -> None:
    """Questions that were not asked before are answered, and the answers say how."""
    found = running.search(f"valve oiled hours {name}")
    with pytest.raises(Refused) as refused:
        running.search(f"how to grease it, {name}", retriever="vector")
    asked = running.post("/v1/ask", {"question": "How often must the valve be oiled?"})

    assert found["results"][0]["document"] == "manual/valve.md"
    assert found["degraded"]["got"].endswith("found by words alone")
    assert (refused.value.status, refused.value.problem["title"]) == (503, "Texts cannot be embedded now")
    assert "degraded" not in running.search(f"valve {name}", retriever="lexical")
    assert "200 hours" in asked["answer"]
    assert asked["degraded"]["got"].endswith("found by words alone")


def test_killed_while_it_waits_it_goes_on_behind_that(server: EmbeddingServer, documents: Path) -> None:
    with whole(documents.parent, settings(server).replace("&dimensions=8", "")) as running:
        running.settle()
        server.stop()
        (documents / "pump.md").write_text("# The pump\n\nThe pump is oiled by a robot.\n")
        running.says("texts wait for their embedding")
        running.kill()

        running.start()
        assert "valve" in found(running, "valve oiled hours")[0], "it starts without the service, and answers"
        assert "degraded: embed texts at 127.0.0.1" in running.command("search", "valve").out
        told = running.command("status").out
        assert "failing: none" in told or "left alone until" in told
        server.start()
        running.settle()

        assert "robot" in running.document("manual/pump.md")["text"]
        assert running.letters() == []


def test_doctor_says_what_is_wrong_with_the_service(server: EmbeddingServer, documents: Path) -> None:
    server.behaviour = says(401, f"wrong key {KEY}")
    running = Whole(documents.parent, settings(server))

    told = running.command("doctor", "--json")

    assert told.code == 1
    assert "status 401" in told.out
    assert "Check the key" in told.out
    assert KEY not in told.out + told.err


def test_another_service_takes_the_place_of_the_model_before(server: EmbeddingServer, documents: Path) -> None:
    with EmbeddingServer(dimensions=12) as other, whole(documents.parent, settings(server)) as running:
        running.settle()
        running.stop()
        running.configure(SETTINGS.format(address=other.openai, more="").replace("&dimensions=8", ""))
        other.behaviour = says(503)
        running.start()
        running.says("making documents anew failed")
        assert running.get("/v1/status")["succession"]["to"] == other.openai
        assert "degraded" not in running.search("valve"), "the one before answers meanwhile"

        other.behaviour = well
        until(lambda: running.get("/v1/status")["succession"] is None, "the other one serves", running.told)
        (documents / "pump.md").write_text("# The pump\n\nThe pump is oiled by a robot.\n")
        running.settle()

        assert "manual/pump.md" in found(running, "the robot")
        assert any("robot" in t for t in other.texts)
        assert running.command("verify", "--json").json["equal"]
