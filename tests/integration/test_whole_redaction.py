"""Personal data in documents of several formats and in rows: nothing that is served or kept as knowledge tells it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests import documents as make
from tests.whole import Whole, until, whole

SETTINGS = """
[[sources]]
name = "docs"
url = "file://{folder}"
[sources.redact]
key = "${{file:{key}}}"
kinds = {{ email = "hash", ip = "keep" }}

[[sources]]
name = "open"
url = "file://{open}"

[[sources]]
name = "shop"
url = "push:"
[sources.redact]

[[knowledge.rows]]
table = "shop.customers"
text = "Customer {{{{ id }}}} likes the {{{{ likes }}}}. E-mail: {{{{ email }}}}. Customer name: {{{{ name }}}}."
metadata = ["email", "likes", "name"]
"""
SECRETS = [
    "ada@example.com", "Zoltan", "Quux", "4532 2766 4457 7020", "4532276644577020", "536-22-1234", "+49 30 901820",
    "GB82 WEST", "hunter2!", "12 Old Mill Road", "May 4, 1990", "bo@example.org",
]  # fmt: skip
DOCUMENTS: dict[str, bytes] = {
    "guide.md": b"---\ntitle: Letter of Dr. Zoltan Quux\nfrom: ada@example.com\nip: 203.0.113.9\n---\n"
    b"# For Dr. Zoltan Quux\n\nThe marzipan goes to Zoltan "
    b"Quux, 12 Old Mill Road. Write to ada@example.com, from 203.0.113.9.\n\n## Pay\n\nCard 4532 2766 4457 7020.\n",
    "letter.docx": make.docx(
        make.paragraph("Terms of Dr. Zoltan Quux", '<w:pStyle w:val="H2"/>')
        + make.paragraph("The walnut is for Dr. Zoltan Quux, born on May 4, 1990, SSN 536-22-1234.")
    ),
    "rules.pdf": make.pdf(["Ring +49 30 901820 now.", "The saxophone is paid from GB82 WEST 1234 5698 7654 32."]),
    "people.csv": b"id,name,email,password\n1,Zoltan Quux,ada@example.com,hunter2!\n2,kayak,ada@example.com,none\n",
}


@pytest.fixture(scope="module")
def headrace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    folder, other, home = (tmp_path_factory.mktemp(name) for name in ("documents", "open", "headrace"))
    (home / "key").write_text("a key of many letters\n")
    for name, content in DOCUMENTS.items():
        (folder / name).write_bytes(content)
    (other / "open.md").write_text("The lantern is for carla@example.net.")
    with whole(home, SETTINGS.format(folder=folder, open=other, key=home / "key")) as made:
        row = {"id": 7, "likes": "trombone", "email": "bo@example.org", "name": "Zoltan Quux"}
        pushed = made.post("/v1/changes/shop", {"op": "upsert", "table": "customers", "key": {"id": 7}, "row": row})
        assert pushed["accepted"] == 1
        made.settle()
        yield made


def untold(answer: Any) -> None:
    text = json.dumps(answer, ensure_ascii=False)
    assert [s for s in SECRETS if s in text] == []


def test_what_is_served_tells_no_value(headrace: Whole) -> None:
    for query in ("marzipan", "walnut", "saxophone", "kayak", "trombone", "ada@example.com", "Zoltan Quux"):
        untold(headrace.search(query, k=20)["results"])
    for subject in ("marzipan", "walnut", "saxophone", "trombone"):
        answer = headrace.post("/v1/ask", {"question": f"Who gets the {subject}?"})
        untold([answer["answer"], answer["citations"]])
    untold(list(headrace.documents().values()))


def test_documents_are_found_and_their_chunks_open_at_their_places(headrace: Whole) -> None:
    for document in headrace.documents():
        shown = headrace.document(document)
        assert shown["error"] is None
        assert shown["chunks"]
        for chunk in shown["chunks"]:
            assert shown["text"][chunk["start"] : chunk["end"]] == chunk["text"]
    guide = headrace.document("docs/guide.md")
    assert guide["title"] == "Letter of Dr. [NAME]"
    assert "The marzipan goes to [NAME], [ADDRESS]. Write to [EMAIL:" in guide["text"]
    assert "203.0.113.9" in guide["text"], "what is kept is kept"
    assert (guide["metadata"]["title"], guide["metadata"]["ip"]) == ("Letter of Dr. [NAME]", "203.0.113.9")
    assert guide["metadata"]["from"].startswith("[EMAIL:")
    assert headrace.document("docs/letter.docx")["chunks"][0]["heading"] == "Terms of Dr. [NAME]"
    (place,) = [r["place"] for r in headrace.search("saxophone", k=1)["results"]]
    assert place == {"page": 1, "last_page": 2}


def test_a_row_s_text_is_redacted(headrace: Whole) -> None:
    (found,) = headrace.search("trombone", k=1)["results"]

    assert found["text"] == "Customer 7 likes the trombone. E-mail: [EMAIL]. Customer name: [NAME]."
    assert found["metadata"] == {"email": "[EMAIL]", "likes": "trombone", "name": "[NAME]"}


def test_what_is_verified_and_repaired_stays_redacted(headrace: Whole) -> None:
    # given an index of redacted texts: it is what the log, seen through the policies, says
    told = headrace.command("verify", "--json").json
    assert (told["equal"], told["differences"]) == (True, [])

    # when documents and rows are damaged and built anew out of the log, which has them as they came
    damaged = ["docs/guide.md", "docs/letter.docx", "docs/people.csv", "shop/customers/7"]
    with psycopg.connect(headrace.store, autocommit=True) as store:
        store.execute(
            "update chunks set text = 'lie' where version_id in"
            " (select version_id from document_versions where closed_at is null and document = any(%s))", [damaged],
        )  # fmt: skip
    repaired = headrace.command("verify", "--repair", "--json").json
    assert (repaired["equal"], repaired["repaired"]) == (True, len(damaged))

    # then they tell no more than before
    for document in damaged:
        shown = headrace.document(document)
        untold(shown)
        assert "lie" not in [c["text"] for c in shown["chunks"]]
    for query in ("marzipan", "walnut", "kayak", "trombone"):
        untold(headrace.search(query, k=20)["results"])


def test_equal_values_have_equal_tokens_in_all_documents(headrace: Whole) -> None:
    shown = headrace.command("redact", "--source", "docs", "--json", input=b"ada@example.com").json
    token = shown["text"]

    found = {r["document"] for r in headrace.search(token, k=20)["results"] if token in r["text"]}

    assert found == {"docs/guide.md", "docs/people.csv"}


def test_a_source_without_a_policy_is_as_it_was(headrace: Whole) -> None:
    assert headrace.document("open/open.md")["text"] == "The lantern is for carla@example.net."


def test_no_table_of_knowledge_holds_a_value(headrace: Whole) -> None:
    """The log keeps the source's own form; it is no knowledge."""
    with psycopg.connect(headrace.store) as link:
        names = link.execute(
            "SELECT quote_ident(n.nspname), c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"
        ).fetchall()
        told: dict[str, list[str]] = {}
        for schema, name in names:
            query = sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(schema.strip('"'), name))
            rows = "\n".join(str(row[0]) for row in link.execute(query).fetchall())
            if here := [s for s in SECRETS if s in rows or s.encode().hex() in rows]:
                told[name] = here
    assert {"document_versions", "chunks", "chunk_vectors"} <= {name for _, name in names}
    assert told
    assert [name for name in told if not name.startswith("log_")] == []


