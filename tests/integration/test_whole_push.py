"""Pushing into a running Headrace: what was answered is there, once, and what is bad is named."""

from __future__ import annotations

import gzip
import json
import re
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from tests.pushing import NDJSON, Answer, lines, push, settings, upsert
from tests.whole import Whole, until, whole

GZIP = {"headers": {"content-encoding": "gzip"}}


@pytest.fixture(scope="module")
def headrace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    folder = tmp_path_factory.mktemp("push")
    (folder / "docs").mkdir()
    other = '[[sources]]\nname = "folder"\nurl = "file://./docs"\n'
    with whole(folder, settings() + other) as running:
        yield running


def logged(headrace: Whole, topic: str) -> list[Any]:
    return headrace.lines(f"/v1/log/{topic}")


# ---- the way of a change ---------------------------------------------------------------------------------------------


def test_a_push_is_in_the_profile_and_in_the_search_after_its_token(headrace: Whole) -> None:
    answer = push(
        headrace,
        [
            upsert("customers", id=7, email="ada@example.com", name="Ada"),
            upsert("notes", id=1, text="The blue gate is closed on Mondays."),
        ],
    )

    assert answer.counts == (2, 0, 0, 0)
    token = answer.body["token"]
    profile = headrace.profile("email:ada@example.com", after=token)
    assert profile["fields"] == {"name": "Ada"}
    assert headrace.texts("when is the gate closed", after=token)[0] == "The blue gate is closed on Mondays."

    gone = push(headrace, {"op": "delete", "table": "notes", "key": {"id": 1}}).body["token"]
    assert "The blue gate is closed on Mondays." not in headrace.texts("when is the gate closed", after=gone)
    assert headrace.profile("email:ada@example.com", after=gone)["stamp"]["source"] == "crm"


def test_who_follows_a_topic_gets_what_comes_as_others_read_it_later(headrace: Whole) -> None:
    push(headrace, [upsert("letters", id=n, text=f"letter {n}") for n in range(5)])
    address = f"http://127.0.0.1:{headrace.port}/v1/log/crm.letters"
    expected = [(n, f"letter {n}") for n in range(3, 65)]

    with httpx2.stream("GET", address, params={"follow": True, "from": 3}, timeout=60) as answer:
        lines_that_come = answer.iter_lines()
        followed = [json.loads(next(lines_that_come)) for _ in range(2)]
        for first in range(5, 65, 6):
            push(headrace, [upsert("letters", id=n, text=f"letter {n}") for n in range(first, first + 6)])
            followed += [json.loads(next(lines_that_come)) for _ in range(6)]

    assert [(e["after"]["id"], e["after"]["text"]) for e in followed] == expected
    assert headrace.lines("/v1/log/crm.letters", **{"from": 3}) == followed


def test_debezium_messages_with_a_changed_key_a_tombstone_and_a_truncate(headrace: Whole) -> None:
    source = {"connector": "postgresql", "schema": "public", "table": "people", "ts_us": 1767323045678901}
    messages = [
        {"key": {"id": 3}, "value": {"op": "r", "source": source, "after": {"id": 3, "n": "a"}}},
        {"key": {"id": 3}, "value": {"op": "d", "source": source, "before": {"id": 3, "n": None}}},
        {"key": {"id": 3}, "value": None},
        {"key": {"id": 33}, "value": {"op": "c", "source": source, "after": {"id": 33, "n": "a"}}},
        {"key": None, "value": {"op": "t", "source": source}},
    ]

    answer = push(headrace, lines(messages), NDJSON)

    assert answer.counts == (4, 0, 1, 0)
    found = logged(headrace, "crm.public.people")
    assert [(e["op"], e["key"]) for e in found] == [
        ("r", {"id": 3}), ("d", {"id": 3}), ("c", {"id": 33}), ("t", {}),
    ]  # fmt: skip
    assert {e["source"]["ts_us"] for e in found} == {1767323045678901}
    assert {(e["source"]["connector"], e["source"]["schema"]) for e in found} == {("push", "public")}


