"""Documents uploaded into a running Headrace: found, replaced, renamed, deleted exactly, and seen in the registry."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from tests import documents as make
from tests.uploading import SETTINGS, delete, digest, patch, put, registry, send, upload, upload_form, verified
from tests.whole import Whole, until, whole

LIMIT = 1_000_000
KEY = '[[sources]]\nname = "private"\nurl = "upload:"\n[sources.redact]\n'


@pytest.fixture(scope="module")
def headrace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    folder = tmp_path_factory.mktemp("uploads")
    (folder / "docs").mkdir()
    (folder / "docs" / "file.md").write_text("# A file\n\nFrom a folder.")
    other = f'max_bytes = {LIMIT}\n[[sources]]\nname = "folder"\nurl = "file://./docs"\n{KEY}'
    with whole(folder, SETTINGS + other) as running:
        yield running


def form(headrace: Whole, files: list[tuple[str, bytes]], **fields: str) -> Any:
    return upload_form(headrace, files, source="uploads", **fields)


def put_one(headrace: Whole, name: str, data: bytes, **params: str) -> Any:
    return upload(headrace, name, data, source="uploads", **params)


def row(headrace: Whole, id: str) -> Any:
    return next((r for r in registry(headrace, q=id) if r["id"] == id), None)


def at_stage(headrace: Whole, id: str, stage: str) -> Any:
    def reached() -> bool:
        found = row(headrace, id)
        return found is not None and found["stage"] == stage

    until(reached, f"{id} is {stage}", headrace.told)
    return row(headrace, id)


def vectors(headrace: Whole) -> int:
    """How many were ever made for what stands in the store: those of equal texts are equal."""
    with psycopg.connect(headrace.store) as connection:
        found = connection.execute("select count(distinct text_hash) from chunks").fetchone()
    assert found is not None
    return int(found[0])


# ---- the way of an upload --------------------------------------------------------------------------------------------


def test_a_form_with_several_files_is_found_after_its_token(headrace: Whole) -> None:
    paper = make.pdf(["The lighthouse on the cape is lit from dusk to dawn."])

    answer = form(headrace, [("form/lamp.md", b"# Lamps\n\nThe green lamp hums."), ("form/cape.pdf", paper)])

    assert answer.outcomes == {"uploads/form/lamp.md": "created", "uploads/form/cape.pdf": "created"}
    token = answer.body["token"]
    assert "green lamp" in headrace.texts("what hums", after=token, wait_ms=60_000)[0]
    assert "lighthouse" in headrace.texts("when is the lighthouse lit", after=token)[0]
    shown = row(headrace, "uploads/form/cape.pdf")
    assert (shown["stage"], shown["media"], shown["size"]) == ("ready", "application/pdf", len(paper))
    assert shown["content_hash"] == digest(paper)
    assert (shown["chunks"], shown["uploaded"], shown["searchable"], shown["error"]) == (1, True, True, None)
    assert headrace.document("uploads/form/cape.pdf")["text"].strip().startswith("The lighthouse")


def test_what_is_wrong_with_one_file_does_not_keep_the_others_out(headrace: Whole) -> None:
    put_one(headrace, "mixed/there.md", b"before")
    files = [
        ("../up.md", b"x"),
        ("mixed/big.bin", b"x" * (LIMIT + 1)),
        ("mixed/there.md", b"after"),
        ("mixed/a.md", b"A"),
    ]

    answer = form(headrace, files)

    assert answer.outcomes == {"uploads/mixed/a.md": "created"}
    refused = {r["file"]: r["status"] for r in answer.body["rejected"]}
    assert refused == {"../up.md": 400, "mixed/big.bin": 413, "mixed/there.md": 409}
    assert all(r["expected"] and r["got"] and r["remedy"] for r in answer.body["rejected"])
    assert form(headrace, files[2:3], replace="true").outcomes == {"uploads/mixed/there.md": "replaced"}
    assert form(headrace, files[1:2]).status == 413


def test_fields_of_a_form_are_of_what_follows(headrace: Whole) -> None:
    parts: list[tuple[str, Any]] = [
        ("source", (None, "uploads")), ("name", (None, "named/one.txt")), ("title", (None, "The first")),
        ("file", ("1.txt", b"The one word is walrus.")), ("file", ("named-two.txt", b"Two.")),
        ("source", (None, "private")), ("file", ("named-three.txt", b"The three word is walrus.")),
    ]  # fmt: skip

    answer = httpx2.post(f"http://127.0.0.1:{headrace.port}/v1/documents", files=parts, timeout=120).json()

    ids = [d["id"] for d in answer["documents"]]
    assert ids == ["uploads/named/one.txt", "uploads/named-two.txt", "private/named-three.txt"]
    assert (
        len(
            headrace.texts(
                "walrus", after=answer["token"], wait_ms=60_000, filter={"source": "private", "document_prefix": ids[2]}
            )
        )
        == 1
    )
    assert headrace.document(ids[0])["title"] == "The first"
    assert headrace.document(ids[1])["title"] == "named two"


def test_the_same_again_is_no_new_version(headrace: Whole) -> None:
    first = put_one(headrace, "same.md", b"The same text.")
    before = headrace.lines("/v1/log/uploads")

    again = put_one(headrace, "same.md", b"The same text.")

    assert again.outcomes == {"uploads/same.md": "unchanged"}
    assert again.body["token"] == first.body["token"]
    assert put(headrace, "uploads/same.md", b"The same text.").body["outcome"] == "unchanged"
    assert headrace.lines("/v1/log/uploads") == before


def test_a_replacement_is_seen_whole_and_a_condition_is_kept(headrace: Whole) -> None:
    put_one(headrace, "swap.md", b"The bridge is closed.", title="Bridges")
    before = digest(b"The bridge is closed.")

    assert put(headrace, "uploads/swap.md", b"x", headers={"if-match": '"sha256:0"'}).status == 412
    assert put(headrace, "uploads/swap.md", b"x", headers={"if-none-match": "*"}).status == 412
    done = put(headrace, "uploads/swap.md", b"The bridge is open.", headers={"if-match": f'"{before}"'})

    assert (done.status, done.body["outcome"], done.headers["etag"]) == (
        202, "replaced", f'"{digest(b"The bridge is open.")}"',
    )  # fmt: skip
    found = headrace.texts("bridge", after=done.body["token"], filter={"document_prefix": "uploads/swap"})
    assert found == ["The bridge is open."]
    assert headrace.document("uploads/swap.md")["title"] == "Bridges"


def test_title_and_time_are_what_filters_go_by(headrace: Whole) -> None:
    said = put_one(headrace, "said.txt", b"Minutes of a meeting.", title="Harbour board", time="2019-05-01T00:00:00Z")
    where = {"title": "harbour BOARD", "since": "2019-04-30T00:00:00Z", "until": "2019-05-02T00:00:00Z"}

    assert headrace.texts("minutes", after=said.body["token"], filter=where) == ["Minutes of a meeting."]

    other = patch(headrace, "uploads/said.txt", title="Market board", time="")
    assert other.body["outcome"] == "described"
    assert headrace.texts("minutes", after=other.body["token"], filter={"title": "harbour"}) == []
    now = headrace.document("uploads/said.txt")
    assert (now["title"], now["dated"]) == ("Market board", None)
    assert patch(headrace, "uploads/said.txt", title="Market board").body["outcome"] == "unchanged"


def test_a_rename_makes_no_vector_anew(headrace: Whole) -> None:
    first = put_one(headrace, "old name.txt", b"Plain words without a heading, about kelp.")
    headrace.search("kelp", after=first.body["token"])
    made = vectors(headrace)

    done = patch(headrace, "uploads/old name.txt", name="renamed/new name.txt")

    assert done.body["outcome"] == "renamed"
    results = headrace.search("kelp", after=done.body["token"], k=1)["results"]
    assert results[0]["document"] == "uploads/renamed/new name.txt"
    assert headrace.document("uploads/old name.txt") is None
    assert vectors(headrace) == made
    assert patch(headrace, "uploads/old name.txt", name="x").status == 404


def test_a_deleted_document_is_gone_with_its_token(headrace: Whole) -> None:
    put_one(headrace, "gone.md", b"The otter sleeps at noon.")

    assert delete(headrace, "uploads/gone.md", headers={"if-match": '"other"'}).status == 412
    gone = delete(headrace, "uploads/gone.md")

    assert (gone.status, gone.body["outcome"], gone.body["document"]) == (202, "deleted", None)
    assert headrace.texts("otter", after=gone.body["token"], filter={"document_prefix": "uploads/gone"}) == []
    assert headrace.document("uploads/gone.md", after=gone.body["token"]) is None
    assert delete(headrace, "uploads/gone.md").status == 404
    with psycopg.connect(headrace.store) as connection:
        kept = connection.execute("select from log_state where key = %s", ["b:" + digest(b"The otter sleeps at noon.")])
        assert kept.rowcount == 0


def test_documents_of_other_sources_are_changed_there(headrace: Whole) -> None:
    for answer in (delete(headrace, "folder/file.md"), put(headrace, "folder/new.md", b"x"), delete(headrace, "no/x")):
        assert answer.status == 404
        assert answer.body["remedy"]
    assert upload(headrace, "a.md", b"x").status == 400  # two sources of uploads: one is to be named
    assert upload(headrace, "a.md", b"x", source="folder").status == 400


def test_what_a_source_hides_is_hidden_in_uploads_too(headrace: Whole) -> None:
    text = b"Write to ada@example.com about the tide tables."

    done = upload(headrace, "mail.txt", text, source="private", title="Ada, ada@example.com")

    headrace.search("tide", after=done.body["token"])
    shown = headrace.document("private/mail.txt")
    assert "[EMAIL]" in shown["text"]
    assert "ada@example.com" not in json.dumps([shown, registry(headrace, source="private")])


# ---- the registry ----------------------------------------------------------------------------------------------------


def test_what_cannot_be_read_is_failed_with_the_reason_and_can_be_retried_and_replaced(headrace: Whole) -> None:
    put_one(headrace, "bad.pdf", b"%PDF-1.7 but no more")

    shown = at_stage(headrace, "uploads/bad.pdf", "failed")

    assert shown["error"].keys() == {"step", "expected", "got", "remedy"}
    assert not shown["searchable"]
    again = headrace.post(f"/v1/deadletters/{shown['dead_letter']}/retry")
    assert again["settled"] is False
    assert [r["id"] for r in registry(headrace, stage="failed", q="bad.pdf")] == ["uploads/bad.pdf"]
    put(headrace, "uploads/bad.pdf", make.pdf(["Now it is good."]))
    good = at_stage(headrace, "uploads/bad.pdf", "ready")
    assert (good["error"], good["dead_letter"]) == (None, None)
    assert registry(headrace, stage="failed", q="bad.pdf") == []


def test_the_registry_is_paged_and_filtered(headrace: Whole) -> None:
    names = [f"page/{n:02}.md" for n in range(25)]
    done = form(headrace, [(name, f"# Page {name}\n\nText.".encode()) for name in names])
    headrace.search("page", after=done.body["token"])

    pages = registry(headrace, q="uploads/PAGE/", limit="7")

    assert [r["name"] for r in pages] == names
    assert [r["id"] for r in registry(headrace, source="folder")] == ["folder/file.md"]
    assert all(r["stage"] == "ready" for r in registry(headrace, stage="ready"))
    assert registry(headrace, q="Page page/07")[0]["name"] == "page/07.md"
    assert [r["name"] for r in registry(headrace, prefix="uploads/page/1", limit="3")] == names[10:20]
    assert registry(headrace, prefix="uploads/page/07.md")[0]["title"] == "Page page/07.md"
    lines = headrace.documents(source="uploads")
    assert set(lines) == {r["id"] for r in registry(headrace, source="uploads")}
    assert send(headrace, "GET", "", params={"cursor": "!"}).status == 400
    assert send(headrace, "GET", "", params={"stage": "lost"}).status == 422


def test_what_is_on_its_way_is_in_the_registry_at_its_stage(headrace: Whole) -> None:
    # given an index that can be read and, for now, not be written
    first = put_one(headrace, "way/old.md", b"# Old\n\nIt stands.")
    headrace.search("old", after=first.body["token"])
    with psycopg.connect(headrace.store) as connection:
        connection.execute("lock table document_versions in share mode")
        # when documents are uploaded
        put_one(headrace, "way/a.md", b"# New\n\nIt comes.")
        shown = at_stage(headrace, "uploads/way/a.md", "embedded")
        put_one(headrace, "way/b.md", b"# Later\n\nIt waits.")
        put(headrace, "uploads/way/old.md", b"# Old\n\nIt will be another.")
        gone = put_one(headrace, "way/gone.md", b"x")
        delete(headrace, "uploads/way/gone.md")
        # then each is there, at its stage, and what it replaces is still found
        assert (shown["chunks"], shown["searchable"], shown["title"]) == (0, False, None)
        rows = {r["name"]: r for r in registry(headrace, q="uploads/way/", limit="1")}
        assert {name: (r["stage"], r["searchable"]) for name, r in rows.items()} == {
            "way/a.md": ("embedded", False), "way/b.md": ("received", False), "way/old.md": ("received", True),
        }  # fmt: skip
        received = registry(headrace, stage="received", limit="1")
        assert [(r["name"], r["chunks"]) for r in received] == [("way/b.md", 0), ("way/old.md", 1)]
        assert "way/old.md" not in {r["name"] for r in registry(headrace, stage="ready")}
        assert headrace.document("uploads/way/b.md", wait_ms=0)["stage"] == "received"
        assert headrace.get("/v1/status")["documents"]["by_stage"]["received"] == 2
        assert headrace.texts("old", filter={"document_prefix": "uploads/way/old"}) == ["# Old\n\nIt stands."]
    # and in the end all is ready
    headrace.settle()
    assert {r["name"]: r["stage"] for r in registry(headrace, q="uploads/way/")} == {
        "way/a.md": "ready", "way/b.md": "ready", "way/old.md": "ready",
    }  # fmt: skip
    assert headrace.document("uploads/way/gone.md", after=gone.body["token"]) is None
    assert headrace.get("/v1/status")["documents"]["by_stage"].keys() == {"ready", "failed"}


# ---- what is hostile -------------------------------------------------------------------------------------------------


def test_a_bomb_costs_one_dead_letter(headrace: Whole) -> None:
    put_one(headrace, "bomb.zip", make.zipped({"zeros": b" " * (40 << 20)}))
    put_one(headrace, "behind.md", b"It comes all the same.")

    assert "packed in" in at_stage(headrace, "uploads/bomb.zip", "failed")["error"]["got"]
    at_stage(headrace, "uploads/behind.md", "ready")


def test_an_empty_file_is_an_empty_document(headrace: Whole) -> None:
    put_one(headrace, "empty.txt", b"")

    shown = at_stage(headrace, "uploads/empty.txt", "ready")
    assert (shown["size"], shown["chunks"]) == (0, 0)


def test_a_content_type_decides_nothing(headrace: Whole) -> None:
    url = f"http://127.0.0.1:{headrace.port}/v1/documents"
    headers = {"content-type": "application/json"}
    answer = httpx2.post(url, params={"name": "typed.json", "source": "uploads"}, content=b"%PDF-", headers=headers)

    assert answer.status_code == 202
    assert at_stage(headrace, "uploads/typed.json", "failed")["error"]["step"] == "parse typed.json"


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "a\0b", "n" * 4096, "/abs", "a\\b", "a/./b"])
def test_names_that_lead_elsewhere_are_refused(headrace: Whole, name: str) -> None:
    answer = put_one(headrace, name, b"x")

    assert answer.status in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="cut.md"\r\n\r\nhalf of',
        b'--b\r\nContent-Disposition: form-data; name="surprise"\r\n\r\nx\r\n--b--\r\n',
        b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nx\r\n--b--\r\n',
    ],
)
def test_broken_forms_are_refused_and_leave_nothing(headrace: Whole, body: bytes) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b"}

    answer = send(headrace, "POST", "", body, headers=headers, params={"source": "uploads"})

    assert answer.status == 400, answer.body
    assert registry(headrace, q="cut.md") == []
    assert list((headrace.data / "scratch").glob("upload-*")) == []


def test_a_form_that_breaks_off_tells_what_came_in_before(headrace: Whole) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\n\r\n'
    body = head % b"whole.md" + b"# Whole\r\n" + head % b"cut.md" + b"half of"
    headers = {"content-type": "multipart/form-data; boundary=b"}

    answer = send(headrace, "POST", "", body, headers=headers, params={"source": "uploads"})

    assert (answer.status, [d["id"] for d in answer.body["documents"]]) == (400, ["uploads/whole.md"])
    at_stage(headrace, "uploads/whole.md", "ready")
    assert registry(headrace, prefix="uploads/cut.md") == []


def test_a_body_that_is_too_large_is_refused_as_it_comes(headrace: Whole) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(10_000):
            yield b"x" * 65_536

    url = f"http://127.0.0.1:{headrace.port}/v1/documents/uploads/huge.txt"
    with contextlib.suppress(httpx2.TransportError):  # it may hang up before all was sent
        answer = httpx2.put(url, content=endless(), timeout=120)
        assert answer.status_code == 413

    assert registry(headrace, q="huge.txt") == []
    until(lambda: not list((headrace.data / "scratch").glob("upload-*")), "the scratch folder is empty")


def test_a_client_that_goes_away_in_the_middle_leaves_nothing(headrace: Whole) -> None:
    head = b"PUT /v1/documents/uploads/left.md HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", headrace.port)) as connection:
        connection.sendall(head + b"x" * 300_000)
        until(lambda: bool(list((headrace.data / "scratch").glob("upload-*"))), "it is being written")

    until(lambda: not list((headrace.data / "scratch").glob("upload-*")), "the scratch folder is empty")
    assert registry(headrace, q="left.md") == []
    assert headrace.document("uploads/left.md") is None


# ---- what proves it, and what outlives it ----------------------------------------------------------------------------


def test_everything_uploaded_verifies_and_an_altered_chunk_is_repaired(headrace: Whole) -> None:
    done = put_one(headrace, "proved.md", b"# Proved\n\nEvery word of it.")
    headrace.search("proved", after=done.body["token"])
    headrace.settle()
    assert verified(headrace)["equal"]

    with psycopg.connect(headrace.store) as connection:
        connection.execute("update chunks set text = 'altered' where text like '%Every word of it%'")
    assert not verified(headrace)["equal"]
    report = verified(headrace, repair=True)
    assert (report["equal"], report["repaired"]) == (True, 1)


def test_originals_outlive_the_log_and_are_read_again_under_another_policy(tmp_path: Path) -> None:
    text = b"Call +1 212 555 0187, or write to bob@example.com."
    with whole(tmp_path, SETTINGS) as headrace:
        done = upload(headrace, "contact.txt", text)
        headrace.search("contact", after=done.body["token"])
        headrace.stop()
        # given a log that has forgotten the upload
        headrace.start()
        with psycopg.connect(headrace.store) as connection:
            connection.execute("delete from log_batches")
            connection.execute("update log_partitions set first_offset = next_offset")
        headrace.stop()
        # when it is to be redacted from now on
        headrace.configure(SETTINGS + "[sources.redact]\n")
        headrace.start()
        # then it is read again, from its original
        until(lambda: "[EMAIL]" in headrace.document("uploads/contact.txt")["text"], "it is redacted", headrace.told)
        report = verified(headrace)
        assert report["equal"], report


# ---- the command line ------------------------------------------------------------------------------------------------


def test_folders_and_files_are_uploaded_listed_and_deleted_by_command(headrace: Whole, tmp_path: Path) -> None:
    (tmp_path / "cli" / "deep").mkdir(parents=True)
    (tmp_path / "cli" / "one.md").write_text("# One\n\nThe first.")
    (tmp_path / "cli" / "deep" / "two.md").write_text("# Two\n\nThe second.")
    (tmp_path / "cli" / "deep" / "bad.pdf").write_text("%PDF-")

    done = headrace.command("upload", str(tmp_path / "cli"), "--source", "uploads", "--json")
    assert done.code == 1  # one of them cannot be read
    found = {d["id"]: d["stage"] for d in json.loads(done.out)["documents"]}
    assert found == {
        "uploads/cli/one.md": "ready", "uploads/cli/deep/two.md": "ready", "uploads/cli/deep/bad.pdf": "failed",
    }  # fmt: skip
    again = headrace.command("upload", str(tmp_path / "cli" / "one.md"), "--as", "cli/one.md", "--source", "uploads")
    assert again.code == 0, again.err
    assert "unchanged" in again.out

    table = headrace.command("documents", "--stage", "failed", "--match", "cli/deep")
    assert "uploads/cli/deep/bad.pdf" in table.out

    gone = headrace.command("documents", "--delete", "uploads/cli/one.md")
    assert gone.code == 0, gone.err
    assert row(headrace, "uploads/cli/one.md") is None