def test_redact_shows_what_a_policy_does(headrace: Whole, tmp_path: Path) -> None:
    shown = headrace.command("redact", "--json", "--source", "docs", input=b"Dr. Ada King, 203.0.113.9").json
    assert shown["text"] == "Dr. [NAME], 203.0.113.9"
    assert [(s["kind"], s["action"], s["value"]) for s in shown["spans"]] == [
        ("name", "mask", "Ada King"), ("ip", "keep", "203.0.113.9")
    ]  # fmt: skip

    examples = tmp_path / "examples.jsonl"
    line = {"text": "Dr. Ada King at 203.0.113.9", "spans": [{"start": 4, "end": 12, "type": "PERSON"}]}
    examples.write_text(json.dumps(line) + "\n")
    report = headrace.command("redact", "--json", "--evaluate", str(examples)).json
    figures = {k["kind"]: (k["recall"], k["precision"]) for k in report["kinds"]}
    assert figures == {"name": (1.0, 1.0), "ip": (0.0, 0.0)}

    wrong = tmp_path / "wrong [red].jsonl"
    wrong.write_text("{}")
    ended = headrace.command("redact", "--evaluate", str(wrong))
    assert ended.code == 1
    assert "could not read line 1 of wrong [red].jsonl" in " ".join(ended.err.split())

    ended = headrace.command("redact", "--source", "dosc", input=b"x")
    assert ended.code == 1
    assert "Did you mean `docs`?" in ended.err


def test_a_policy_that_changes_makes_documents_and_rows_anew(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "guide.md").write_text("The lantern is for carla@example.net at 203.0.113.9.")
    source = f'[[sources]]\nname = "docs"\nurl = "file://{folder}"\n'
    rows = '[[sources]]\nname = "shop"\nurl = "push:"\n'
    told = '[[knowledge.rows]]\ntable = "shop.customers"\ntext = "{{ email }}"\n'
    row = {"op": "upsert", "table": "customers", "key": {"id": 7}, "row": {"id": 7, "email": "carla@example.net"}}
    with whole(tmp_path / "headrace", source + rows + told) as made:
        made.post("/v1/changes/shop", row)
        made.settle()
        assert "carla@example.net at 203.0.113.9" in made.document("docs/guide.md")["text"]
        stamps = [made.document(id)["stamp"] for id in ("docs/guide.md", "shop/customers/7")]
        for policy, at in (("", "[IP]"), ('kinds = { ip = "keep" }\n', "203.0.113.9")):
            made.stop()
            made.configure(source + "[sources.redact]\n" + policy + rows + "[sources.redact]\n" + told)
            made.start()
            until(lambda: made.get("/v1/status")["renewal"]["state"] == "done", "everything is made anew", made.told)
            assert made.document("docs/guide.md")["text"] == f"The lantern is for [EMAIL] at {at}."
            assert made.document("shop/customers/7")["text"] == "[EMAIL]"
        assert "every document is as the settings of now make it" in made.command("doctor").out
        assert made.command("verify", "--json").json["equal"]
        assert [made.document(id)["stamp"] for id in ("docs/guide.md", "shop/customers/7")] == stamps
