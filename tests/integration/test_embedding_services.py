"""Embedders behind an address, against a server that does all that such servers do wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest

from headrace.errors import BadInput, EmbeddingError
from headrace.models import Vectors
from headrace.models.asked import seconds
from headrace.models.bundled import tokenizer
from headrace.models.openai_embeddings import open_embedder
from headrace.models.remote import RemoteEmbedder
from tests.embedding_server import Behaviour, EmbeddingServer, refuses, says, well
from tests.model_server import cuts, gives, waits

KEY = "sk-secret-0123456789"
QUICK = "&dimensions=8&retries=2&breaker_pause=0.2"


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with EmbeddingServer() as made:
        yield made


@asynccontextmanager
async def opened(server: EmbeddingServer, more: str = "") -> AsyncGenerator[RemoteEmbedder]:
    """The last of a parameter counts."""
    embedder = await asyncio.to_thread(open_embedder, f"{server.openai}&key={KEY}{QUICK}{more}")
    try:
        yield embedder
    finally:
        await embedder.close()


def near(server: EmbeddingServer, vectors: Vectors, texts: list[str]) -> bool:
    return np.allclose(vectors, server.expected(texts), atol=1e-6)


# ---- requests --------------------------------------------------------------------------------------------------------


async def test_rows_come_in_the_order_of_the_texts_whatever_order_the_server_has(server: EmbeddingServer) -> None:
    texts = [f"text {n}" for n in range(20)]

    async with opened(server, "&batch=8") as embedder:
        vectors = await embedder.embed([*texts, texts[3]])

    assert near(server, vectors, [*texts, texts[3]])
    assert sorted(len(r.texts) for r in server.requests) == [4, 8, 8]
    assert len(server.texts) == 20, "the same text is sent once"


async def test_a_request_has_as_many_tokens_as_it_may(server: EmbeddingServer) -> None:
    async with opened(server, "&batch_tokens=40") as embedder:
        each = embedder.count_tokens("one two three four five")
        await embedder.embed([f"one two three four {n}" for n in "abcdefgh"] + ["word " * 60])

    sizes = [len(r.texts) for r in server.requests]
    assert max(sizes) == 40 // each
    assert 1 in sizes


async def test_no_more_requests_at_a_time_than_allowed(server: EmbeddingServer) -> None:
    server.behaviour = waits
    async with opened(server, "&batch=1&concurrency=3") as embedder:
        live = asyncio.create_task(embedder.embed([str(n) for n in range(9)]))
        assert await asyncio.to_thread(server.becomes, lambda: server.at_once == 3)
        server.gate.set()
        await live

    assert server.most_at_once == 3


async def test_a_live_text_overtakes_the_background(server: EmbeddingServer) -> None:
    server.script = [waits]
    async with opened(server, "&batch=1&concurrency=2") as embedder:
        bulk = asyncio.create_task(embedder.embed([str(n) for n in range(5)], background=True))
        assert await asyncio.to_thread(server.becomes, lambda: len(server.requests) == 1)

        await embedder.embed(["live"])

        assert server.texts[1] == "live"
        assert not bulk.done()
        server.gate.set()
        assert (await bulk).shape == (5, 8)


async def test_the_key_is_sent_and_prefixes_stand_before_texts(server: EmbeddingServer) -> None:
    async with opened(server, "&query_prefix=query:%20&document_prefix=passage:%20") as embedder:
        await embedder.embed(["seats"])
        await embedder.embed(["seats?"], query=True)

    assert server.texts == ["passage: seats", "query: seats?"]
    assert {r.headers["authorization"] for r in server.requests} == {f"Bearer {KEY}"}
    assert {r.body["model"] for r in server.requests} == {"test"}
    assert "dimensions" not in server.requests[0].body


async def test_a_server_that_can_shorten_is_told_how_far(server: EmbeddingServer) -> None:
    async with opened(server, "&shorten=true") as embedder:
        await embedder.embed(["seats"])

    assert server.requests[0].body["dimensions"] == 8


async def test_a_longer_text_is_cut_at_what_the_model_reads(server: EmbeddingServer, own: str) -> None:
    async with opened(server, "&max_tokens=10") as estimating:
        await estimating.embed(["word " * 50])
        assert estimating.max_tokens == 10
        assert estimating.count_tokens("word " * 50) == 65, "52 tokens and a quarter"
    async with opened(server, f"&max_tokens=10&tokenizer={own}") as exact:
        await exact.embed(["word " * 50])
        assert exact.count_tokens("word " * 50) == 52

    guessed, counted = (t.split() for t in server.texts)
    assert len(guessed) == 7
    assert len(counted) == 9


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tokenizer.json that truncates and pads, as published ones do."""
    found = tokenizer()
    found.enable_truncation(4)  # pyright: ignore[reportUnknownMemberType]
    found.enable_padding(length=32)  # pyright: ignore[reportUnknownMemberType]
    path = tmp_path_factory.mktemp("own") / "tokenizer.json"
    found.save(str(path))
    return str(path)


