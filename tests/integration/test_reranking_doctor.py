"""What `headrace doctor` says of a reranker: whether it answers, in time, and knows what is nearer."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.config.sections import Models
from headrace.errors import RerankingError
from headrace.findings import Level
from headrace.reranking import reranking_findings
from tests.cross_encoder import cross_encoder
from tests.reranking_server import RerankingServer, says

KEY = "sk-secret-0123456789"


async def test_one_that_answers_in_time_and_in_order_is_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RERANK_KEY", KEY)
    with RerankingServer() as server:
        address = f"{server.common}&key=${{env:RERANK_KEY}}"

        (told,) = await reranking_findings(Models(reranker=address, rerank_candidates=12, rerank_ms=60_000))

    assert told.level is Level.OK
    assert told.got.startswith(f"{address}, scores 12 passages in ")
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert len(server.passages) == 12


async def test_one_that_is_too_slow_or_knows_nothing_is_warned_of(tmp_path: Path) -> None:
    folder = cross_encoder(tmp_path, weight=0)

    told = await reranking_findings(Models(reranker=f"onnx:{folder}", rerank_candidates=200, rerank_ms=1))

    assert [f.check for f in told] == ["model", "time", "order"]
    assert [f.level for f in told[1:]] == [Level.WARNING, Level.WARNING]
    assert "rerank_candidates" in told[1].remedy
    assert told[2].got == "scores 0.5000 and 0.5000"


async def test_one_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RERANK_KEY", KEY)
    with RerankingServer() as server:
        server.behaviour = says(401, f"wrong key {KEY}")
        with pytest.raises(RerankingError, match="status 401") as caught:
            await reranking_findings(Models(reranker=f"{server.common}&key=${{env:RERANK_KEY}}"))

    assert "Check the key" in caught.value.remedy
    assert KEY not in str(caught.value)
