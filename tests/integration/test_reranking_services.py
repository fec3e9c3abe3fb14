"""Rerankers behind an address: what is sent, and what is made of answers, failures and limits, against a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import pytest

from headrace.errors import RerankingError
from headrace.models.remote_reranker import RemoteReranker
from headrace.registry import reranker_at
from tests.model_server import cuts, gives, waits
from tests.reranking_server import Behaviour, RerankingServer, alike, by_search, says, well

KEY = "sk-secret-0123456789"
QUERY = "seats by the window"
PASSAGES = ["no", "seats", "the window seats", "seats and bags"]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[RerankingServer]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
    with RerankingServer() as made:
        yield made


@asynccontextmanager
async def opened(server: RerankingServer, more: str = "", address: str = "") -> AsyncGenerator[RemoteReranker]:
    reranker: RemoteReranker = reranker_at(f"{address or server.common}{more}")
    try:
        yield reranker
    finally:
        await reranker.close()


def expected() -> list[float]:
    return [alike(QUERY, p) for p in PASSAGES]


async def test_the_common_request_has_model_query_documents_and_key(server: RerankingServer) -> None:
    async with opened(server, f"&key={KEY}") as reranker:
        scores = await reranker.scores(QUERY, PASSAGES)

    (request,) = server.requests
    assert scores.tolist() == expected()
    assert request.path == "/v1/rerank"
    assert request.body == {"model": "test", "query": QUERY, "documents": PASSAGES, "top_n": 4}
    assert request.headers["authorization"] == f"Bearer {KEY}"


async def test_tei_has_texts_and_is_told_to_cut_what_is_too_long(server: RerankingServer) -> None:
    async with opened(server, address=f"tei+{server.address}") as reranker:
        scores = await reranker.scores(QUERY, PASSAGES * 10)
        seen = reranker.service

    assert scores.tolist() == expected() * 10
    assert [len(r.passages) for r in server.requests] in ([32, 8], [8, 32])
    assert {r.path for r in server.requests} == {"/rerank"}
    assert server.requests[0].body.keys() == {"query", "texts", "truncate"}
    assert server.requests[0].body["truncate"] is True
    assert seen.estimated


async def test_cohere_at_bedrock_is_told_the_version_and_amazon_is_not(server: RerankingServer) -> None:
    for model, version in (("cohere.rerank-v3-5:0", 2), ("amazon.rerank-v1:0", None)):
        async with opened(server, address=f"bedrock://eu-west-1/{model}?endpoint={server.address}") as reranker:
            assert (await reranker.scores(QUERY, PASSAGES)).tolist() == expected()
            assert not reranker.service.estimated
        assert server.requests[-1].path == f"/model/{model}/invoke"
        assert server.requests[-1].body.get("api_version") == version


async def test_passages_are_cut_and_queries_are_not(server: RerankingServer) -> None:
    query = "word " * 50
    async with opened(server, "&max_tokens=10") as reranker:
        await reranker.scores(query, ["word " * 50, "word"])
    async with opened(server) as whole:
        await whole.scores(query, ["word " * 50])

    first, second = server.requests
    assert first.query == second.query == query
    assert [len(p.split()) for p in first.passages] == [7, 1]
    assert second.passages == ["word " * 50]


async def test_tokens_and_searches_cost_what_the_address_says(server: RerankingServer) -> None:
    async with opened(server, "&price=2.5") as by_tokens:
        await by_tokens.scores("one two", ["three", "four five"])
        told = by_tokens.service
    server.bills = by_search
    async with opened(server, "&search_price=2") as by_searches:
        await by_searches.scores("one two", ["three"])
        await by_searches.scores("one two", ["three"])
        billed = by_searches.service

    assert (told.requests, told.texts, told.tokens, told.estimated) == (1, 2, 7, False)
    assert told.cost == pytest.approx(7 * 2.5 / 1e6)
    assert billed.cost == pytest.approx(4 * 2 / 1000), "two searches in each answer"


@pytest.mark.parametrize("fault", [says(429), says(500), cuts, gives(b"<html>"), gives(b'{"results": 7}')])
async def test_what_may_pass_is_tried_again(server: RerankingServer, fault: Behaviour) -> None:
    server.script = [fault]

    async with opened(server) as reranker:
        scores = await reranker.scores(QUERY, PASSAGES)
        seen = reranker.service

    assert scores.tolist() == expected()
    assert (seen.state, seen.requests, seen.failures) == ("ok", 2, 1)


def results(*scores: tuple[int, float]) -> Behaviour:
    return gives(json.dumps({"results": [{"index": n, "relevance_score": s} for n, s in scores]}).encode())


@pytest.mark.parametrize(
    ("fault", "told", "requests"),
    [
        (says(500, f"broken, key was {KEY}"), r"status 500: broken, key was \*\*\*", 2),
        (says(401, f"wrong key {KEY}"), "status 401", 1),
        (says(422, "too many documents"), "status 422: too many documents", 1),
        (cuts, "RemoteProtocolError", 2),
        (gives(b"<html>"), "something else", 2),
        (results((0, 0.5)), "1: of 0", 1),
        (results((0, 0.5), (0, 0.6), (1, 0.7), (2, 0.1)), "4: of 0, 0, 1, 2", 1),
        (results((0, 0.5), (1, 0.6), (2, 0.7), (9, 0.1)), "4: of 0, 1, 2, 9", 1),
        (results((0, 1), (1, 1), (2, 1), (3, 1e999)), "something else|no number|none", 2),
    ],
    ids=["500", "401", "422", "cut", "html", "few", "twice", "beyond", "infinite"],
)
async def test_what_does_not_pass_is_told_without_the_key(
    server: RerankingServer, fault: Behaviour, told: str, requests: int
) -> None:
    server.behaviour = fault

    async with opened(server, f"&key={KEY}") as reranker:
        with pytest.raises(RerankingError, match=told) as caught:
            await reranker.scores(QUERY, PASSAGES)

        assert len(server.requests) == requests
        assert f"127.0.0.1:{server.port} with test" in caught.value.step
        assert KEY not in f"{caught.value} {reranker.service}"


async def test_one_that_fails_is_left_alone_and_comes_back(server: RerankingServer) -> None:
    server.behaviour = says(500)
    async with opened(server, "&retries=0&breaker_failures=2&breaker_pause=0.2") as reranker:
        for _ in range(2):
            with pytest.raises(RerankingError, match="status 500"):
                await reranker.scores(QUERY, PASSAGES)
        seen = reranker.service
        server.behaviour = well

        async def again() -> list[float]:
            while True:
                try:
                    return (await reranker.scores(QUERY, PASSAGES)).tolist()
                except RerankingError as error:
                    await asyncio.sleep(error.after_s or 0)

        assert await asyncio.wait_for(again(), 60) == expected()
        assert (seen.state, reranker.service.state) == ("open", "ok")


async def test_one_that_is_not_there(server: RerankingServer) -> None:
    server.stop()
    async with opened(server, "&retries=0") as reranker:
        with pytest.raises(RerankingError, match="a connection"):
            await reranker.scores(QUERY, PASSAGES)


async def test_one_that_takes_too_long_is_not_waited_for(server: RerankingServer) -> None:
    server.behaviour = waits
    async with opened(server, "&timeout=0.2&retries=0") as reranker:
        with pytest.raises(RerankingError, match=r"an answer within 0\.2 s"):
            await reranker.scores(QUERY, PASSAGES)


async def test_limits_by_the_minute_let_no_more_requests_out(server: RerankingServer) -> None:
    async with opened(server, "&batch=1&requests_per_minute=3") as reranker:
        waiting = asyncio.create_task(reranker.scores(QUERY, PASSAGES))
        assert await asyncio.to_thread(server.becomes, lambda: len(server.requests) == 3)
        done, _ = await asyncio.wait([waiting], timeout=0.3)

        assert not done
        assert len(server.requests) == 3, "the fourth waits for the next minute"
        waiting.cancel()
