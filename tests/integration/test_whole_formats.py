"""A folder with a document of each format: served with places, the bad ones told with reasons, always answering."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests import documents as make
from tests.whole import Whole, until, whole

SETTINGS = """
[[sources]]
name = "docs"
url = "file://{folder}"
[documents]
timeout = "20s"
pages = 50
"""
FILLER = "Nothing of note happens in this part of the text, which only takes its room. " * 30
DOCUMENTS: dict[str, bytes] = {
    "guide.md": b"---\ndate: 2026-01-31\n---\n# Guide\n\nThe guide names marzipan.",
    "rules.pdf": make.pdf(["The rules begin.", "The fee for a saxophone is 40 euros."], marks="The fee"),
    "disguised.txt": make.pdf(["A lighthouse in disguise."]),
    "letter.docx": make.docx(make.paragraph("Terms", '<w:pStyle w:val="H2"/>') + make.paragraph("A walnut is a nut.")),
    "talk.pptx": make.pptx([("Opening", "welcome"), ("Closing", "The parrot says goodbye.")]),
    "fees.xlsx": make.xlsx({"Small": [["kind", "fee"], ["umbrella", 3]], "Large": [["kind", "fee"], ["cello", 90]]}),
    "book.epub": make.epub(["<h1>Chapter</h1><p>The heron waits.</p>"], title="Herons", date="2026-01-31"),
    "mail.eml": make.mail("Found", "A glove was found.", {"list.csv": b"thing,place\ntrombone,desk 4\n"}),
    "all.zip": make.zipped({"inside/note.md": "# Note\n\nThe key lies under the doormat."}),
    "data.json": b'{"harbour": "the pelican"}',
    "table.csv": b"kind,fee\nkayak,55\n",
    "page.html": b"<!doctype html><title>Page</title><p>The tandem is red.</p>",
    "notes.rst": b"Notes\n=====\n\nThe ferry leaves at noon.\n",
    "code.py": b"def accordion():\n    return 7\n",
    "long.pdf": make.pdf([f"Page {n}. {FILLER[:60]}" for n in range(1, 20)]),
}
BAD: dict[str, tuple[bytes, str]] = {
    "locked.pdf": (make.pdf(["x"], encrypted=True), "a password"),
    "half.docx": (DOCUMENTS["letter.docx"][:200], "damaged"),
    "empty.pdf": (b"", "an empty file"),
    "bomb.zip": (make.zipped({"zeros": b" " * (40 << 20)}), "packed in"),
    "endless.pdf": (make.pdf(["x"] * 51), "51"),
    "random.bin": (bytes(range(240, 0, -1)) * 4, "byte 0xf0 at offset 0"),
}


@pytest.fixture(scope="module")
def headrace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """Everything is read while somebody keeps asking."""
    folder = tmp_path_factory.mktemp("documents")
    (folder / "guide.md").write_bytes(DOCUMENTS["guide.md"])
    with whole(tmp_path_factory.mktemp("headrace"), SETTINGS.format(folder=folder)) as made:
        made.settle()
        ended = threading.Event()
        answers: list[Any] = []

        def ask() -> None:
            while not ended.is_set():
                answers.append(made.texts("marzipan", k=1))

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            for name, content in {**DOCUMENTS, **{n: c for n, (c, _) in BAD.items()}}.items():
                (folder / name).write_bytes(content)
            made.settle()
        finally:
            ended.set()
            asking.join(60)
        assert answers
        assert all("marzipan" in found for (found,) in answers), "it answered all the while"
        yield made


@pytest.mark.parametrize(
    ("query", "document", "place"),
    [
        ("saxophone", "rules.pdf", {"page": 2}),
        ("lighthouse", "disguised.txt", {"page": 1}),
        ("walnut", "letter.docx", None),
        ("parrot", "talk.pptx", {"slide": 2}),
        ("umbrella", "fees.xlsx", {"sheet": "Small"}),
        ("cello", "fees.xlsx", {"sheet": "Large"}),
        ("heron", "book.epub", None),
        ("glove", "mail.eml", None),
        ("trombone", "mail.eml", {"member": "list.csv"}),
        ("doormat", "all.zip", {"member": "inside/note.md"}),
        ("pelican", "data.json", None),
        ("kayak", "table.csv", None),
        ("tandem", "page.html", None),
        ("ferry", "notes.rst", None),
        ("accordion", "code.py", None),
    ],
)
def test_what_stands_in_a_document_is_found_at_its_place(
    headrace: Whole, query: str, document: str, place: dict[str, str | int] | None
) -> None:
    found = headrace.search(query, k=1)["results"][0]

    assert found["document"] == f"docs/{document}"
    if place is None or "page" not in place:
        assert found["place"] == place
    else:  # a chunk may begin on the page before
        assert found["place"]["page"] <= place["page"] <= found["place"].get("last_page", found["place"]["page"])
    whole_text = headrace.document(found["document"])
    assert whole_text["text"][found["start"] : found["end"]] == found["text"]
    chunk = next(c for c in whole_text["chunks"] if c["chunk"] == found["chunk"])
    assert (chunk["place"], chunk["heading"]) == (found["place"], found["heading"])


def test_a_citation_opens_at_its_place(headrace: Whole) -> None:
    answer = headrace.post("/v1/ask", {"question": "What does the parrot say?"})

    cited = answer["citations"][0]
    assert cited["document"] == "docs/talk.pptx"
    assert cited["place"] == {"slide": 2}
    assert cited["heading"] == "Closing"
    assert headrace.document(cited["document"])["text"][cited["start"] : cited["end"]] == cited["quote"]


def test_pages_of_a_long_document_follow_each_other(headrace: Whole) -> None:
    chunks = headrace.document("docs/long.pdf")["chunks"]

    assert len(chunks) > 1
    pages = [(c["place"]["page"], c["place"].get("last_page", c["place"]["page"])) for c in chunks]
    assert pages[0][0] == 1
    assert pages[-1][1] == 19
    assert all(b[0] - a[1] in (0, 1) for a, b in pairwise(pages))


def test_a_document_says_what_it_is_and_when_it_is_from(headrace: Whole) -> None:
    documents = headrace.documents()

    assert documents["docs/guide.md"]["dated"] == "2026-01-31T00:00:00.000000Z"
    assert documents["docs/book.epub"]["dated"] == "2026-01-31T00:00:00.000000Z"
    assert documents["docs/table.csv"]["dated"] is None
    assert documents["docs/disguised.txt"]["media"] == "application/pdf"


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_bad_one_is_a_dead_letter_with_its_reason(headrace: Whole, name: str) -> None:
    letter = next(x for x in headrace.letters() if x["key"] == name)

    assert BAD[name][1] in letter["got"]
    assert letter["step"] == f"parse {name}"
    assert letter["expected"]
    assert letter["remedy"]
    assert headrace.document(f"docs/{name}")["stage"] == "failed"


def test_there_are_no_other_dead_letters(headrace: Whole) -> None:
    assert {x["key"] for x in headrace.letters()} == set(BAD)


def test_a_document_that_is_put_right_is_served(headrace: Whole) -> None:
    url = next(line for line in headrace.config.read_text().split("\n") if line.startswith("url"))
    file = Path(url.split('"')[1].removeprefix("file://")) / "half.docx"

    file.write_bytes(make.docx(make.paragraph("The gondola is whole again.")))

    until(lambda: "docs/half.docx" in str(headrace.search("gondola", k=1)), "it is found", headrace.told)
    assert "half.docx" not in {x["key"] for x in headrace.letters()}
