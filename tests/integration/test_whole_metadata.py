"""Metadata of files, uploads and rows through the whole process: kept, shown, and what searches are limited by."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters

from headrace.errors import BadRequest
from headrace.integrations.http import OURS, Search
from headrace.integrations.langchain import HeadraceRetriever as LangChainRetriever
from headrace.integrations.llamaindex import HeadraceRetriever as LlamaIndexRetriever
from tests.uploading import patch, put, registry, upload, upload_form, verified
from tests.whole import Refused, Whole, whole

SETTINGS = """
[[sources]]
name = "docs"
url = "file://{folder}"

[[sources]]
name = "uploads"
url = "upload:"

[[sources]]
name = "shop"
url = "push:"

[[knowledge.rows]]
table = "shop.items"
text = "Turnip {{{{ name }}}}"
metadata = ["category", "price", "tags"]
"""
LT = FilterOperator.LT
FRONT = "---\ncategory: {category}\nprice: {price}\ntags: [fresh, root]\n---\n# Turnips\n\nA turnip a day.\n"


def found(headrace: Whole, metadata: dict[str, Any], **more: object) -> dict[str, Any]:
    """Documents with their metadata."""
    answer = headrace.search("turnip", k=50, filter={"metadata": metadata}, **more)
    return {r["document"]: r["metadata"] for r in answer["results"]}


def row(n: int, **columns: object) -> dict[str, object]:
    return {"op": "upsert", "table": "items", "key": {"id": n}, "row": {"id": n, **columns}}


def test_metadata_limit_searches_from_the_file_to_the_filter(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "a.md").write_text(FRONT.format(category="roots", price=12))
    (folder / "b.md").write_text("# Turnips\n\nNothing is said of this turnip.\n")
    with whole(tmp_path / "headrace", SETTINGS.format(folder=folder)) as headrace:
        # Given: a file that states its own, an upload of which something is said besides, rows with columns.
        fields = {"source": "uploads", "metadata": json.dumps({"Category": "bulbs", "price": 8.5})}
        assert (
            upload_form(headrace, [("c.md", FRONT.format(category="roots", price=99).encode())], **fields).status == 202
        )
        headrace.post("/v1/changes/shop", row(1, name="one", category="roots", price=20, tags=["old"]))
        headrace.post("/v1/changes/shop", row(2, name="two", category=None, price=5, tags=[]))
        before = headrace.settle()

        # Then: each is found by what it says, and shown with it.
        a = {"category": "roots", "price": 12, "tags": ["fresh", "root"]}
        c = {"category": "bulbs", "price": 8.5, "tags": ["fresh", "root"]}
        one = {"category": "roots", "price": 20, "tags": ["old"]}
        assert found(headrace, {"category": "roots"}) == {"docs/a.md": a, "shop/items/1": one}
        assert found(headrace, {"category": ["bulbs"]}) == {"uploads/c.md": c}
        assert found(headrace, {"price": {"gte": 8, "lt": 20}}) == {"docs/a.md": a, "uploads/c.md": c}
        assert found(headrace, {"tags": {"all": ["root", "fresh"]}, "category": {"ne": "bulbs"}}) == {"docs/a.md": a}
        assert found(headrace, {"category": {"exists": False}}) == {"docs/b.md": {}, "shop/items/2": {"price": 5}}
        assert headrace.document("docs/a.md")["metadata"] == a
        assert {d["id"]: d["metadata"] for d in registry(headrace)}["uploads/c.md"] == c
        roots = registry(headrace, metadata='{"category": "roots"}', limit="1")  # two pages
        assert [d["id"] for d in roots] == ["docs/a.md", "shop/items/1"]
        cheap = {"metadata": '{"price": {"lt": 20}, "category": {"exists": true}}', "source": "uploads"}
        assert [d["id"] for d in registry(headrace, **cheap)] == ["uploads/c.md"]
        listed = headrace.command("documents", "--where", "category=roots", "--where", "price<20", "--json").json
        assert [d["id"] for d in listed["documents"]] == ["docs/a.md"]
        cli = headrace.command("search", "turnip", "--where", "category=roots", "--where", "price<20", "--json").json
        assert [r["document"] for r in cli["results"]] == ["docs/a.md"]
        (passage,) = Search(f"http://127.0.0.1:{headrace.port}", filter={"metadata": {"category": "bulbs"}}).now(
            "turnip"
        )
        assert (passage.metadata["category"], passage.metadata["document"]) == ("bulbs", "uploads/c.md")
        assert passage.metadata.keys() - c.keys() <= OURS
        url = f"http://127.0.0.1:{headrace.port}"
        bulbs, cheap = MetadataFilter(key="category", value="bulbs"), MetadataFilter(key="price", value=10, operator=LT)
        nodes = LlamaIndexRetriever(url, filters=MetadataFilters(filters=[bulbs, cheap])).retrieve("turnip")
        assert [n.node.metadata["document"] for n in nodes] == ["uploads/c.md"]
        retriever = LangChainRetriever(url=url, filter={"metadata": {"category": "bulbs"}})
        assert [d.metadata["document"] for d in retriever.invoke("turnip")] == ["uploads/c.md"]
        roots = asyncio.run(retriever.ainvoke("turnip", filter={"metadata": {"category": "roots"}}, k=1))
        assert [d.metadata["category"] for d in roots] == ["roots"]
        with pytest.raises(BadRequest, match="category"):
            retriever.invoke("turnip", category="roots")

        # When: each changes; the upload is only said otherwise of, in which nothing is embedded anew.
        (folder / "a.md").write_text(FRONT.format(category="leaves", price=12))
        headrace.post("/v1/changes/shop", row(1, name="one", category="roots", price=21, tags=["old"]))
        assert patch(headrace, "uploads/c.md", metadata={"category": "sold"}).body["outcome"] == "described"
        assert patch(headrace, "uploads/c.md", metadata={"category": "sold"}).body["outcome"] == "unchanged"
        headrace.settle()
        assert found(headrace, {"category": "roots"}) == {"shop/items/1": {**one, "price": 21}}
        assert found(headrace, {"category": "sold"}) == {"uploads/c.md": {**c, "category": "sold", "price": 99}}
        assert found(headrace, {"category": "leaves"}) == {"docs/a.md": {**a, "category": "leaves"}}
        assert found(headrace, {"category": "roots"}, as_of=before) == {"docs/a.md": a, "shop/items/1": one}
        again = put(headrace, "uploads/c.md", b"# Turnips\n\nAnother turnip.", metadata='{"price": 1}')
        assert again.body["outcome"] == "replaced"
        headrace.settle()
        assert found(headrace, {"price": 1}) == {"uploads/c.md": {"price": 1}}
        (folder.parent / "c.md").write_text(FRONT.format(category="roots", price=99))
        said = ("--metadata", "price=2", "--metadata", "category=new")
        sent = headrace.command("upload", str(folder.parent / "c.md"), *said, "--json").json
        assert sent["documents"][0]["metadata"] == {**c, "category": "new", "price": 2}
        patch(headrace, "uploads/c.md", metadata=None)
        headrace.settle()
        assert headrace.document("uploads/c.md")["metadata"] == {**c, "category": "roots", "price": 99}

        # And: what somebody damages is found and put right.
        assert verified(headrace)["equal"]
        with psycopg.connect(headrace.store, autocommit=True) as store:
            store.execute("update document_versions set metadata = '{}' where closed_at is null")
        differing = {d["document"]: d["what"] for d in verified(headrace)["differences"]}
        assert sorted(differing) == ["docs/a.md", "shop/items/1", "shop/items/2", "uploads/c.md"]
        assert all(what == ["its metadata are others"] for what in differing.values())
        repaired = verified(headrace, repair=True)
        assert (repaired["equal"], repaired["repaired"]) == (True, 4)
        assert headrace.document("docs/a.md")["metadata"] == {**a, "category": "leaves"}

        # And: what cannot be understood says where.
        for filter, step in (({"price": {"above": 3}}, "price.above"), ({"price": {"gt": None}}, "price.gt")):
            with pytest.raises(Refused) as refused:
                found(headrace, filter)
            assert (refused.value.status, refused.value.problem["step"]) == (400, f"read filter.metadata.{step}")
        for metadata in ('{"price": {"above": 3}}', '["price"]', "price", '{"price":' + "[" * 5000):
            with pytest.raises(Refused) as refused:
                registry(headrace, metadata=metadata)
            assert refused.value.status == 400
            assert refused.value.problem["step"].startswith("read metadata")
        assert registry(headrace, metadata='{"category": "roots"}', as_of=before)[0]["metadata"] == a
        answer = upload(headrace, "d.md", b"# D", source="uploads", metadata='{"a": {"b": 1}}')
        assert (answer.status, answer.body["step"]) == (400, "read a document's metadata")
        assert headrace.document("uploads/d.md") is None