def test_bad_lines_are_named_kept_and_do_not_stop_the_rest(headrace: Whole) -> None:
    body = (
        lines([upsert("bad", id=1)]) + b"no json\n\n" + lines([{"op": "upsert", "table": "bad"}, upsert("bad", id=2)])
    )

    answer = push(headrace, body, NDJSON, once="bad-lines")

    assert answer.counts == (2, 0, 0, 2)
    assert [r["index"] for r in answer.body["rejected"]] == [1, 2]
    assert all(r["expected"] and r["got"] and r["remedy"] for r in answer.body["rejected"])
    letters = {x["key"]: x for x in headrace.letters() if x["topic"] == "crm"}
    assert letters["bad-lines#1"]["input"] == {"record": "no json"}
    assert letters["bad-lines#1"]["operator"] == "capture"
    again = headrace.post(f"/v1/deadletters/{letters['bad-lines#1']['id']}/retry")
    assert again["settled"] is False
    assert {x["key"]: x["attempts"] for x in headrace.letters()}["bad-lines#1"] == 2


def test_the_sender_names_table_and_key(headrace: Whole) -> None:
    record = {"metadata": {"record-type": "data", "operation": "load"}, "data": {"ID": 1, "NAME": "x"}}

    by_parameter = push(headrace, record, table="dms", key="ID")
    by_header = push(headrace, record, headers={"Headrace-Key": "ID"}, table="dms")

    assert by_parameter.counts == by_header.counts == (1, 0, 0, 0)
    assert [e["key"] for e in logged(headrace, "crm.dms")] == [{"ID": 1}] * 2


def test_the_log_of_one_source_pushed_into_another_is_the_same(headrace: Whole) -> None:
    push(headrace, [upsert("copied", id=2**53 + 1, price="12.3400", tags=[1, 2.5, None], none=None)])
    line = json.dumps(logged(headrace, "crm.copied")[0]).encode()

    assert push(headrace, line + b"\n", NDJSON, table="copy").counts == (1, 0, 0, 0)

    first, copy = logged(headrace, "crm.copied")[0], logged(headrace, "crm.copy")[0]
    assert [first[n] for n in ("key", "after", "columns", "op")] == [copy[n] for n in ("key", "after", "columns", "op")]


# ---- compressed ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_lines_are_taken_in_as_those_that_are_not(
    headrace: Whole, coding: str, compress: Callable[[bytes], bytes]
) -> None:
    body = compress(lines(upsert(f"by_{coding}", id=n, name="x" * 100) for n in range(5_000)))

    answer = push(headrace, body, NDJSON, headers={"content-encoding": coding})

    assert answer.counts == (5_000, 0, 0, 0)
    assert len(logged(headrace, f"crm.by_{coding}")) == 5_000


