"""A running Headrace behind a gateway that says who reads: nobody gets to see what is not for them, by no way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from headrace.integrations.http import Search
from tests.whole import Whole, until, whole

SECRET = "the gateway's own secret"
IDENTITY = 'identity = "headers"\nidentity_secret = "${{env:HEADRACE_TEST_SECRET}}"\nuser_type = "email"\n'
SOURCES = """
[[sources]]
name = "uploads"
url = "upload:"

[[sources]]
name = "docs"
url = "file://./docs"
access = {{ groups = ["staff"] }}
[[sources.access_rules]]
match = "hr/**"
groups = ["{hr}"]
[[sources.access_rules]]
match = "open"
groups = ["*"]

[[sources]]
name = "shop"
url = "push:"

[[knowledge.rows]]
table = "shop.tickets"
text = "Ticket about turnips: {{{{ text }}}}"
owner = "who"
groups = "teams"

[[knowledge.rows]]
table = "shop.reports"
text = "{{{{ text }}}}"
"""
SETTINGS = IDENTITY + SOURCES
OPERATOR = {"X-Headrace-Secret": SECRET, "X-Headrace-Groups": "headrace-operators"}
ADA = {"X-Headrace-Secret": SECRET, "X-Headrace-User": "ada@example.com", "X-Headrace-Groups": "staff"}
BO = {"X-Headrace-Secret": SECRET, "X-Headrace-User": "bo@example.com", "X-Headrace-Groups": "hr, staff"}
NOBODY: Mapping[str, str] = {}
QUEUED = 80
BOS = {"text": "the turnips were late", "who": "bo@example.com", "teams": None}

OPEN = {"docs/open/menu.md"}
STAFF = {"docs/plan.md"}
HR = {"docs/hr/pay.md"}
ADAS = {"uploads/ada.md", "shop/tickets/1"}


class Reads:
    """One person's requests."""

    def __init__(self, headrace: Whole, headers: Mapping[str, str]) -> None:
        self._url = f"http://127.0.0.1:{headrace.port}"
        self._headers = headers

    def send(self, method: str, path: str, body: object = None, **more: Any) -> httpx2.Response:
        headers = [*self._headers.items(), *more.pop("headers", ())]
        return httpx2.request(method, self._url + path, json=body, headers=headers, timeout=120, params=more)

    def lines(self, path: str, body: bytes) -> httpx2.Response:
        headers = {**self._headers, "content-type": "application/x-ndjson"}
        return httpx2.post(self._url + path, content=body, headers=headers, timeout=120)

    def post(self, path: str, body: object) -> Any:
        answer = self.send("POST", path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def found(self, query: str = "turnips", **more: object) -> set[str]:
        """Checks that searches by words, by meaning and by both tell the same."""
        told: list[set[str]] = []
        for how in ("hybrid", "lexical", "vector", "rank"):
            answer = self.post("/v1/search", {"query": query, "k": 100, "retriever": how, **more})
            told.append({r["document"] for r in answer["results"]})
        assert told[0] == told[2] == told[3] >= told[1], told
        return told[0]

    def met(self, **more: object) -> set[str]:
        """By any search, while documents come in: one search may tell less than the next."""
        told: set[str] = set()
        for how in ("hybrid", "lexical", "vector", "rank"):
            answer = self.post("/v1/search", {"query": "turnips", "k": 100, "retriever": how, **more})
            told |= {r["document"] for r in answer["results"]}
        return told

    def listed(self, **params: str) -> set[str]:
        """Checks that lines, pages and single documents tell the same."""
        lines = {json.loads(x)["id"] for x in self.send("GET", "/v1/documents", **params).text.splitlines()}
        page = self.send("GET", "/v1/documents", limit="1000", **params).json()
        assert {d["id"] for d in page["documents"]} == lines
        known = OPEN | STAFF | HR | ADAS
        assert {i for i in known if self.document(i, **params) == 200} == lines & known
        return lines

    def document(self, id: str, **params: str) -> int:
        return self.send("GET", f"/v1/documents/{id}", **params).status_code

    def sees(self, **as_of: str) -> set[str]:
        found = self.found(**as_of)
        assert found == self.listed(**as_of)
        return found

    def told(self, question: str, **more: str) -> tuple[str, set[str]]:
        """The answer over HTTP with what it cites; over the WebSocket it is the same."""
        answer = self.post("/v1/ask", {"question": question, **more})
        with connect(f"ws{self._url[4:]}/ws", additional_headers=self._headers) as socket:
            socket.send(json.dumps({"action": "send", "question": question, **more}))
            chunks = [json.loads(socket.recv(timeout=120))["chunk"]]
            while chunks[-1]["type"] not in ("finish", "error"):
                chunks.append(json.loads(socket.recv(timeout=120))["chunk"])
        cited = {c["data"]["document"] for c in chunks if c["type"] == "data-citation"}
        assert cited == {c["document"] for c in answer["citations"]}
        assert answer["answer"] == "".join(c["delta"] for c in chunks if c["type"] == "text-delta")
        return answer["answer"], cited


@pytest.fixture(scope="module")
def headrace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    folder = tmp_path_factory.mktemp("permissions")
    for name, text in (
        ("open/menu.md", "# Menu\n\nThe canteen serves turnips on Monday."),
        ("plan.md", "# Plan\n\nThe turnips are bought from the farm in Ely."),
        ("hr/pay.md", "# Pay\n\nWhoever peels turnips is paid 31 crowns an hour."),
    ):
        (folder / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "docs" / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADRACE_TEST_SECRET", SECRET)
        made = Whole(folder, SETTINGS.format(hr="hr"))
        made.say(OPERATOR)
        try:
            made.start()
            operator = Reads(made, OPERATOR)
            sent = httpx2.post(
                f"http://127.0.0.1:{made.port}/v1/documents", headers=OPERATOR, content=b"Ada grows turnips at home.",
                params={"source": "uploads", "name": "ada.md", "owner": "ada@example.com"},
            )  # fmt: skip
            assert sent.status_code == 202, sent.text
            ticket(operator, 1, "the turnips were late", who="ada@example.com", teams=None)
            ticket(operator, 2, "the turnips were blue", who=None, teams="[]")
            made.settle()
            yield made
        finally:
            made.close()


def ticket(operator: Reads, id: int, text: str, *, who: str | None, teams: str | None) -> None:
    pushed(operator, upsert("tickets", id, text=text, who=who, teams=teams))


def upsert(table: str, id: int, **columns: str | None) -> object:
    return {"op": "upsert", "table": table, "key": {"id": id}, "row": {"id": id, **columns}}


def pushed(operator: Reads, *changes: object) -> None:
    lines = b"".join(json.dumps(c).encode() + b"\n" for c in changes)
    sent = operator.lines("/v1/changes/shop", lines)
    assert sent.status_code == 202, sent.text


def long(n: int) -> str:
    return "\n\n".join(f"Part {p} of the long report {n} tells of weather, ships and {n * p}." for p in range(30))


def change_access(headrace: Whole, id: str, access: object) -> str:
    """The token of it."""
    answer = Reads(headrace, OPERATOR).send("PATCH", f"/v1/documents/{id}", {"access": access})
    assert answer.status_code == 202, answer.text
    return answer.json()["token"]


def test_everybody_sees_by_every_way_what_is_for_them(headrace: Whole) -> None:
    assert Reads(headrace, NOBODY).sees() == OPEN
    assert Reads(headrace, ADA).sees() == OPEN | STAFF | ADAS
    assert Reads(headrace, BO).sees() == OPEN | STAFF | HR
    assert Reads(headrace, OPERATOR).sees() == OPEN | STAFF | HR | ADAS | {"shop/tickets/2"}
    where = {"source": "docs", "title": "pa"}
    assert [Reads(headrace, who).found(filter=where) for who in (ADA, BO)] == [set(), HR]


def test_answers_rest_on_what_the_asker_may_read(headrace: Whole) -> None:
    question = "How much is whoever peels turnips paid?"
    text, cited = Reads(headrace, BO).told(question)
    assert "31 crowns" in text
    assert cited == HR
    text, cited = Reads(headrace, ADA).told(question)
    assert "31" not in text
    assert not cited & HR


def test_a_name_without_the_secret_is_refused_everywhere(headrace: Whole) -> None:
    named = {k: v for k, v in BO.items() if k != "X-Headrace-Secret"}
    for headers in (
        named,
        {**BO, "X-Headrace-Secret": SECRET[:-1]},
        {"X-Headrace-Secret": "guess"},
        {**BO, "X-Headrace-Secret": ""},
    ):
        reads = Reads(headrace, headers)
        for path in ("/v1/documents", "/v1/status", "/v1/changes", "/"):
            assert reads.send("GET", path).status_code == 401, path
        assert reads.send("POST", "/v1/search", {"query": "turnips"}).status_code == 401
        with pytest.raises((InvalidStatus, ConnectionClosed)):  # noqa: SIM117
            with connect(f"ws://127.0.0.1:{headrace.port}/ws", additional_headers=headers) as socket:
                socket.recv(timeout=60)
    twice = Reads(headrace, ADA).send("GET", "/v1/documents", headers=[("x-headrace-groups", "hr")])
    assert twice.status_code == 400


def test_others_than_operators_change_nothing_and_ask_as_nobody_else(headrace: Whole) -> None:
    ada = Reads(headrace, ADA)
    for method, path in (
        ("GET", "/v1/status"), ("GET", "/metrics"), ("GET", "/v1/deadletters"), ("POST", "/v1/verify"),
        ("GET", "/v1/profiles"), ("GET", "/v1/profiles/email:bo@example.com"), ("GET", "/v1/log/docs"),
        ("PATCH", "/v1/documents/uploads/ada.md"), ("DELETE", "/v1/documents/uploads/ada.md"),
        ("PUT", "/v1/documents/uploads/x"),
        ("POST", "/v1/documents"), ("POST", "/v1/changes/shop"), ("POST", "/v1/snapshots"),
        ("GET", "/v1/documents/../status"),
    ):  # fmt: skip
        assert ada.send(method, path, {}).status_code in (403, 404), (method, path)
        assert Reads(headrace, NOBODY).send(method, path, {}).status_code in (403, 404), (method, path)
    ask = {"question": "What about turnips?"}
    assert ada.send("POST", "/v1/ask", {**ask, "user": "email:bo@example.com"}).status_code == 403
    assert ada.send("POST", "/v1/ask", {**ask, "user": "email:Ada@example.com"}).status_code == 200
    assert Reads(headrace, NOBODY).send("POST", "/v1/ask", {**ask, "user": "ada@example.com"}).status_code == 403
    assert ada.send("GET", "/v1/documents", headers=[("x-headrace-as-user", "bo@example.com")]).status_code == 403


def test_a_conversation_and_a_run_are_their_users_alone(headrace: Whole) -> None:
    ada, bo = Reads(headrace, ADA), Reads(headrace, BO)
    begun = ada.post("/v1/ask", {"question": "What about turnips?"})["conversation"]
    assert bo.send("POST", "/v1/ask", {"question": "And then?", "conversation": begun}).status_code == 404
    address = f"ws://127.0.0.1:{headrace.port}/ws"
    with connect(address, additional_headers=ADA) as mine, connect(address, additional_headers=BO) as other:
        mine.send(json.dumps({"action": "send", "question": "What about turnips?"}))
        run = json.loads(mine.recv(timeout=120))["run"]
        for action in ("resume", "cancel"):
            other.send(json.dumps({"action": action, "run": run, "seq": 0}))
            refused = json.loads(other.recv(timeout=120))["chunk"]
            assert (refused["type"], refused["problem"]["status"]) == ("error", 404)


def test_what_is_taken_away_is_gone_at_once_while_much_is_being_embedded(headrace: Whole) -> None:
    operator, ada = Reads(headrace, OPERATOR), Reads(headrace, ADA)
    assert "shop/tickets/1" in ada.found()
    talk = ada.post("/v1/ask", {"question": "Was the delivery of turnips late?"})["conversation"]
    then = operator.post("/v1/search", {"query": "turnips"})["token"]

    def total() -> int:
        return headrace.get("/v1/status")["documents"]["total"]

    before = total()

    # When: much of the same source waits to be embedded, and behind it a ticket is taken from her
    waiting = [(n, long(n)) for n in range(QUEUED)]
    pushed(operator, *(upsert("reports", n, text=text) for n, text in waiting), upsert("tickets", 1, **BOS))

    # Then: it is gone while nearly all of that is still to come.
    until(lambda: ada.document("shop/tickets/1") == 404, "it is gone", pause_s=0.01)
    assert total() < before + QUEUED / 2, "only when much was embedded"
    for _ in range(3):
        assert "shop/tickets/1" not in ada.met() | ada.met(as_of=then)
        assert "shop/tickets/1" not in {
            d["id"] for d in ada.send("GET", "/v1/documents", limit="1000").json()["documents"]
        }
        assert not ada.told("Was the delivery of turnips late?", conversation=talk)[1] & {"shop/tickets/1"}
    given = "shop/tickets/1" in Reads(headrace, BO).met()
    assert not given or total() == before + QUEUED, "only with its own version"

    # And once it is applied its new owner reads it.
    headrace.settle()
    assert "shop/tickets/1" in Reads(headrace, BO).found()
    assert "shop/tickets/1" not in ada.found()
    pushed(operator, *({"op": "delete", "table": "reports", "key": {"id": n}} for n in range(QUEUED)))
    ticket(operator, 1, "the turnips were late", who="ada@example.com", teams=None)
    headrace.settle()


def test_an_upload_changes_hands_without_being_read_again(headrace: Whole) -> None:
    ada, bo = Reads(headrace, ADA), Reads(headrace, BO)
    for access, hers, his in (
        ({"groups": ["hr"]}, False, True),
        ({"owner": "ada@example.com", "groups": ["hr"]}, True, True),
        ({}, False, False),
        (None, True, True),
        ({"owner": "ada@example.com"}, True, False),
    ):
        token = change_access(headrace, "uploads/ada.md", access)
        found = [("uploads/ada.md" in who.found(after=token, wait_ms=60_000)) for who in (ada, bo)]
        assert found == [hers, his], access
        assert [who.document("uploads/ada.md") for who in (ada, bo)] == [200 if x else 404 for x in (hers, his)]


def test_rows_follow_their_columns(headrace: Whole) -> None:
    operator, ada = Reads(headrace, OPERATOR), Reads(headrace, ADA)
    for who, teams, seen in (
        (None, "staff, others", True), (None, '["hr"]', False), (None, "*", True), ("bo@example.com", "", False),
        (None, '["staff"', False), ("ada@example.com", None, True),
    ):  # fmt: skip
        ticket(operator, 1, "the turnips were late", who=who, teams=teams)
        headrace.settle()
        assert ("shop/tickets/1" in ada.listed()) is seen, (who, teams)
    assert headrace.letters() == []


def test_watchers_are_told_of_what_they_may_read_and_of_no_columns(headrace: Whole) -> None:
    with (
        httpx2.stream("GET", f"http://127.0.0.1:{headrace.port}/v1/changes", headers=ADA, timeout=120) as hers,
        httpx2.stream(
            "GET", f"http://127.0.0.1:{headrace.port}/v1/changes", headers=OPERATOR, timeout=120
        ) as all_of_it,
    ):
        lines, others = hers.iter_lines(), all_of_it.iter_lines()
        assert next(lines) == next(others) == ": the changes as they are applied"
        operator = Reads(headrace, OPERATOR)
        ticket(operator, 2, "the turnips were green", who=None, teams="hr")
        ticket(operator, 1, "the turnips were early", who="ada@example.com", teams=None)
        first = next(json.loads(x[6:]) for x in lines if x.startswith("data: "))
        whole_of_it = [json.loads(next(x for x in others if x.startswith("data: "))[6:]) for _ in range(2)]
    assert (first["document"], first["changed"]) == ("shop/tickets/1", {})
    assert [e["document"] for e in whole_of_it] == ["shop/tickets/2", "shop/tickets/1"]
    assert whole_of_it[1]["changed"]["text"][1] == "the turnips were early"
    ticket(operator, 2, "the turnips were blue", who=None, teams="[]")
    headrace.settle()


def test_other_frameworks_read_as_who_asks_through_them(headrace: Whole) -> None:
    for who, seen in ((ADA, OPEN | STAFF | ADAS), (BO, OPEN | STAFF | HR), (NOBODY, OPEN)):
        search = Search(f"http://127.0.0.1:{headrace.port}", k=50, headers=who)
        assert {p.metadata["document"] for p in search.now("turnips")} == seen


def test_each_file_of_a_form_is_for_whom_its_fields_name(headrace: Whole) -> None:
    parts = [
        ("source", (None, "uploads")), ("owner", (None, "ada@example.com")), ("file", ("one.md", b"One of turnips.")),
        ("groups", (None, "hr, staff")), ("file", ("two.md", b"Two of turnips.")),
        ("file", ("three.md", b"Three of them.")),
    ]  # fmt: skip
    url = f"http://127.0.0.1:{headrace.port}/v1/documents"
    sent = httpx2.post(url, files=parts, headers=OPERATOR, timeout=120)
    assert sent.status_code == 202, sent.text
    headrace.settle()
    ids = [f"uploads/{name}.md" for name in ("one", "two", "three")]
    seen = [[Reads(headrace, who).document(id) == 200 for id in ids] for who in (ADA, BO, NOBODY)]
    assert seen == [[True, True, True], [False, True, True], [False, False, True]]
    # What is put in their places stays for whom they were.
    sent = httpx2.put(f"{url}/uploads/one.md", headers=OPERATOR, content=b"Another one.", timeout=120)
    assert sent.status_code == 202, sent.text
    headrace.settle()
    assert [Reads(headrace, who).document(ids[0]) for who in (ADA, BO)] == [200, 404]
    for id in ids:
        Reads(headrace, OPERATOR).send("DELETE", f"/v1/documents/{id}")
    headrace.settle()


def test_an_operator_sees_what_somebody_sees(headrace: Whole) -> None:
    found = headrace.command("search", "turnips", "-k", "50", "--json", "--as", "ada@example.com")
    assert {r["document"] for r in found.json["results"]} == OPEN | ADAS
    listed = headrace.command("documents", "--json", "--groups", "hr")
    assert {d["id"] for d in listed.json["documents"]} == OPEN | HR


def test_a_rule_that_changes_counts_from_the_start_on_and_makes_nothing_anew(headrace: Whole) -> None:
    assert headrace.command("verify", "--json").json["equal"]
    with psycopg.connect(headrace.store) as connection:
        before = connection.execute("select max(chunk_id), count(*) from chunks").fetchall()
    headrace.stop()
    headrace.configure(SETTINGS.format(hr="board"))
    headrace.start()
    headrace.settle()

    assert Reads(headrace, BO).sees() == OPEN | STAFF
    assert Reads(headrace, {**BO, "X-Headrace-Groups": "board"}).sees() == OPEN | HR
    with psycopg.connect(headrace.store) as connection:
        assert connection.execute("select max(chunk_id), count(*) from chunks").fetchall() == before
    assert headrace.command("verify", "--json").json["equal"]


def test_without_identity_all_is_open_and_columns_that_are_new_hide_rows_until_they_are_rendered(
    tmp_path: Path,
) -> None:
    plain = SOURCES.format(hr="hr").replace('owner = "who"\ngroups = "teams"\n', "")
    (tmp_path / "docs").mkdir()
    with whole(tmp_path, plain) as made:
        everybody = Reads(made, NOBODY)
        ticket(everybody, 1, "the turnips were late", who="ada", teams=None)
        ticket(everybody, 2, "the turnips were red", who=None, teams=None)
        made.settle()
        both = {"shop/tickets/1", "shop/tickets/2"}
        assert everybody.found() == both
        as_ada = Reads(made, {"X-Headrace-As-User": "ada"})
        assert as_ada.found() == both

        made.stop()
        made.configure(SOURCES.format(hr="hr"))
        made.start()
        assert as_ada.found() <= {"shop/tickets/1"}
        until(lambda: as_ada.found() == {"shop/tickets/1"}, "it is known whom it is for", made.told)
        assert everybody.found() == both
        assert made.command("verify", "--json").json["equal"]
