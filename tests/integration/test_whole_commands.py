"""The commands, beside a running `headrace up` and without one."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import PostgresApart
from tests.whole import Database, Ended, Whole, database, whole

SETTINGS = """
[[sources]]
name = "airline"
url = "{dsn}"
[[sources]]
name = "policies"
url = "file://./documents"
[[knowledge.rows]]
table = "airline.public.flights"
text = "Flight {{{{flight}}}} is {{{{status}}}}"
"""


@pytest.fixture(scope="module")
def airline(debian_postgres: PostgresApart) -> Iterator[Database]:
    table = "create table flights (flight text primary key, status text)"
    with database(debian_postgres, table, "insert into flights values ('HAT1', 'delayed')") as made:
        yield made


@pytest.fixture(scope="module")
def folder(airline: Database, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("commands")
    (made / "documents").mkdir()
    (made / "documents" / "baggage.md").write_text("# Baggage\n\nTwo bags are free.")
    return made


def test_the_commands_work_beside_a_running_one_and_without(airline: Database, folder: Path) -> None:
    settings = SETTINGS.format(dsn=airline.dsn)
    idle = Whole(folder, settings)

    once = idle.command("up", "--once", "--json")
    assert once.json == {"knowledge airline": 1, "profiles airline": 0, "knowledge policies": 1, "profiles policies": 0}
    assert idle.command("up", "--once", "--json").json["knowledge airline"] == 0  # once is once

    airline.run("update flights set status = 'boarding' where flight = 'HAT1'")
    alone = idle.command("search", "flight", "--json").json
    assert alone["results"][0]["text"] == "Flight HAT1 is delayed"  # nothing is captured by asking
    assert alone["freshness_ms"] is None
    assert "not running" in alone["freshness_reason"]
    same_everywhere(idle, "not running")
    assert_told(idle.command("token"), "headrace up")  # nobody reads the sources who could ask them

    assert idle.command("up", "--once", "--json").json["knowledge airline"] == 1
    assert idle.command("search", "flight", "--json").json["results"][0]["text"] == "Flight HAT1 is boarding"

    with whole(folder, settings) as running:
        token = running.settle()
        airline.run("insert into flights values ('HAT2', 'on time')")
        after = running.command("token", "--json").json["token"]
        assert after != token
        found = running.command("search", "flight HAT2", "--after", after, "-k", "2", "--json").json
        assert "Flight HAT2 is on time" in [r["text"] for r in found["results"]]
        assert len(found["results"]) == 2
        assert found["freshness_ms"] is not None
        past = running.command("search", "flight HAT2", "--as-of", token, "--json").json
        assert "Flight HAT2 is on time" not in [r["text"] for r in past["results"]]
        only = running.command("search", "bags", "--source", "policies", "--json").json
        assert [r["document"] for r in only["results"]] == ["policies/baggage.md"]
        asked = running.command("ask", "What is the status of flight HAT2?", "--after", after, "--json").json
        assert "on time" in asked["answer"]
        assert asked["citations"][0]["document"] == "airline/public.flights/HAT2"
        same_everywhere(running, "")
        assert running.command("token").out.startswith("h1.")
        assert running.command("search", "bags").out.count("policies/baggage.md") == 1  # for people, too
        told = running.command("up", "--once")
        assert told.code == 1
        assert_told(told, "in use" if "in use" in told.err else str(running.pid))


def same_everywhere(headrace: Whole, reason: str) -> None:
    """What does not depend on whether one is running."""
    status = headrace.command("status", "--json").json
    assert {s["name"] for s in status["sources"]} == {"airline", "policies"}
    assert all(reason in (s["reason"] or "") for s in status["sources"])
    assert "policies" in headrace.command("status").out
    changes = headrace.command("log", "airline.public.flights", "--json").lines
    assert changes[0]["op"] == "r"
    assert changes[0]["after"] == {"flight": "HAT1", "status": "delayed"}
    assert headrace.command("log", "airline.public.flights", "--from", "1", "--json").lines == changes[1:]
    assert len(headrace.command("log", "policies").out.splitlines()) == 1
    unknown = headrace.command("log", "airline.public.nothing")
    assert unknown.code == 1
    assert_told(unknown, "airline.public.flights")


def assert_told(ended: Ended, *parts: str) -> None:
    """An error for people: what was expected, what came, what to do, and no traceback."""
    for part in ("expected", "got", "remedy", *parts):
        assert part in ended.err
    assert "Traceback" not in ended.err


def test_init_writes_a_configuration_that_runs_and_never_over_another(tmp_path: Path) -> None:
    nowhere = Whole(tmp_path / "elsewhere", "")
    made = nowhere.command("init", str(tmp_path / "new"), "--json", config=False).json
    written = Path(made["written"])
    assert {s["name"] for s in tomllib.loads(written.read_text())["sources"]} == {"documents", "uploads"}
    (tmp_path / "new" / "documents" / "hello.md").write_text("# Hello\n\nA llama says hello.")
    nowhere.config = written
    assert nowhere.command("up", "--once", "--json").json["knowledge documents"] == 1
    assert nowhere.command("search", "llama", "--json").json["results"][0]["document"] == "documents/hello.md"

    again = nowhere.command("init", str(tmp_path / "new"), config=False)
    assert again.code == 1
    assert "nothing was written" in again.err


def test_a_wrong_configuration_is_told_before_anything_starts(tmp_path: Path) -> None:
    headrace = Whole(tmp_path, '[[sources]]\nname = "airline"\nurll = "file://."\n')
    for arguments in (("up",), ("status", "--json"), ("search", "x", "--json")):
        ended = headrace.command(*arguments)
        assert ended.code == 1
        assert_told(ended, "urll", "Did you mean `url`?")
    headrace.config = tmp_path / "missing.toml"
    assert_told(headrace.command("up"), "headrace init")
    assert json.dumps([p.name for p in tmp_path.iterdir()]) == '["headrace.toml"]'
