"""Embedders at Bedrock and SageMaker: what boto3 sends and what is made of its errors, against a server of ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from headrace.errors import BadInput, EmbeddingError
from headrace.models import Embedder, Served
from headrace.models.sagemaker import rows
from headrace.registry import embedder_at
from tests.embedding_server import Behaviour, EmbeddingServer, Request, refuses, well
from tests.model_server import Reply, cuts, gives, waits

TITAN = "bedrock://eu-west-1/amazon.titan-embed-text-v2:0?dimensions=256"
COHERE = "bedrock://eu-west-1/cohere.embed-english-v3?dimensions=256"
SAGEMAKER = "sagemaker://eu-west-1/minilm?dimensions=256"
SECRET = "wJalrXUtnFEMI-secret"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddingServer]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with EmbeddingServer(dimensions=256) as made:
        yield made


@asynccontextmanager
async def opened(server: EmbeddingServer, address: str) -> AsyncGenerator[Embedder]:
    url = f"{address}&endpoint={server.address}&retries=2&question_timeout=60"
    embedder: Embedder = await asyncio.to_thread(embedder_at, url)
    try:
        yield embedder
    finally:
        await embedder.close()


def aws(status: int, code: str, message: str = "no", **more: object) -> Behaviour:
    def behave(request: Request, server: EmbeddingServer) -> Reply:
        body = {"message": message, "Message": message, **more}
        return Reply(status, json.dumps(body).encode(), {"x-amzn-errortype": code})

    return behave


async def test_titan_takes_one_text_and_is_told_its_size(server: EmbeddingServer) -> None:
    async with opened(server, TITAN) as embedder:
        vectors = await embedder.embed(["one", "two"])

    assert np.allclose(vectors, server.expected(["one", "two"]), atol=1e-6)
    assert sorted(r.body["inputText"] for r in server.requests) == ["one", "two"]
    assert all(r.body["dimensions"] == 256 and r.body["normalize"] is True for r in server.requests)
    assert {r.path for r in server.requests} == {"/model/amazon.titan-embed-text-v2:0/invoke"}
    assert SECRET not in str([r.headers for r in server.requests])


async def test_the_first_titan_is_told_nothing(server: EmbeddingServer) -> None:
    async with opened(server, "bedrock://eu-west-1/amazon.titan-embed-text-v1?dimensions=256") as embedder:
        await embedder.embed(["one"])

    assert server.requests[0].body == {"inputText": "one"}


async def test_cohere_is_told_what_is_a_question(server: EmbeddingServer) -> None:
    async with opened(server, COHERE) as embedder:
        await embedder.embed([f"text {n}" for n in range(100)] + ["ab " * 2000])
        await embedder.embed(["text?"], query=True)
        assert isinstance(embedder, Served)
        assert not embedder.service.estimated

    kinds = [r.body["input_type"] for r in server.requests]
    assert kinds.count("search_query") == 1
    assert set(kinds) == {"search_query", "search_document"}
    assert max(len(r.texts) for r in server.requests) <= 96
    assert max(len(t) for t in server.texts) <= 2048
    assert {r.body["truncate"] for r in server.requests} == {"END"}


async def test_a_later_cohere_is_told_its_size_and_type(server: EmbeddingServer) -> None:
    async with opened(server, "bedrock://eu-west-1/cohere.embed-v4:0?dimensions=256") as embedder:
        await embedder.embed(["one"])

    body = server.requests[0].body
    assert (body["output_dimension"], body["embedding_types"]) == (256, ["float"])


async def test_sagemaker_is_sent_inputs_and_named_the_component(server: EmbeddingServer) -> None:
    async with opened(server, SAGEMAKER + "&component=one&variant=blue") as embedder:
        await embedder.embed(["one", "two"])
        assert isinstance(embedder, Served)
        assert embedder.service.estimated

    (request,) = server.requests
    assert request.path == "/endpoints/minilm/invocations"
    assert request.body == {"inputs": ["one", "two"]}
    assert request.headers["x-amzn-sagemaker-inference-component"] == "one"
    assert request.headers["x-amzn-sagemaker-target-variant"] == "blue"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([[1.0, 2.0], [3.0, 4.0]], [[1, 2], [3, 4]]),
        ([[[1.0, 2.0], [3.0, 4.0]]], [[2, 3]]),
        ([[[[1.0, 2.0], [3.0, 4.0]]], [[[5.0, 6.0]]]], [[2, 3], [5, 6]]),
        ({"embeddings": [[1.0, 2.0]]}, [[1, 2]]),
        ({"embedding": [[1.0, 2.0]], "model": "x"}, [[1, 2]]),
    ],
)
def test_what_hugging_faces_containers_answer(content: object, expected: list[list[float]]) -> None:
    assert rows(json.dumps(content).encode()) == expected


@pytest.mark.parametrize("content", ["{}", "[1, 2]", '[["a"]]', '[[[1], "a"]]', "[[[1, 2], [3]]]", "nonsense", '"x"'])
async def test_what_they_answer_otherwise_is_garbage(server: EmbeddingServer, content: str) -> None:
    server.behaviour = gives(content.encode())
    async with opened(server, SAGEMAKER + "&breaker_failures=99") as embedder:
        with pytest.raises(EmbeddingError, match=r"something else|vectors for 1 texts"):
            await embedder.embed(["a"])


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        (TITAN, aws(429, "ThrottlingException")),
        (TITAN, aws(400, "ServiceQuotaExceededException")),
        (TITAN, aws(500, "InternalServerException")),
        (COHERE, aws(408, "ModelTimeoutException")),
        (COHERE, aws(429, "ModelNotReadyException")),
        (SAGEMAKER, aws(503, "ServiceUnavailable")),
        (SAGEMAKER, aws(424, "ModelError", OriginalStatusCode=500, OriginalMessage="out of memory")),
        (SAGEMAKER, cuts),
    ],
)
async def test_what_may_pass_is_tried_again_by_us_alone(
    server: EmbeddingServer, address: str, fault: Behaviour
) -> None:
    server.script = [fault, fault]

    async with opened(server, address) as embedder:
        vectors = await embedder.embed(["a"])

    assert np.allclose(vectors, server.expected(["a"]), atol=1e-6)
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("address", "fault", "told"),
    [
        (TITAN, aws(403, "AccessDeniedException", f"user is not {SECRET}"), "status 403"),
        (
            TITAN,
            aws(404, "ResourceNotFoundException", "no such model"),
            "status 404: ResourceNotFoundException no such",
        ),
        (SAGEMAKER, aws(400, "ValidationError", "Endpoint minilm not found"), "Endpoint minilm not found"),
        (
            SAGEMAKER,
            aws(424, "ModelError", OriginalStatusCode=500, OriginalMessage="oom"),
            "status 500: ModelError oom",
        ),
    ],
)
async def test_what_does_not_pass_is_told(server: EmbeddingServer, address: str, fault: Behaviour, told: str) -> None:
    server.behaviour = fault
    async with opened(server, address) as embedder:
        with pytest.raises(EmbeddingError, match=told) as caught:
            await embedder.embed(["a"])

    assert SECRET not in str(caught.value)


async def test_a_request_that_is_too_large_for_the_model_is_parted(server: EmbeddingServer) -> None:
    def too_many(request: Request, server: EmbeddingServer) -> Reply:
        refusal = aws(424, "ModelError", OriginalStatusCode=413, OriginalMessage="batch size > 2")
        return refusal(request, server) if len(request.texts) > 2 else well(request, server)

    server.behaviour = too_many
    texts = [f"text {n}" for n in range(7)]
    async with opened(server, SAGEMAKER) as embedder:
        vectors = await embedder.embed(texts)

    assert np.allclose(vectors, server.expected(texts), atol=1e-6)


async def test_a_text_that_bedrock_does_not_take_is_bad_input(server: EmbeddingServer) -> None:
    server.behaviour = refuses("poison")
    async with opened(server, TITAN) as embedder:
        with pytest.raises(BadInput, match="cannot embed poison"):
            await embedder.embed(["fine", "poison"])
        assert (await embedder.embed(["fine"])).shape == (1, 256)


async def test_an_answer_that_does_not_come_is_not_waited_for(server: EmbeddingServer) -> None:
    server.behaviour = waits
    async with opened(server, SAGEMAKER + "&timeout=0.2") as embedder:
        with pytest.raises(EmbeddingError, match=r"an answer within 0\.2 s|an answer to its end"):
            await embedder.embed(["a"])
        server.gate.set()


async def test_without_credentials_it_says_where_they_are_looked_for(
    server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/none")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/none")

    async with opened(server, TITAN) as embedder:
        with pytest.raises(EmbeddingError, match="Give boto3 credentials") as caught:
            await embedder.embed(["a"])

    assert caught.value.got == "NoCredentialsError"
    assert server.requests == []
