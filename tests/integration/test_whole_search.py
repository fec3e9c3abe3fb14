"""Search from outside: what contradicts itself, copies, filters, text around a hit, and the frameworks' retrievers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from headrace.integrations.http import SearchRefused
from headrace.integrations.langchain import HeadraceRetriever as LangChainRetriever
from headrace.integrations.llamaindex import HeadraceRetriever as LlamaIndexRetriever
from tests.servers import free_port
from tests.whole import Refused, Whole

PARAGRAPH = "Whoever rents the hall pays a deposit that is given back when it has been left clean and in good order. "


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Generator[Whole]:
    folder = tmp_path_factory.mktemp("search")
    documents = folder / "docs"
    (documents / "copies").mkdir(parents=True)
    texts = {
        "old.md": "---\ndate: 2023-02-01\n---\n# Hall\n\nThe Orion hall costs 90 euros a day.\n",
        "new.md": "---\ndate: 2024-02-01\n---\n# Hall\n\nThe Orion hall now costs 120 euros a day, the town said.\n",
        "deposit.md": "# Deposit\n\n" + PARAGRAPH * 2,
        "copies/deposit.md": "# Deposit\n\n" + PARAGRAPH * 2,
        "long.md": "\n\n".join(f"# Part {n}\n\n" + f"Paragraph {n} about topic{n}. " * 60 for n in range(5)),
    }
    for name, text in texts.items():
        (documents / name).write_text(text)
    made = Whole(folder, '[[sources]]\nname = "docs"\nurl = "file://./docs"\n')
    try:
        made.start()
        made.search("x", after=made.token(), wait_ms=60_000)
        yield made
    finally:
        made.close()


def test_the_newest_statement_leads_and_the_older_says_so(whole: Whole) -> None:
    found = whole.search("What does the Orion hall cost a day?", k=2)["results"]

    assert [r["document"] for r in found] == ["docs/new.md", "docs/old.md"]
    assert [r["superseded"] for r in found] == [False, True]
    assert found[1]["superseded_by"] == found[0]["chunk"]
    assert [r["dated"][:10] for r in found] == ["2024-02-01", "2023-02-01"]
    answer = whole.post("/v1/ask", {"question": "What does the Orion hall cost a day?"})
    assert "120" in answer["answer"]


def test_a_copy_is_shown_once_unless_it_is_asked_for(whole: Whole) -> None:
    (first, *others) = whole.search("deposit for the hall, left clean", k=5)["results"]

    assert {first["document"], first["duplicates"][0].partition("#")[0]} == {
        "docs/deposit.md", "docs/copies/deposit.md",
    }  # fmt: skip
    assert not any("deposit" in r["document"] for r in others)
    both = whole.search("deposit for the hall, left clean", k=5, distinct=False)["results"]
    assert sum("deposit" in r["document"] for r in both) == 2


def test_filters_and_neighbours_and_retrievers_go_over_http(whole: Whole) -> None:
    def documents(**where: str) -> set[str]:
        return {r["document"] for r in whole.search("hall deposit", k=20, filter=where)["results"]}

    assert documents(document_prefix="docs/copies/") == {"docs/copies/deposit.md"}
    assert documents(since="2023-01-01T00:00:00Z", until="2023-12-31T00:00:00Z") == {"docs/old.md"}
    assert len(documents(title="DEPOS") & {"docs/deposit.md", "docs/copies/deposit.md"}) == 1
    assert documents(topic="nowhere") == set()

    (plain,) = whole.search("topic2", k=1)["results"]
    (wide,) = whole.search("topic2", k=1, neighbours=1)["results"]
    assert "before" not in plain
    assert wide["text"] == plain["text"]
    assert wide["before"] + wide["behind"]
    (lexical, *_) = whole.search("topic2", retriever="lexical")["results"]
    assert "topic2" in lexical["text"]


def test_the_frameworks_retrievers_bring_source_stamp_and_freshness(whole: Whole) -> None:
    url = f"http://127.0.0.1:{whole.port}"
    query = "What does the Orion hall cost a day?"

    chain = LangChainRetriever(url=url, k=2)
    documents = chain.invoke(query)
    assert [d.page_content for d in asyncio.run(chain.ainvoke(query))] == [d.page_content for d in documents]
    assert documents[0].metadata["document"] == "docs/new.md"
    assert documents[0].metadata["source"] == "docs"
    assert documents[0].metadata["freshness_ms"] >= 0
    assert documents[1].metadata["superseded_by"] == documents[0].id
    assert "120 euros" in documents[0].page_content

    nodes = LlamaIndexRetriever(url, k=2, filter={"document_prefix": "docs/old"}).retrieve(query)
    assert [n.node.metadata["document"] for n in nodes] == ["docs/old.md"]
    assert nodes[0].score is not None
    assert "90 euros" in nodes[0].node.get_content()
    asked = asyncio.run(LlamaIndexRetriever(url, k=1).aretrieve(query))
    assert asked[0].node.metadata["position"]


def test_a_reranker_that_is_asked_for_and_not_there_is_named(whole: Whole) -> None:
    question = "What does the Orion hall cost a day?"
    for path, body in (("/v1/search", {"query": question}), ("/v1/ask", {"question": question})):
        with pytest.raises(Refused) as refused:
            whole.post(path, {**body, "rerank": True})
        assert (refused.value.status, refused.value.problem["expected"]) == (400, "a reranker that is configured")
        assert "[models] reranker" in refused.value.problem["remedy"]
        assert whole.post(path, {**body, "rerank": False})["token"]
    with connect(f"ws://127.0.0.1:{whole.port}/ws") as socket:
        socket.send(json.dumps({"action": "send", "question": question, "rerank": True}))
        chunk = json.loads(socket.recv(timeout=60))["chunk"]
        assert (chunk["type"], chunk["problem"]["status"]) == ("error", 400)
    for command in ("search", "ask"):
        ended = whole.command(command, question, "--rerank")
        assert ended.code == 1
        assert "[models] reranker" in ended.err
    with pytest.raises(SearchRefused, match=r"\[models\] reranker"):
        LangChainRetriever(url=f"http://127.0.0.1:{whole.port}").invoke(question, rerank=True)


def test_a_retriever_says_why_it_got_nothing(whole: Whole) -> None:
    with pytest.raises(SearchRefused, match="headrace up"):
        LangChainRetriever(url=f"http://127.0.0.1:{free_port()}").invoke("x")
    with pytest.raises(SearchRefused):
        LangChainRetriever(url=f"http://127.0.0.1:{whole.port}", after="no token").invoke("x")


def test_the_running_corpus_is_measured_too(whole: Whole, tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "Orion hall price"}\n')
    (tmp_path / "qrels.tsv").write_text("q 0 docs/new.md 1\n")

    ended = whole.command(
        "eval", "--queries", str(tmp_path / "queries.jsonl"), "--qrels", str(tmp_path / "qrels.tsv"), "--json"
    )

    settings = {s["setting"]: s for s in ended.json["settings"]}
    assert {"default", "words alone", "meaning alone", "by rank"} <= settings.keys()
    assert settings["default"]["recall_50"] == 1
