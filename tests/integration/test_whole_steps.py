"""Settings of steps that change between two starts of a whole Headrace, with kills and changes meanwhile."""

from __future__ import annotations

from pathlib import Path

import psycopg

from tests.servers import PostgresApart
from tests.small_model import small_model
from tests.whole import Whole, database, until, whole

SETTINGS = """
[[sources]]
name = "docs"
url = "file://{folder}"

[[sources]]
name = "shop"
url = "push:"

[[knowledge.rows]]
table = "shop.items"
text = "{template}"

[knowledge]
chunk_tokens = {tokens}
"""
DOCUMENTS, ROWS = 60, 40


def text(n: int) -> str:
    return f"# Rule {n}\n\n" + "\n\n".join(
        f"Part {part} of rule {n} is about luggage of size {part}." for part in range(40)
    )


def row(n: int, name: str) -> dict[str, object]:
    return {"op": "upsert", "table": "items", "key": {"id": n}, "row": {"id": n, "name": name}}


def renewed(made: Whole) -> None:
    until(lambda: made.get("/v1/status")["renewal"]["state"] == "done", "everything is made anew", made.told)


def state(made: Whole) -> dict[str, tuple[str, list[str]]]:
    found: dict[str, tuple[str, list[str]]] = {}
    for id in made.documents():
        shown = made.document(id)
        found[id] = (shown["text"], [c["text"] for c in shown["chunks"]])
    return found


