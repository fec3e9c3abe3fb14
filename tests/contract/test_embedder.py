"""What every embedder does: one in this process, and those behind an address, against a real server and ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from headrace.errors import BadInput, StoreError
from headrace.models import Embedder, Served
from headrace.registry import embedder_at
from tests.embedding_server import EmbeddingServer
from tests.llm_server import LlmServer
from tests.small_model import small_model

TEXTS = ["The flight was cancelled.", "Add two cups of flour.", "naïve café 東京 👩‍✈️", "x", "a\nb\tc", " "]
LONG = "A passenger may change the date of a reservation before departure. " * 300
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret-0123456789", "AWS_SESSION_TOKEN": ""}
MORE = "&question_timeout=60"


@dataclass(frozen=True)
class Case:
    """`tolerance`: how far two vectors of one text may be apart; 0 where they are the same bits."""

    name: str
    address: Callable[[Path, ExitStack], str]
    tolerance: float = 1e-6


def _onnx(folder: Path, stack: ExitStack) -> str:
    return f"onnx:{small_model(folder / 'small', 12)}"


def _real(folder: Path, stack: ExitStack) -> str:
    server = stack.enter_context(LlmServer(embeddings=True))
    # Its context holds 1024 of its own tokens, of which a text of another language has many more than words.
    return f"openai+{server.base_url}?model=smollm2&max_tokens=256&batch=4&timeout=120&question_timeout=120"


def _ours(url: str) -> Callable[[Path, ExitStack], str]:
    def address(folder: Path, stack: ExitStack) -> str:
        server = stack.enter_context(EmbeddingServer(dimensions=256))
        return url.format(server=server.address)

    return address


CASES = [
    Case("onnx, the one that comes along", lambda folder, stack: "onnx:all-MiniLM-L6-v2", 0),
    Case("onnx, the same by OpenVINO", lambda folder, stack: "onnx:all-MiniLM-L6-v2?runtime=openvino", 0),
    Case("onnx, a folder", _onnx, 0),
    Case("onnx, a folder by OpenVINO", lambda folder, stack: _onnx(folder, stack) + "?runtime=openvino", 0),
    Case("openai, a real server", _real, 2e-2),
    Case("openai", _ours("openai+{server}/v1?model=test" + MORE)),
    Case("titan", _ours("bedrock://eu-west-1/amazon.titan-embed-text-v2:0?endpoint={server}&dimensions=256" + MORE)),
    Case("cohere 3", _ours("bedrock://eu-west-1/cohere.embed-english-v3?endpoint={server}" + MORE)),
    Case("cohere 4", _ours("bedrock://eu-west-1/cohere.embed-v4:0?endpoint={server}&dimensions=256" + MORE)),
    Case("sagemaker", _ours("sagemaker://eu-west-1/minilm?endpoint={server}" + MORE)),
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(scope="module")
def address(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        yield case.address(tmp_path_factory.mktemp("embedder"), stack)


@pytest_asyncio.fixture
async def embedder(address: str) -> AsyncIterator[Embedder]:
    made: Embedder = await asyncio.to_thread(embedder_at, address)
    yield made
    await made.close()


async def test_vectors_are_of_length_1_one_for_each_text(embedder: Embedder) -> None:
    for background, query in ((False, False), (True, False), (False, True)):
        vectors = await embedder.embed(TEXTS, background=background, query=query)

        assert vectors.shape == (len(TEXTS), embedder.dimensions)
        assert vectors.dtype == np.float32
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-4)


async def test_no_texts_give_no_vectors(embedder: Embedder) -> None:
    assert (await embedder.embed([])).shape == (0, embedder.dimensions)


async def test_a_row_is_of_its_text_whatever_stands_beside_it(embedder: Embedder, case: Case) -> None:
    together, reversed_, alone = await asyncio.gather(
        embedder.embed(TEXTS),
        embedder.embed(TEXTS[::-1], background=True),
        embedder.embed([TEXTS[0]]),
    )

    assert np.abs(together - reversed_[::-1]).max() <= case.tolerance
    assert np.abs(together[0] - alone[0]).max() <= case.tolerance
    assert np.abs(together[0] - together[1]).max() > 2 * case.tolerance, "another text, another vector"


async def test_a_text_that_is_too_long_is_read_from_its_beginning(embedder: Embedder, case: Case) -> None:
    assert embedder.count_tokens(LONG) > embedder.max_tokens > 0 or embedder.max_tokens > 2000

    first, second = await embedder.embed([LONG * 4, LONG * 5])

    assert np.abs(first - second).max() <= case.tolerance


async def test_a_lone_surrogate_is_bad_input_and_the_rest_goes_on(embedder: Embedder) -> None:
    with pytest.raises(BadInput, match="surrogate"):
        await embedder.embed(["good", "\ud800", "good"])

    assert (await embedder.embed(["good"])).shape == (1, embedder.dimensions)


async def test_chunks_are_cut_by_a_tokenizer_that_leaves_nothing_out(embedder: Embedder) -> None:
    ids = embedder.tokenizer.encode("word " * 3000).ids

    assert len(ids) >= 3000
    assert embedder.count_tokens("word " * 3000) >= len(ids)
    assert embedder.tokenizer.encode("one").ids == embedder.tokenizer.encode_batch(["one", "one two three"])[0].ids


async def test_another_of_the_same_address_is_the_same_model(embedder: Embedder, address: str, case: Case) -> None:
    another: Embedder = await asyncio.to_thread(embedder_at, address)

    mine, others = await embedder.embed(TEXTS[:2]), await another.embed(TEXTS[:2], background=True)

    await another.close()
    assert another.id == embedder.id
    assert another.dimensions == embedder.dimensions
    assert np.abs(mine - others).max() <= case.tolerance


async def test_a_cancelled_call_leaves_it_usable(embedder: Embedder) -> None:
    bulk = asyncio.create_task(embedder.embed([f"{n} {LONG[:500]}" for n in range(40)], background=True))
    await asyncio.sleep(0)

    bulk.cancel()

    with pytest.raises(asyncio.CancelledError):
        await bulk
    assert (await embedder.embed(["after"], background=True)).shape == (1, embedder.dimensions)


async def test_what_it_has_done_is_counted_where_it_is_a_service(embedder: Embedder, address: str) -> None:
    await embedder.embed(["one", "two"])

    assert isinstance(embedder, Served) is not address.startswith("onnx:")
    if isinstance(embedder, Served):
        seen = embedder.service
        assert (seen.state, seen.texts, seen.failures) == ("ok", 2, 0)
        assert seen.tokens >= 2
        assert seen.requests >= 1


async def test_a_closed_one_says_so_and_closes_again(address: str) -> None:
    embedder: Embedder = await asyncio.to_thread(embedder_at, address)

    await embedder.close()
    await embedder.close()

    with pytest.raises(StoreError, match="closed"):
        await embedder.embed(["late"])