def test_a_compressed_stream_that_broke_off_is_made_whole_by_its_repetition(headrace: Whole) -> None:
    body = gzip.compress(lines(upsert("cut", id=n, name=str(n * 7919)) for n in range(4000)))

    broken = push(headrace, body[: len(body) // 2], NDJSON, once="cut", headers=GZIP["headers"])
    whole = push(headrace, body, NDJSON, once="cut", headers=GZIP["headers"])

    assert broken.status == 400
    assert whole.counts == (4000, 0, 0, 0)
    assert [e["key"]["id"] for e in logged(headrace, "crm.cut")] == list(range(4000))


def test_the_command_sends_compressed_parts(headrace: Whole) -> None:
    records = lines(upsert("sent", id=n) for n in range(6000))

    ended = headrace.command("push", "crm", "--gzip", "--json", input=records)

    assert (ended.json["accepted"], ended.json["lines"]) == (6000, 6000)
    assert len(logged(headrace, "crm.sent")) == 6000


# ---- once ------------------------------------------------------------------------------------------------------------


def test_a_repeated_key_answers_as_the_first_time_and_appends_nothing(headrace: Whole) -> None:
    body = lines(upsert("once", id=n) for n in range(3)) + b"bad\n"

    first, second = (push(headrace, body, NDJSON, once="same") for _ in range(2))

    assert second.body == first.body
    assert len(logged(headrace, "crm.once")) == 3
    for other in (body + lines([upsert("once", id=9)]), body[:-4], lines([upsert("once", id=9)])):
        refused = push(headrace, other, NDJSON, once="same")
        assert (refused.status, refused.kind) == (422, "application/problem+json")
    assert push(headrace, body, NDJSON, once="same", table="elsewhere").status == 422
    assert len(logged(headrace, "crm.once")) == 3


def test_a_cloudevent_comes_in_once(headrace: Whole) -> None:
    event = {"specversion": "1.0", "id": "e1", "source": "/shop", "type": "t", "data": upsert("events", id=1)}

    single = push(headrace, event, "application/cloudevents+json")
    batch = push(headrace, [event, {**event, "id": "e2"}], "application/cloudevents-batch+json")
    headers = {"ce-specversion": "1.0", "ce-id": "e2", "ce-source": "/shop", "ce-type": "t"}
    binary = push(headrace, upsert("events", id=1), headers=headers)

    assert [a.counts for a in (single, batch, binary)] == [(1, 0, 0, 0), (1, 1, 0, 0), (0, 1, 0, 0)]
    assert len(logged(headrace, "crm.events")) == 2


# ---- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind", "more", "status"),
    [
        (b"{}", "application/json", {"source": "nobody"}, 404),
        (b"{}", "application/json", {"source": "folder"}, 404),
        (b"a,b", "text/csv", {}, 415),
        (b"{}", "application/json", {"headers": {"content-encoding": "br"}}, 415),
        (b"{}", "application/json", GZIP, 400),
        (gzip.compress(b"{}", mtime=0)[:-1], "application/json", GZIP, 400),
        (gzip.compress(b"{}", mtime=0) + b"{}", "application/json", GZIP, 400),
        (gzip.compress(b"[" + b" " * 1_100_000 + b"]"), "application/json", GZIP, 413),
        (gzip.compress(b"[" + b" " * 50_000_000 + b"]"), NDJSON, GZIP, 413),
        (b"{", "application/json", {}, 400),
        (b"7", "application/json", {}, 400),
        (b"{}", "application/cloudevents-batch+json", {}, 400),
        (b"{}", "application/json", {"format": "avro"}, 400),
        (b"{}", "application/json", {"once": "k" * 201}, 400),
        (b"[" + b" " * 1_100_000 + b"]", "application/json", {}, 413),
    ],
)
def test_what_is_not_taken_is_a_problem(
    headrace: Whole, body: bytes, kind: str, more: dict[str, Any], status: int
) -> None:
    answer = push(headrace, body, kind, **more)

    assert (answer.status, answer.kind) == (status, "application/problem+json")
    assert all(answer.body[name] for name in ("title", "step", "expected", "got", "remedy"))


def test_what_comes_is_counted(headrace: Whole) -> None:
    before = counted(headrace)
    body = lines([upsert("counted", id=1), upsert("counted", id=2)]) + b"bad\n"

    push(headrace, body, NDJSON)
    push(headrace, b"[" + b" " * 1_100_000 + b"]")
    push(headrace, b"{}", source="made_up")

    after = counted(headrace)
    grown = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}
    assert grown.pop('bytes_total{source="crm"}') >= len(body)
    grown.pop('bytes_total{source=""}', None)  # refused before its body was read
    assert grown == {
        'records_total{outcome="accepted",source="crm"}': 2,
        'records_total{outcome="rejected",source="crm"}': 1,
        'requests_total{source="crm",status="202"}': 1,
        'requests_total{source="crm",status="413"}': 1,
        'requests_total{source="",status="404"}': 1,
    }


def counted(headrace: Whole) -> dict[str, float]:
    text = httpx2.get(f"http://127.0.0.1:{headrace.port}/metrics").text
    told = [line.removeprefix("headrace_push_").rsplit(" ", 1) for line in text.splitlines() if "_push_" in line]
    return {name: float(value) for name, value in told if not name.startswith("#")}


def test_a_coding_that_is_not_taken_is_told_those_that_are(headrace: Whole) -> None:
    answer = push(headrace, b"{}", headers={"content-encoding": "zstd"})

    assert (answer.status, answer.headers["accept-encoding"]) == (415, "gzip, deflate")


def test_a_line_that_is_too_long_is_rejected_alone(headrace: Whole) -> None:
    body = lines([upsert("long", id=1), upsert("long", id=2, text="x" * 1_100_000), upsert("long", id=3)])

    answer = push(headrace, body, NDJSON)

    assert answer.counts == (2, 0, 0, 1)
    assert answer.body["rejected"][0]["index"] == 1
    assert "max_body" in answer.body["rejected"][0]["remedy"]


def test_the_route_is_described(headrace: Whole) -> None:
    described = headrace.get("/openapi.json")["paths"]["/v1/changes/{source}"]["post"]

    assert NDJSON in described["requestBody"]["content"]
    assert set(described["responses"]) >= {"202", "400", "404", "413", "415", "422", "429", "503"}
    names = {p["name"] for p in described["parameters"]}
    assert names == {"source", "format", "table", "key", "Headrace-Key", "Idempotency-Key"}
    assert headrace.get("/openapi.json")["paths"]["/v1/changes"]["get"]