def test_settings_that_change_between_kills_end_as_a_fresh_build(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    for n in range(DOCUMENTS):
        (folder / f"{n:02}.md").write_text(text(n))

    def settings(template: str, tokens: int) -> str:
        return SETTINGS.format(folder=folder, template=template, tokens=tokens)

    with whole(tmp_path / "kept", settings("Item {{ name }}", 200)) as made:
        for n in range(ROWS):
            made.post("/v1/changes/shop", row(n, f"thing {n}"))
        made.settle()
        first = made.get("/v1/status")["renewal"]
        assert (first["total"], first["left"]) == (0, {})

        # when the settings change, it is killed in the middle of its work, and documents change and end
        for tokens in (60, 90):
            made.kill()
            made.configure(settings("Item {{ id }}: {{ name }}", tokens))
            made.start()

            def begun() -> bool:
                now = made.get("/v1/status")["renewal"]
                return now["done"] > 0 or now["state"] == "done"

            until(begun, "some are made anew", made.told)
            (folder / f"{tokens}.md").write_text(f"# New\n\nWritten at {tokens}.")
            (folder / f"{tokens // 30:02}.md").unlink()
            made.post("/v1/changes/shop", row(tokens, "late"))
            made.post("/v1/changes/shop", {"op": "delete", "table": "items", "key": {"id": tokens // 30}})
        made.kill()
        made.start()
        renewed(made)
        made.settle()

        # then all is what a fresh one makes of the same
        assert made.get("/v1/status")["renewal"]["left"] == {}
        assert made.command("verify", "--json").json["equal"]
        assert "Item 7: thing 7" in made.texts("thing 7")
        kept = state(made)
        pushed = [row(n, f"thing {n}") for n in range(ROWS) if n not in (2, 3)] + [row(n, "late") for n in (60, 90)]
    with whole(tmp_path / "fresh", settings("Item {{ id }}: {{ name }}", 90)) as other:
        for one in pushed:
            other.post("/v1/changes/shop", one)
        other.settle()
        assert state(other) == kept
        assert len(kept) == DOCUMENTS + ROWS - 4 + 4


def test_rows_of_a_database_copied_and_streamed_are_made_anew_of_the_very_changes_they_are_of(
    debian_postgres: PostgresApart, tmp_path: Path
) -> None:
    def settings(dsn: str, template: str) -> str:
        return (
            f'[[sources]]\nname = "shop"\nurl = "{dsn}"\n'
            f'[[knowledge.rows]]\ntable = "shop.public.items"\ntext = "{template}"\n'
        )

    with (
        database(
            debian_postgres,
            "create table items (id int primary key, name text not null)",
            "insert into items select g, 'thing ' || g from generate_series(1, 300) g",
        ) as shop,
        whole(tmp_path, settings(shop.dsn, "Item {{ name }}")) as made,
    ):
        made.settle()
        shop.together(
            "update items set name = 'first of ' || id where id <= 20",
            "update items set name = 'second of ' || id where id <= 10",
            "delete from items where id = 5",
            "insert into items values (5, 'anew')",
        )
        shop.run("delete from items where id = 7", "update items set id = 1000 where id = 8")
        made.settle()
        stamps = {id: d["stamp"] for id, d in made.documents().items()}

        made.stop()
        made.configure(settings(shop.dsn, "Number {{ id }}: {{ name }}"))
        made.start()
        renewed(made)

        now = made.get("/v1/status")["renewal"]
        assert (now["total"], now["done"], now["left"]) == (299, 299, {})
        rows = {
            f"shop/public.items/{id}": f"Number {id}: {name}" for id, name in shop.rows("select id, name from items")
        }
        assert {id: made.document(id)["text"] for id in made.documents()} == rows
        assert {id: d["stamp"] for id, d in made.documents().items()} == stamps
        assert made.command("verify", "--json").json["equal"]


def test_up_once_waits_until_everything_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "rule.md").write_text(text(1))

    def settings(tokens: int) -> str:
        return SETTINGS.format(folder=folder, template="{{ name }}", tokens=tokens)

    made = Whole(tmp_path / "headrace", settings(200))
    try:
        assert made.command("up", "--once").code == 0
        before = len(made.command("log", "docs", "--json").lines)
        made.configure(settings(60))
        assert made.command("up", "--once").code == 0
        made.start()
        assert made.get("/v1/status")["renewal"]["total"] == 0
        shown = made.document("docs/rule.md")
        assert len(shown["chunks"]) > 6
        assert len(made.command("log", "docs", "--json").lines) == before, "nothing was read again"
    finally:
        made.close()


def test_another_model_is_built_beside_through_kills_and_changes_while_the_old_serves(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    for n in range(20):
        (folder / f"{n:02}.md").write_text(f"# Rule {n}\n\nNumber {n} is about suitcase {n}.")
    source = f'[[sources]]\nname = "docs"\nurl = "file://{folder}"\n'
    old, new = (small_model(tmp_path / name, dims, dims) for name, dims in (("old", 24), ("new", 16)))

    def model(path: Path) -> str:
        return f'{source}[models]\nembedding = "onnx:{path}"\n'

    def first(query: str) -> str:
        return str(made.search(query, k=1, retriever="vector")["results"][0]["document"])

    with whole(tmp_path / "headrace", model(old)) as made:
        made.settle()
        assert made.get("/v1/status")["succession"] is None
        assert first("Rule 7 Number 7 is about suitcase 7") == "docs/07.md"
        # when another model is configured, it is killed at once, and documents change and end meanwhile
        made.configure(model(new))
        made.kill()
        made.launch()
        made.says("vectors of another model are built")
        made.kill()
        made.start()
        (folder / "30.md").write_text("# Rule 30\n\nNumber 30 is about a violin.")
        (folder / "07.md").unlink()
        made.settle()
        until(lambda: made.get("/v1/status")["succession"] is None, "the other model serves", made.told)
        # then the other one serves, exactly
        assert first("Rule 30 Number 30 is about a violin") == "docs/30.md"
        assert first("Rule 8 Number 8 is about suitcase 8") == "docs/08.md"
        assert "docs/07.md" not in made.documents()
        with psycopg.connect(made.store) as store:
            widths = store.execute("select vector_dims(vector), count(*) from chunk_vectors where open group by 1")
            assert widths.fetchall() == [(16, 20)]
        assert made.command("verify", "--json").json["equal"]
        # and the way back is the same
        made.stop()
        made.configure(model(old))
        assert made.command("up", "--once").code == 0
        made.start()
        assert made.get("/v1/status")["succession"] is None
        assert first("Rule 8 Number 8 is about suitcase 8") == "docs/08.md"
        assert made.command("verify", "--json").json["equal"]


def test_a_release_with_another_model_file_serves_on_and_builds_its_vectors_beside(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    for n in range(3):
        (folder / f"{n}.md").write_text(f"# Rule {n}\n\nNumber {n} is about suitcase {n}.")
    with whole(tmp_path / "headrace", f'[[sources]]\nname = "docs"\nurl = "file://{folder}"\n') as made:
        made.settle()
        with psycopg.connect(made.store, autocommit=True) as store:
            (now,) = store.execute("select value from settings where name = 'embedding'").fetchall()[0]
            earlier = now.replace(now.rpartition("/")[2], "0123456789ab")
            store.execute("update settings set value = %s where name = 'embedding'", (earlier,))
        made.kill()
        made.start()
        until(lambda: made.get("/v1/status")["succession"] is None, "this release's vectors serve", made.told)
        assert made.search("Rule 2 Number 2 is about suitcase 2", k=1)["results"][0]["document"] == "docs/2.md"
        with psycopg.connect(made.store) as store:
            assert store.execute("select value from settings where name = 'embedding'").fetchone() == (now,)
        assert made.command("verify", "--json").json["equal"]
