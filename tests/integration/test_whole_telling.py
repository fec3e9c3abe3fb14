"""Labels and summaries in a whole Headrace: real answers, kills in the middle, what people see and are told."""

from __future__ import annotations

from pathlib import Path

import httpx2

from tests.llm_server import LlmServer
from tests.scripted_model import Said, ScriptedModel
from tests.whole import Whole, until, whole

SETTINGS = """
[models]
generation = "{model}"
[[sources]]
name = "docs"
url = "file://{folder}"
[knowledge.classify]
labels = {{ bags = "what is carried", money = "what is paid" }}
{more}
[knowledge.summarise]
max_words = 60
{more}
"""
DOCUMENTS = 24


def says(system: str, user: str) -> Said:
    title = user.partition("Title: ")[2].partition("\n")[0]
    if "summarise" in system:
        return f"Voyagers learn of {title}."
    return "money" if "fee" in user else "bags"


def down(system: str, user: str) -> Said:
    del system, user
    return 503


def told(made: Whole) -> None:
    def done() -> bool:
        now = made.get("/v1/status")["telling"]
        return (
            now["state"] == "done"
            and now["left"] == 0
            and all(d["labels"] and d["summary"] for d in made.documents().values() if d["chunks"])
        )

    until(done, "everything is told", made.told)