def test_the_status_shows_it(headrace: Whole) -> None:
    push(headrace, upsert("seen", id=1))

    until(lambda: headrace.source("crm")["freshness_ms"] is not None, "it is fresh", headrace.told)
    shown = headrace.source("crm")
    assert (shown["kind"], shown["url"], shown["state"], shown["reason"]) == ("push", "push:", "streaming", None)
    assert shown["position"].isdigit() or ":" in shown["position"]


# ---- bounds ----------------------------------------------------------------------------------------------------------


def test_a_full_inbox_says_when_to_come_again_and_loses_nothing(tmp_path: Path) -> None:
    with whole(tmp_path, settings("?inbox=5")) as headrace, psycopg.connect(headrace.store) as store:
        store.execute("lock table log_sources in exclusive mode")  # the log stands still
        answers: list[Answer] = []
        body = lines(upsert("full", id=n) for n in range(5))
        waiting = threading.Thread(target=lambda: answers.append(push(headrace, body, NDJSON, once="first")))
        waiting.start()

        refused = refusal(headrace)
        assert refused.headers["retry-after"] == "1"
        assert refused.kind == "application/problem+json"
        store.commit()
        waiting.join(60)

        assert answers[0].counts == (5, 0, 0, 0)
        until(lambda: push(headrace, body, NDJSON, once="second").status == 202, "there is room again")
        assert [e["key"]["id"] for e in logged(headrace, "crm.full")] == [*range(5)] * 2


def refusal(headrace: Whole) -> Answer:
    """Asks as a sender that gives up soon, so that none of the asking waits itself."""
    found: list[Answer] = []

    def refused() -> bool:
        try:
            found.append(push(headrace, {"nothing": 1}, timeout_s=0.5))
        except httpx2.TimeoutException:
            return False
        return found[-1].status == 429

    until(refused, "the inbox is full", headrace.told)
    return found[-1]


def resident_kb(pid: int, field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1])


def test_fifty_thousand_lines_in_bounded_memory(tmp_path: Path) -> None:
    """60 MB come as one stream, at one go: no more stays in memory than the log's tail, which is full before."""

    def body(table: str, count: int) -> Iterator[bytes]:
        for n in range(count):
            yield lines([upsert(table, id=n, text=f"{n} " + "x" * 1100)])

    with whole(tmp_path, settings()) as headrace:
        assert push(headrace, body("warm", 25_000), NDJSON).counts == (25_000, 0, 0, 0)
        Path(f"/proc/{headrace.pid}/clear_refs").write_text("5")  # the peak counts from here on
        before = resident_kb(headrace.pid, "VmRSS")

        answer = push(headrace, body("many", 50_000), NDJSON)

        assert answer.counts == (50_000, 0, 0, 0)
        assert resident_kb(headrace.pid, "VmHWM") - before < 40_000
        assert [e["key"]["id"] for e in logged(headrace, "crm.many")] == list(range(50_000))


# ---- the command -----------------------------------------------------------------------------------------------------


def test_the_command_pushes_a_file(headrace: Whole, tmp_path: Path) -> None:
    file = tmp_path / "changes.ndjson"
    file.write_bytes(lines(upsert("command", id=n) for n in range(6000)) + b"\nbad\n")

    ended = headrace.command("push", "crm", str(file), "--json")

    assert ended.code == 1
    told = json.loads(ended.out)
    assert (told["accepted"], told["rejections"], told["lines"]) == (6000, 1, 6002)
    assert told["rejected"][0]["line"] == 6002
    assert len(logged(headrace, "crm.command")) == 6000
    assert headrace.search("x", after=told["token"])


def test_the_command_takes_its_input_and_hints(headrace: Whole) -> None:
    hints = ("--table", "piped", "--key", "id", "--format", "flattened")

    ended = headrace.command("push", "crm", *hints, input=b'{"id":1}\n')

    assert (ended.code, "1 accepted" in ended.out) == (0, True)
    assert [e["after"] for e in logged(headrace, "crm.piped")] == [{"id": 1}]


def test_the_command_says_what_is_wrong(headrace: Whole, tmp_path: Path) -> None:
    assert "push:" in headrace.command("push", "nobody", input=b"{}\n").err
    assert "no file" in headrace.command("push", "crm", str(tmp_path / "none")).err
    stopped = Whole(tmp_path / "stopped", settings())
    assert "headrace up" in stopped.command("push", "crm", input=b"{}\n").err
    stopped.close()
