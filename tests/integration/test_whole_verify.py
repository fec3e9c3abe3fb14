"""`headrace verify` beside a running one and without one, after kills and with files that change."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg

from tests.whole import whole

SETTINGS = """
[[sources]]
name = "policies"
url = "file://./documents"
exclude = ["*.tmp"]
"""


def test_verify_tells_and_repairs_beside_a_running_one_and_without(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    for n in range(30):
        (folder / f"rule{n:02}.md").write_text(f"# Rule {n}\n\nNumber {n} is free of charge.")
    (folder / "left out.tmp").write_text("no document")

    with whole(tmp_path, SETTINGS) as running:
        running.settle()
        (folder / "rule01.md").write_text("# Rule 1\n\nIt costs 5 dollars.")
        (folder / "rule02.md").unlink()
        running.kill()  # with changes under way
        (folder / "rule03.md").write_text("# Rule 3\n\nIt costs 7 dollars.")
        running.start()
        running.settle()
        told = running.command("verify")
        assert told.code == 0, told.out
        assert "The index is equal." in told.out
        [source] = running.get("/v1/verify")["last"]["sources"]
        assert (source["documents"], source["ok"], source["compared"]) == (29, 29, 29)

        with psycopg.connect(running.store, autocommit=True) as store:
            store.execute("update chunks set text = 'lie' where version_id in (select version_id from document_versions"
                          " where closed_at is null and document = 'policies/rule03.md')")  # fmt: skip
            store.execute("delete from document_versions where document = 'policies/rule04.md'")
        unseen(folder / "rule05.md", b"# Rule 5\n\nNumber 9 is free of charge.")
        damaged = running.command("verify", "--limit", "2")
        assert damaged.code == 1
        assert "policies/rule03.md: chunk 0: its text is another" in damaged.out
        assert "missing   policies/rule04.md" in damaged.out
        assert "and 1 more documents" in damaged.out
        assert "The index differs." in damaged.out
        repaired = running.command("verify", "--repair", "--json").json
        assert (repaired["equal"], repaired["repaired"]) == (True, 3)
        assert running.document("policies/rule04.md")["text"] == "# Rule 4\n\nNumber 4 is free of charge."
        assert "Number 9" in running.document("policies/rule05.md")["text"]

    (folder / "rule06.md").write_text("# Rule 6\n\nChanged while nobody looked.")
    alone = running.command("verify")
    assert alone.code == 1, alone.out
    assert "different policies/rule06.md: its content is sha256:" in alone.out
    assert "Headrace is not running" in alone.out


def unseen(file: Path, content: bytes) -> None:
    """Writes through another name of the file, outside of the folder: nobody tells of it."""
    other = file.parent.parent / "another name"
    os.link(file, other)
    with other.open("r+b") as opened:
        opened.write(content)
    other.unlink()
