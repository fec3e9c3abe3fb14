"""Reading test collections, and the measures against rankings worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from headrace.clock import parse_rfc3339
from headrace.errors import BadRequest
from headrace.evaluation import beir
from headrace.evaluation.measures import ndcg, recall, reciprocal_rank


def test_the_measures_are_what_they_are_defined_to_be() -> None:
    grades = {"a": 1, "b": 2, "c": 0}

    assert ndcg(["b", "x", "a"], grades, 10) == pytest.approx((3 + 0.5) / (3 + 1 / math.log2(3)))
    assert ndcg(["x", "b"], grades, 1) == 0
    assert ndcg(["b", "a"], grades, 10) == 1
    assert recall(["x", "a", "c"], grades, 3) == 0.5
    assert recall(["x", "a"], grades, 1) == 0
    assert reciprocal_rank(["c", "x", "a"], grades) == pytest.approx(1 / 3)
    assert (ndcg(["a"], {}, 10), recall(["a"], {}, 10), reciprocal_rank([], grades)) == (0, 0, 0)


def test_a_collection_is_read_in_beirs_layout(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text(
        '{"_id": "x", "title": "Bags", "text": "one\u2028line", "metadata": {"date": "2024-05-01", "more": 1}}\n'
        '{"_id": "y", "text": "another"}\n',
        encoding="utf-8",
    )
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "bag"}\n{"_id": "q2", "text": "not judged"}\n')
    (tmp_path / "bare.tsv").write_text("q1 0 x 2\n")
    (tmp_path / "named.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tx\t2\n")

    first, second = beir.corpus(tmp_path, 7)
    assert (first.id, first.content, first.at) == (
        "x", "# Bags\n\none\u2028line\n".encode(), parse_rfc3339("2024-05-01T00:00:00Z"),
    )  # fmt: skip
    assert (second.id, second.content, second.at) == ("y", b"another\n", 7)
    for name in ("bare.tsv", "named.tsv"):
        judged = beir.judgements(tmp_path / name)
        assert judged == {"q1": {"x": 2}}
        assert [q.text for q in beir.queries(tmp_path / "queries.jsonl", judged)] == ["bag"]


def test_a_folder_of_files_is_a_corpus_too(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.md").write_text("one")
    (tmp_path / ".hidden").write_text("two")

    assert [(i.id, i.path, i.content) for i in beir.corpus(tmp_path, 0)] == [("a/x.md", "a/x.md", b"one")]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"_id": "q1", "text": "bag"}\n{"text": 3}\n')
    (tmp_path / "bad.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tx\n")

    with pytest.raises(BadRequest, match="line 2"):
        beir.corpus(tmp_path / "bad.jsonl", 0)
    with pytest.raises(BadRequest, match="line 2"):
        beir.judgements(tmp_path / "bad.tsv")
    with pytest.raises(BadRequest, match="none of that name"):
        beir.judgements(tmp_path / "missing.tsv")
    with pytest.raises(BadRequest, match="such as a, b"):
        beir.known({"q1": {"x": 1}}, ["a", "b"], tmp_path)