async def test_dimensions_are_those_of_a_first_answer(server: EmbeddingServer) -> None:
    embedder = await asyncio.to_thread(open_embedder, server.openai)

    assert embedder.dimensions == 8
    assert (await embedder.embed(["a"])).shape == (1, 8)
    await embedder.close()


async def test_tokens_and_costs_are_counted_as_the_server_tells_them(server: EmbeddingServer) -> None:
    async with opened(server, "&price=2.5") as embedder:
        await embedder.embed(["one two three", "four"])
        await embedder.embed(["five"])
        seen = embedder.service

    assert (seen.state, seen.requests, seen.failures, seen.texts, seen.tokens) == ("ok", 2, 0, 3, 5)
    assert seen.cost == pytest.approx(5 * 2.5 / 1e6)
    assert not seen.estimated


async def test_where_the_server_does_not_tell_tokens_they_are_estimated(server: EmbeddingServer) -> None:
    server.behaviour = gives(json.dumps({"data": [{"embedding": server.vector("a")}]}).encode())
    async with opened(server) as embedder:
        await embedder.embed(["one two three"])
        assert embedder.service.tokens == embedder.count_tokens("one two three")
        assert embedder.service.estimated


async def test_limits_by_the_minute_let_no_more_requests_out(server: EmbeddingServer) -> None:
    async with opened(server, "&batch=1&requests_per_minute=3") as embedder:
        waiting = asyncio.create_task(embedder.embed([str(n) for n in range(5)]))
        assert await asyncio.to_thread(server.becomes, lambda: len(server.requests) == 3)
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        assert not done
        assert len(server.requests) == 3, "the fourth waits for the next minute"
        waiting.cancel()


# ---- what servers do wrong -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [says(429), says(500), says(503, Retry_After="0"), says(529), cuts, gives(b"<html>"), gives(b'{"data": 7}')],
    ids=["429", "500", "503", "529", "cut", "html", "json"],
)
async def test_what_may_pass_is_tried_again(server: EmbeddingServer, fault: Behaviour) -> None:
    server.script = [fault, fault]

    async with opened(server) as embedder:
        vectors = await embedder.embed(["a", "b"])
        seen = embedder.service

    assert near(server, vectors, ["a", "b"])
    assert (seen.state, seen.requests, seen.failures, seen.reason) == ("ok", 3, 2, None)


@pytest.mark.parametrize(
    ("fault", "told", "requests"),
    [
        (says(500, f"broken, key was {KEY}"), r"status 500: broken, key was \*\*\*", 3),
        (says(401, f"wrong key {KEY}"), "status 401", 1),
        (says(404, "no such model"), "status 404: no such model", 1),
        (cuts, "RemoteProtocolError", 3),
        (gives(b"<html>"), "something else", 3),
        (gives(b'{"data": []}'), "0", 1),
        (gives(b'{"data": [{"embedding": [1, 2, 3]}]}'), "vectors of 3", 1),
        (gives(b'{"data": [{"embedding": [0, 0, 0, 0, 0, 0, 0, 0]}]}'), "zeros", 1),
        (gives(b'{"data": [{"embedding": []}]}'), "vectors of 0", 1),
        (gives(b'{"data": [{"embedding": [1, 0, 0, 0, 0, 0, 0, 0], "index": 4}]}'), "others: \\[4\\]", 1),
    ],
    ids=["500", "401", "404", "cut", "html", "none", "short", "zeros", "empty", "index"],
)
async def test_what_does_not_pass_is_told_without_the_key(
    server: EmbeddingServer, fault: Behaviour, told: str, requests: int
) -> None:
    server.behaviour = fault

    async with opened(server) as embedder:
        with pytest.raises(EmbeddingError, match=told) as caught:
            await embedder.embed(["a"])
        seen = embedder.service

    assert len(server.requests) == requests
    assert f"127.0.0.1:{server.port} with test" in caught.value.step
    assert KEY not in f"{caught.value} {seen}"
    assert seen.state == "failing"
    assert seen.failures == requests


async def test_a_server_that_takes_too_long_is_not_waited_for(server: EmbeddingServer) -> None:
    server.behaviour = waits
    async with opened(server, "&timeout=0.2&retries=1") as embedder:
        with pytest.raises(EmbeddingError, match=r"an answer within 0\.2 s"):
            await embedder.embed(["a"])

        assert embedder.service.requests == 2


