"""`headrace eval` on a collection of our own: the floor below which a release does not go."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.evaluation.run import Report, evaluate, opened

DATA = Path(__file__).parents[1] / "data" / "retrieval"


async def report(cache: Path, said: list[str]) -> Report:
    embedder = opened("onnx:all-MiniLM-L6-v2")
    return await evaluate(embedder, DATA, DATA / "queries.jsonl", DATA / "qrels.tsv", 10, cache, said.append)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


async def test_retrieval_keeps_its_floor_and_fusion_is_ahead_of_both_parts(cache: Path) -> None:
    said: list[str] = []

    first = await report(cache, said)

    scores = {s.setting: s for s in first.settings}
    usual, words, meaning = scores["default"], scores["words alone"], scores["meaning alone"]
    assert (first.documents, first.queries) == (30, 41)
    assert usual.ndcg >= 0.88
    assert usual.recall_10 >= 0.95
    assert usual.mrr >= 0.85
    assert usual.ndcg > max(words.ndcg, meaning.ndcg)
    assert words.ndcg > 0.6
    assert said[0] == "30 of 30 documents indexed"

    # And again: no text is embedded twice, and the figures are the same.
    again = await report(cache, said)
    assert first.embedded >= 30
    assert again.embedded == 0
    assert again.settings == first.settings