def folder_of(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    for n in range(DOCUMENTS):
        subject = "fee" if n % 2 else "suitcase"
        (folder / f"{n:02}.md").write_text(f"# Rule {n}\n\nA {subject} of {n} is allowed.")
    return folder


def test_kills_in_the_middle_leave_nothing_half_told_and_nothing_is_asked_twice(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    with ScriptedModel(says) as model:
        settings = SETTINGS.format(model=model.address(), folder=folder, more="")
        with whole(tmp_path / "headrace", settings) as made:
            made.settle()
            for changed in range(2):
                until(lambda: len(model.asked) > 8, "some are told of", made.told)
                made.kill()
                (folder / f"{changed:02}.md").write_text(f"# Rule {changed}\n\nNow a fee of {changed}.")
                (folder / f"{changed + 10:02}.md").unlink()
                made.start()
            made.settle()
            told(made)

            documents = made.documents()
            assert {id: d["labels"] for id, d in documents.items()} == {
                f"docs/{n:02}.md": ["money"] if n % 2 or n < 2 else ["bags"]
                for n in range(DOCUMENTS)
                if n not in (10, 11)
            }
            assert {d["summary"] for d in documents.values()} == {
                f"Voyagers learn of Rule {n}." for n in range(DOCUMENTS) if n not in (10, 11)
            }
            assert made.command("verify", "--json").json["equal"]
            # a kill costs no more than what was being asked then
            assert len(model.asked) < 2 * (DOCUMENTS + 2) + 2 * 2 * 4


def test_what_people_see_and_how_they_limit_a_search(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    with ScriptedModel(says) as model:
        settings = SETTINGS.format(model=model.address(), folder=folder, more="")
        with whole(tmp_path / "headrace", settings) as made:
            made.settle()
            told(made)
            shown = made.document("docs/01.md")
            assert (shown["labels"], shown["summary"]) == (["money"], "Voyagers learn of Rule 1.")
            assert [c["ordinal"] for c in shown["chunks"]] == [0], "a summary is no chunk of the document"
            found = made.search("Rule allowed", k=50, filter={"label": "bags"})["results"]
            assert {int(r["document"][5:7]) % 2 for r in found} == {0}
            assert made.search("rule", filter={"label": "none such"})["results"] == []
            (best, *_) = made.search("voyagers learn of rule 7", k=3)["results"]
            assert best["document"] == "docs/07.md"
            assert best["text"].startswith("# Rule 7")
            page = made.get("/v1/documents", label="money", limit=100)["documents"]
            assert (len(page), {tuple(d["labels"]) for d in page}) == (DOCUMENTS // 2, {("money",)})
            listed = made.command("documents", "--label", "money")
            assert "docs/01.md" in listed.out
            assert "docs/02.md" not in listed.out
            status = made.get("/v1/status")["telling"]
            assert status["labels"] == ["bags", "money"]
            assert [(s["name"], s["asked"], s["given_up"]) for s in status["steps"]] == [
                ("classify", DOCUMENTS, 0),
                ("summarise", DOCUMENTS, 0),
            ]
            assert (
                'headrace_told_requests_total{outcome="asked",step="classify"} 24.0'
                in httpx2.get(f"http://127.0.0.1:{made.port}/metrics").text
            )

            # when the model has nothing more to say, a saved file is found all the same
            model.says = down
            (folder / "new.md").write_text("# New\n\nA violin is welcome.")
            made.settle()
            assert "violin" in made.texts("violin welcome")[0]
            until(lambda: made.get("/v1/status")["telling"]["state"] == "waiting", "it waits", made.told)
            assert "waits: " in made.command("status").out
            assert made.get("/v1/deadletters")["dead_letters"] == []
            model.says = says
            told(made)
            assert made.document("docs/new.md")["labels"] == ["bags"]


def test_rows_that_are_documents_are_told_of_where_their_source_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "rule.md").write_text("# Rule\n\nA suitcase is allowed.")
    rows = '[[sources]]\nname = "shop"\nurl = "push:"\n[[knowledge.rows]]\ntable = "shop.items"\ntext = "{{ name }}"\n'
    with ScriptedModel(says) as model:
        settings = SETTINGS.format(model=model.address(), folder=folder, more='sources = ["shop"]') + rows
        with whole(tmp_path / "headrace", settings) as made:
            for n, name in enumerate(("a fee for late return", "a suitcase of leather")):
                row = {"op": "upsert", "table": "items", "key": {"id": n}, "row": {"id": n, "name": name}}
                made.post("/v1/changes/shop", row)
            made.settle()

            def labels() -> dict[str, list[str] | None]:
                return {id: d["labels"] for id, d in made.documents().items()}

            expected = {"docs/rule.md": None, "shop/items/0": ["money"], "shop/items/1": ["bags"]}
            until(lambda: labels() == expected, "the rows have labels", made.told)

            def found() -> bool:
                results = made.search("voyagers learn of items 1", k=1)["results"]
                return bool(results) and results[0]["document"] == "shop/items/1"

            until(found, "a row is found by its summary", made.told)
            assert made.texts("voyagers learn of items 1")[0] == "a suitcase of leather"
            assert made.command("verify", "--json").json["equal"]

            # it ends in order while a model thinks
            model.gate.clear()
            made.post("/v1/changes/shop", {"op": "upsert", "table": "items", "key": {"id": 7}, "row": {"name": "x"}})
            assert model.waiting.wait(60)
            assert made.stop() == 0


def test_up_once_waits_for_labels_and_not_for_a_model_that_is_down(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    with ScriptedModel(down) as model:
        made = Whole(tmp_path / "headrace", SETTINGS.format(model=model.address(), folder=folder, more=""))
        try:
            ended = made.command("up", "--once")
            assert ended.code == 0
            assert f"{DOCUMENTS} documents wait for a language model" in ended.out + ended.err
            model.says = says
            assert made.command("up", "--once").code == 0
            count = len(model.asked)
            made.start()
            made.settle()
            assert all(d["labels"] and d["summary"] for d in made.documents().values())
            assert len(model.asked) == count
        finally:
            made.close()


def test_without_a_language_model_it_does_not_start_and_says_why(tmp_path: Path) -> None:
    settings = f'[[sources]]\nname = "docs"\nurl = "file://{tmp_path}"\n[knowledge.summarise]\n'
    refused = Whole(tmp_path / "headrace", settings)
    try:
        assert "a language model for [knowledge.summarise]" in refused.refusal()
    finally:
        refused.close()


def test_a_real_language_model_tells_of_documents(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "pump.md").write_text("# Pump\n\nThe pump must be oiled every 200 hours. Use oil of grade 68.\n")
    with LlmServer() as server:
        model = f"openai+{server.base_url}?model=smollm2&temperature=0"
        # A small model says what it likes: where every label may be given, and one is sure to be read, it is told of.
        settings = SETTINGS.format(model=model, folder=folder, more="characters = 300\nmax_tokens = 24\nparallel = 1")
        with whole(tmp_path / "headrace", settings) as made:
            made.settle()

            def ended() -> bool:
                return made.get("/v1/status")["telling"]["state"] == "done"

            until(ended, "it is told of or given up", made.told)
            shown = made.document("docs/pump.md")
            letters = {x["operator"] for x in made.letters()}
            assert shown["summary"]
            assert shown["labels"] in (["bags"], ["money"]) or letters == {"classify"}
            assert made.command("verify", "--json").json["equal"]