async def test_a_question_is_kept_waiting_no_longer_than_it_may(server: EmbeddingServer) -> None:
    server.behaviour = waits
    async with opened(server, "&question_timeout=0.2&timeout=60") as embedder:
        with pytest.raises(EmbeddingError, match=r"vectors within 0\.2 s"):
            await embedder.embed(["a?"], query=True)


async def test_a_server_that_is_not_there(server: EmbeddingServer) -> None:
    server.stop()
    async with opened(server) as embedder:
        with pytest.raises(EmbeddingError, match="a connection") as caught:
            await embedder.embed(["a"])

        assert "can be reached" in caught.value.remedy
        server.start()
        assert near(server, await embedder.embed(["a"]), ["a"])


async def test_after_failures_in_a_row_it_is_left_alone_and_one_request_tries_it(server: EmbeddingServer) -> None:
    server.behaviour = says(500)
    async with opened(server, "&retries=0&breaker_failures=2&breaker_pause=30&concurrency=1") as embedder:
        for _ in range(2):
            with pytest.raises(EmbeddingError):
                await embedder.embed(["a"])
        with pytest.raises(EmbeddingError, match=r"status 500.*tried again at 20\d\d-\d\d-\d\dT") as caught:
            await embedder.embed(["a"])

        seen = embedder.service
        assert len(server.requests) == 2, "the third was not sent"
        assert seen.state == "open"
        assert seen.again_at is not None
        assert caught.value.after_s is not None
        assert 0 < caught.value.after_s <= 30


async def test_a_server_that_is_left_alone_is_asked_again_when_its_time_has_come(server: EmbeddingServer) -> None:
    server.behaviour = says(500)
    async with opened(server, "&retries=0&breaker_failures=1&breaker_pause=0.2") as embedder:
        with pytest.raises(EmbeddingError):
            await embedder.embed(["a"])
        server.behaviour = well

        async def again() -> Vectors:
            while True:
                try:
                    return await embedder.embed(["a"])
                except EmbeddingError as error:
                    await asyncio.sleep(error.after_s or 0)

        assert near(server, await asyncio.wait_for(again(), 60), ["a"])
        assert embedder.service.state == "ok"


async def test_a_long_pause_that_the_server_asks_for_is_kept(server: EmbeddingServer) -> None:
    server.behaviour = says(429, Retry_After="3600")
    async with opened(server) as embedder:
        with pytest.raises(EmbeddingError, match="status 429"):
            await embedder.embed(["a"])
        with pytest.raises(EmbeddingError, match="status 429") as caught:
            await embedder.embed(["a"])

        assert len(server.requests) == 1
        assert caught.value.after_s is not None
        assert 3500 < caught.value.after_s <= 3600


def test_retry_after_is_a_number_or_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)

    assert seconds("7.5") == 7.5
    assert 80 < (seconds(date) or 0) <= 90
    assert seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert seconds("soon") is seconds("") is seconds(None) is None


async def test_the_one_text_that_is_refused_is_found_and_the_others_are_not_at_fault(server: EmbeddingServer) -> None:
    server.behaviour = refuses("poison")
    texts = [f"text {n}" for n in range(7)]
    async with opened(server) as embedder:
        with pytest.raises(BadInput, match="cannot embed poison"):
            await embedder.embed([*texts[:4], "poison", *texts[4:]])
        before = len(server.requests)

        assert near(server, await embedder.embed(texts), texts)
        assert embedder.service.state == "ok"

    assert len(server.requests) == before + 1


async def test_where_every_text_is_refused_no_text_is_at_fault(server: EmbeddingServer) -> None:
    server.behaviour = says(400, "unknown model")
    async with opened(server) as embedder:
        with pytest.raises(EmbeddingError, match="status 400: unknown model"):
            await embedder.embed(["a", "b"])


async def test_what_was_embedded_before_a_failure_is_not_paid_twice(server: EmbeddingServer) -> None:
    texts = [str(n) for n in range(6)]
    server.script = [well, well, well, well, says(401), says(401)]
    async with opened(server, "&batch=1&concurrency=1&breaker_failures=9") as embedder:
        with pytest.raises(EmbeddingError):
            await embedder.embed(texts)
        vectors = await embedder.embed(texts)

    assert near(server, vectors, texts)
    assert [server.texts.count(t) for t in texts] == [1, 1, 1, 1, 2, 2]


async def test_a_cancelled_call_frees_its_place(server: EmbeddingServer) -> None:
    server.script = [waits]
    async with opened(server, "&concurrency=1") as embedder:
        slow = asyncio.create_task(embedder.embed(["slow"]))
        assert await asyncio.to_thread(server.becomes, lambda: server.at_once == 1)

        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow

        assert near(server, await asyncio.wait_for(embedder.embed(["next"]), 60), ["next"])
