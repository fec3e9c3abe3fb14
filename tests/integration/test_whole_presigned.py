"""Uploads that are put to an object store by their client, and fetched from there: found, refused, never twice."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from headrace.client import running
from headrace.clock import now_us
from headrace.config import load
from headrace.diagnosis import examine
from headrace.findings import Finding, Level
from headrace.folder import own_key
from headrace.ticket import KEY_BYTES, Ticket, Tickets
from headrace.uploading import How, files_of, upload_files
from tests.object_store import BUCKET, ENVIRONMENT, ObjectServer, Way
from tests.uploading import SETTINGS, Answer, digest, registry, upload, verified
from tests.whole import Whole, whole

LIMIT = 3_000_000
JSON = {"content-type": "application/json"}
BO = {"X-Headrace-As-User": "bo@example.com"}
ADA = {"X-Headrace-As-User": "ada@example.com"}
SIGNATURE = "X-Amz-Signature"


@dataclass(frozen=True, slots=True)
class Here:
    """A Headrace, its object store, and the way that it has there: clients have another one."""

    headrace: Whole
    settings: str
    store: ObjectServer
    way: Way

    def post(self, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
        url = f"http://127.0.0.1:{self.headrace.port}{path}"
        content = b"" if body is None else json.dumps(body).encode()
        response = httpx2.post(url, content=content, headers={**JSON, **(headers or {})}, timeout=120)
        return Answer(response.status_code, response.json(), response.headers)

    def announce(self, name: str, size: int, **more: object) -> Answer:
        return self.post("/v1/documents/presigned", {"name": name, "size": size, **more})

    def signed(self, name: str, size: int, **more: object) -> Any:
        answer = self.announce(name, size, **more)
        assert answer.status == 201, answer.body
        return answer.body

    def sent(self, name: str, data: bytes, **more: object) -> Any:
        """Announced and put, not completed."""
        target = self.signed(name, len(data), **more)
        put(target, data)
        return target


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    folder = tmp_path_factory.mktemp("presigned")
    store = ObjectServer(folder / "moto.log")
    way = Way(store.port)
    address = f"s3://{BUCKET}/in?region=us-east-1&endpoint={way.url}&public_endpoint={store.url}"
    settings = f'{SETTINGS}max_bytes = {LIMIT}\n[uploads]\nobject_store = "{address}"\nmin_bytes = 1000\n'
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in ENVIRONMENT.items():
                patch.setenv(name, value)
            with whole(folder, settings) as headrace:
                yield Here(headrace, settings, store, way)
    finally:
        way.end()
        store.close()


def put(target: Any, data: bytes) -> None:
    headers = {name: value for name, value in target["headers"].items() if name != "content-length"}
    assert httpx2.put(target["url"], headers=headers, content=data, timeout=120).status_code == 200


def words() -> str:
    """One that no other document has."""
    return "w" + secrets.token_hex(6)


# ---- the way of an upload --------------------------------------------------------------------------------------------


def test_what_was_put_is_found_once_it_is_completed(here: Here) -> None:
    word = words()
    data = f"# Tides\n\nThe word is {word}.\n\n".encode() + b"Filler. " * 200_000

    target = here.signed("big/tides.md", len(data), title="Tide tables", content_hash=digest(data))

    assert target["method"] == "PUT"
    assert target["url"].startswith(f"{here.store.url}/{BUCKET}/in/")
    assert target["headers"]["content-length"] == str(len(data))
    assert here.headrace.document("uploads/big/tides.md") is None
    put(target, data)
    answer = here.post(target["complete"])
    assert answer.outcomes == {"uploads/big/tides.md": "created"}
    [document] = answer.body["documents"]
    assert (document["size"], document["content_hash"]) == (len(data), digest(data))
    assert set(answer.body) == set(upload(here.headrace, "big/direct.md", b"direct").body)
    assert word in here.headrace.texts(word, after=answer.body["token"], wait_ms=60_000)[0]
    assert here.headrace.document("uploads/big/tides.md")["title"] == "Tide tables"
    assert here.store.keys() == []


def test_an_empty_file_and_one_with_a_type_of_its_own_are_taken(here: Here) -> None:
    for name, data, kind in (("empty.txt", b"", "text/plain; charset=utf-8"), ("some.pdf", b"text", "application/pdf")):
        target = here.sent(name, data, content_type=kind)

        assert target["headers"]["content-type"] == kind
        assert here.post(target["complete"]).outcomes == {f"uploads/{name}": "created"}


def test_completed_again_it_is_answered_the_same_and_nothing_is_written(here: Here) -> None:
    target = here.sent("twice.md", b"The same answer.")
    first = here.post(target["complete"])
    log = here.headrace.lines("/v1/log/uploads")

    assert here.post(target["complete"]).body == first.body
    # also when the document is another one, or gone, since then
    upload(here.headrace, "twice.md", b"Another one.", replace="true")
    assert here.post(target["complete"] + "?replace=true").body == first.body
    assert here.headrace.lines("/v1/log/uploads")[: len(log)] == log
    assert len(here.headrace.lines("/v1/log/uploads")) == len(log) + 1
    assert here.headrace.document("uploads/twice.md", after=here.headrace.token(), wait_ms=60_000)["text"] == (
        "Another one."
    )


def test_completed_by_several_at_once_it_is_one_version(here: Here) -> None:
    target = here.sent("race.md", b"Only once. " * 100_000)
    before = len(here.headrace.lines("/v1/log/uploads"))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(here.post, [target["complete"]] * 8))

    assert [a.status for a in answers] == [202] * 8
    assert all(a.body == answers[0].body for a in answers)
    assert len(here.headrace.lines("/v1/log/uploads")) == before + 1


def test_a_name_that_is_taken_is_told_before_anything_is_sent_or_replaced_when_asked(here: Here) -> None:
    upload(here.headrace, "taken.md", b"before")

    assert here.announce("taken.md", 5).status == 409
    assert here.announce("taken.md", 6, content_hash=digest(b"behind")).status == 409
    # of the same length it may be the same content
    same = here.sent("taken.md", b"before")
    assert here.post(same["complete"]).outcomes == {"uploads/taken.md": "unchanged"}
    other = here.sent("taken.md", b"behind")
    refused = here.post(other["complete"])
    assert (refused.status, refused.body["title"]) == (409, "A document of this name is there already")
    assert here.post(other["complete"] + "?replace=true").outcomes == {"uploads/taken.md": "replaced"}
    assert here.post(here.sent("taken.md", b"third", replace=True)["complete"]).outcomes == {
        "uploads/taken.md": "replaced"
    }


def test_whom_it_is_for_is_kept(here: Here) -> None:
    word = words()
    target = here.sent("adas.md", f"The {word} is Ada's.".encode(), owner="ada@example.com", groups=["legal"])

    token = here.post(target["complete"]).body["token"]

    asked = {"query": word, "after": token, "wait_ms": 60_000, "filter": {"document_prefix": "uploads/adas.md"}}
    for reader, found in ((ADA, 1), (BO, 0), ({**BO, "X-Headrace-As-Groups": "legal"}, 1)):
        assert len(here.post("/v1/search", asked, reader).body["results"]) == found


def test_what_is_said_of_its_metadata_is_kept(here: Here, tmp_path: Path) -> None:
    word = words()
    target = here.sent("dues.md", f"The {word} is due.".encode(), metadata={"dept": "tax", "year": 2026})
    token = here.post(target["complete"]).body["token"]
    for year, found in ((2026, 1), (2025, 0)):
        asked = {"query": word, "after": token, "wait_ms": 60_000, "filter": {"metadata": {"year": year}}}
        assert len(here.post("/v1/search", asked).body["results"]) == found
    # What cannot be metadata is refused before anything is sent,
    refused = {"name": "a.md", "size": 3, "metadata": {"a": {"b": 1}}}
    assert here.post("/v1/documents/presigned", refused).status == 400
    # and the command says the same by this way.
    large = tmp_path / "large.md"
    large.write_text(f"{word} " * 1000, encoding="utf-8")
    before = here.store.puts()
    done = here.headrace.command("upload", str(large), "--metadata", "dept=law", "--json")
    assert here.store.puts() == before + 1
    assert here.headrace.document(done.json["documents"][0]["id"])["metadata"] == {"dept": "law"}


def test_who_may_not_upload_may_not_by_this_way_either(here: Here) -> None:
    target = here.sent("notbo.md", b"x")

    assert here.post("/v1/documents/presigned", {"name": "a.md", "size": 1}, BO).status == 403
    assert here.post(target["complete"], headers=BO).status == 403


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"name": "../up.md", "size": 1}, 400),
        ({"name": "a.md", "size": LIMIT + 1}, 413),
        ({"name": "a.md", "size": 1, "content_hash": "md5:1"}, 400),
        ({"name": "a.md", "size": 1, "content_type": "text/html\r\nx: y"}, 400),
        ({"name": "a.md", "size": 1, "time": "yesterday"}, 400),
        ({"name": "a.md", "size": 1, "owner": "a\u0007"}, 400),
        ({"name": "a.md", "size": 1, "title": "t" * 1001}, 400),
        ({"name": "a.md", "size": 1, "source": "nowhere"}, 400),
        ({"name": "a.md", "size": -1}, 422),
        ({"name": "a.md"}, 422),
        ({"name": "a.md", "size": 1, "path": "b.md"}, 422),
    ],
)
def test_what_cannot_be_taken_is_refused_before_anything_is_sent(
    here: Here, said: dict[str, object], status: int
) -> None:
    answer = here.post("/v1/documents/presigned", said)

    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert all(answer.body[part] for part in ("step", "expected", "got", "remedy"))
    assert "url" not in answer.body


def test_before_it_is_there_it_cannot_be_completed_and_then_it_can(here: Here) -> None:
    target = here.signed("later.md", 5)

    early = here.post(target["complete"])

    assert (early.status, early.body["title"]) == (409, "Not uploaded yet")
    assert "PUT it" in early.body["remedy"]
    put(target, b"later")
    assert here.post(target["complete"]).status == 202


def test_another_content_than_was_announced_is_not_taken(here: Here) -> None:
    """Amazon refuses to store it; moto does not look at what is signed."""
    data = b"as announced"
    target = here.signed("wrong.md", len(data), content_hash=digest(data))

    for wrong in (b"longer than announced", b"short", b"", b"AS ANNOUNCED"):
        here.store.client.put_object(Bucket=BUCKET, Key=target["url"].split(f"{BUCKET}/")[1].split("?")[0], Body=wrong)
        answer = here.post(target["complete"])
        assert (answer.status, answer.body["title"]) == (422, "Another content than was announced")
        assert registry(here.headrace, prefix="uploads/wrong.md") == []
    put(target, data)
    assert here.post(target["complete"]).outcomes == {"uploads/wrong.md": "created"}


def test_a_ticket_that_was_changed_or_is_over_is_refused(here: Here) -> None:
    target = here.sent("late.md", b"late")
    path, _, written = target["complete"].rpartition("/")
    tickets = Tickets(own_key(here.headrace.data, "tickets.key", KEY_BYTES))
    over = Ticket(tickets.read(written, 0).object, now_us(), "uploads", "late.md", 4)

    assert here.post(f"{path}/{written[:-1]}{'A' if written[-1] != 'A' else 'B'}").status == 400
    assert here.post(f"{path}/{written.swapcase()}").status == 400
    expired = here.post(f"{path}/{tickets.write(over)}")
    assert (expired.status, expired.body["title"]) == (410, "The ticket has expired")
    assert here.post(target["complete"]).status == 202


def test_while_the_store_is_away_nothing_is_lost(here: Here) -> None:
    target = here.sent("patience.md", b"Patience.")

    with here.way.closed():
        away = here.post(target["complete"])

    assert (away.status, away.body["title"]) == (503, "The object store is not available")
    assert away.headers["retry-after"]
    assert registry(here.headrace, prefix="uploads/patience.md") == []
    assert here.post(target["complete"]).outcomes == {"uploads/patience.md": "created"}


def test_what_the_store_refuses_is_told(here: Here) -> None:
    target = here.sent("nobucket.md", b"x")

    with here.store.without_bucket():
        refused = here.post(target["complete"])

    assert (refused.status, refused.body["title"]) == (502, "The object store refuses")
    assert "NoSuchBucket" in refused.body["got"]
    assert "headrace doctor" in refused.body["remedy"]


# ---- from outside ----------------------------------------------------------------------------------------------------


def test_the_status_and_the_page_know_of_the_store(here: Here) -> None:
    assert here.headrace.source("uploads")["uploads"]["presigned"] == {"min_bytes": 1000}
    page = httpx2.get(f"http://127.0.0.1:{here.headrace.port}/")
    assert f"connect-src 'self' {here.store.url};" in page.headers.get("content-security-policy", "")


def test_the_command_puts_large_files_there_and_small_ones_not(here: Here, tmp_path: Path) -> None:
    small, large = tmp_path / "small.txt", tmp_path / "large.txt"
    small.write_bytes(b"s" * 999)
    large.write_bytes(b"l" * 100_000)
    before = here.store.puts()

    done = here.headrace.command("upload", str(small), str(large), "--owner", "ada@example.com", "--json")

    assert {d["id"]: d["stage"] for d in done.json["documents"]} == {
        "uploads/small.txt": "ready", "uploads/large.txt": "ready",
    }  # fmt: skip
    assert here.store.puts() == before + 1
    assert SIGNATURE not in done.out + done.err


async def test_the_command_goes_through_headrace_where_the_store_takes_nothing(here: Here, tmp_path: Path) -> None:
    file = tmp_path / "round.txt"
    file.write_bytes(b"r" * 5000)

    with here.store.without_bucket():
        async with running(load(here.headrace.config)) as client:
            how = How("uploads", replace=True, wait=True)
            sent = await upload_files(client, files_of([file], ""), how, told=str)

    assert [(d["id"], d["stage"]) for d in sent.documents] == [("uploads/round.txt", "ready")]
    assert sent.through == [("round.txt", "404")]
    assert SIGNATURE not in str(sent)


async def examined(here: Here) -> dict[str, Finding]:
    """What the doctor finds of uploads, by what it looked at."""
    return {f.check: f for f in (await examine(load(here.headrace.config)))["uploads"]}


async def test_the_doctor_tries_what_is_needed(here: Here) -> None:
    before = here.store.keys()

    found = await examined(here)

    assert [found[check].level for check in ("put", "get", "delete", "absence")] == [Level.OK] * 4
    assert found[f"CORS for http://127.0.0.1:{here.headrace.port}"].level is Level.OK
    assert found["lifecycle"].level is Level.NOTE
    assert SIGNATURE not in str(found)
    assert here.store.keys() == before
    with here.way.closed():
        [problem] = (await examined(here)).values()
    assert (problem.level, bool(problem.remedy)) == (Level.ERROR, True)
    with here.store.without_bucket():
        [problem] = (await examined(here)).values()
    assert "NoSuchBucket" in problem.got


def test_all_of_it_is_as_it_should_be_after_a_restart(here: Here) -> None:
    """A ticket is good after it, answered or not; nothing that was signed stands in any log."""
    done, open_one = here.sent("done.md", b"done"), here.sent("open.md", b"open")
    first = here.post(done["complete"])
    before = here.store.keys()
    cut = here.sent("cut.md", b"Cut off. " * 300_000)

    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(here.post, cut["complete"])
        here.headrace.kill()
        with contextlib.suppress(httpx2.TransportError):
            assert under_way.result().status == 202
    here.headrace.configure(here.settings + "keep_objects = true\n")
    here.headrace.start()

    assert here.post(done["complete"]).body == first.body
    assert here.post(open_one["complete"]).outcomes == {"uploads/open.md": "created"}
    assert here.post(cut["complete"]).outcomes == {"uploads/cut.md": "created"}
    assert here.post(cut["complete"]).status == 202
    changes = [change["key"] for change in here.headrace.lines("/v1/log/uploads")]
    assert sum("cut.md" in str(key) for key in changes) == 1  # taken in once, wherever it was cut off
    assert set(here.store.keys()) >= set(before)  # by the setting
    here.headrace.settle()
    report = verified(here.headrace)
    assert report["equal"], report
    assert SIGNATURE not in here.headrace.output.read_text("utf-8", "replace")
