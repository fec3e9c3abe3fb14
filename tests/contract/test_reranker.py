"""What every reranker does: one in this process, and those behind an address, against a server of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from headrace.errors import RerankingError, StoreError
from headrace.models import Reranker
from headrace.registry import reranker_at
from tests.cross_encoder import LIKED, cross_encoder
from tests.reranking_server import RerankingServer

QUERY = f"what is {LIKED} here"
PASSAGES = ["nothing of that kind", f"{LIKED} {LIKED}", f"{LIKED} among other words, of which there are some", " "]
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret-0123456789", "AWS_SESSION_TOKEN": ""}
Address = Callable[[Path, ExitStack], str]


@dataclass(frozen=True)
class Case:
    """A reranker that likes passages with the word LIKED."""

    name: str
    address: Address


def _ours(url: str) -> Address:
    def address(folder: Path, stack: ExitStack) -> str:
        return url.format(server=stack.enter_context(RerankingServer()).address)

    return address


CASES = [
    Case("onnx", lambda folder, stack: f"onnx:{cross_encoder(folder / 'cross')}"),
    Case("onnx, by OpenVINO", lambda folder, stack: f"onnx:{cross_encoder(folder / 'cross')}?runtime=openvino"),
    Case("onnx, two labels", lambda folder, stack: f"onnx:{cross_encoder(folder / 'cross', labels=2)}"),
    Case("common", _ours("{server}/v1/rerank?model=test&max_tokens=64")),
    Case("common, in parts", _ours("{server}/v1/rerank?model=test&max_tokens=64&batch=2")),
    Case("tei", _ours("tei+{server}?max_tokens=64")),
    Case("bedrock, cohere", _ours("bedrock://eu-west-1/cohere.rerank-v3-5:0?endpoint={server}&max_tokens=64")),
    Case("bedrock, amazon", _ours("bedrock://eu-west-1/amazon.rerank-v1:0?endpoint={server}&max_tokens=64")),
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    case: Case = request.param
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        yield case.address(tmp_path_factory.mktemp("reranker"), stack)


@pytest_asyncio.fixture
async def reranker(address: str) -> AsyncIterator[Reranker]:
    made: Reranker = await asyncio.to_thread(reranker_at, address)
    yield made
    await made.close()


async def test_scores_are_in_the_order_of_the_passages_and_higher_for_better_ones(reranker: Reranker) -> None:
    scores = await reranker.scores(QUERY, PASSAGES)

    assert scores.shape == (4,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    assert scores[1] > scores[2] > scores[0]


async def test_a_score_is_of_its_passage_whatever_stands_beside_it(reranker: Reranker) -> None:
    together, turned, alone = await asyncio.gather(
        reranker.scores(QUERY, PASSAGES), reranker.scores(QUERY, PASSAGES[::-1]), reranker.scores(QUERY, PASSAGES[1:2])
    )

    assert together.tolist() == turned[::-1].tolist()
    assert together[1] == alone[0]


async def test_no_passages_have_no_scores(reranker: Reranker) -> None:
    assert (await reranker.scores(QUERY, [])).shape == (0,)


async def test_a_passage_that_is_too_long_is_read_from_its_beginning(reranker: Reranker) -> None:
    plain = "word " * 500

    end, both, beginning = await reranker.scores(QUERY, [plain + LIKED, plain + plain, f"{LIKED} {plain}"])

    assert end == both
    assert beginning > both


async def test_a_query_that_is_too_long_leaves_room_for_passages(reranker: Reranker) -> None:
    scores = await reranker.scores(f"{QUERY} " + "what else is there " * 200, PASSAGES)

    assert scores[1] > scores[0]


async def test_a_lone_surrogate_cannot_be_scored_and_other_passages_can(reranker: Reranker) -> None:
    for query, passage in (("\ud800", "good"), (QUERY, "\ud800")):
        with pytest.raises(RerankingError):
            await reranker.scores(query, ["good", passage])

    assert (await reranker.scores(QUERY, PASSAGES)).shape == (4,)


async def test_a_cancelled_call_leaves_the_next_one_its_turn(reranker: Reranker) -> None:
    many = asyncio.create_task(reranker.scores(QUERY, [f"{LIKED} {n}" for n in range(300)]))
    await asyncio.sleep(0)
    many.cancel()
    with pytest.raises(asyncio.CancelledError):
        await many

    assert (await asyncio.wait_for(reranker.scores(QUERY, PASSAGES), 60)).shape == (4,)


async def test_its_id_is_the_same_for_the_same_address(reranker: Reranker, address: str) -> None:
    other: Reranker = await asyncio.to_thread(reranker_at, address)
    try:
        assert other.id == reranker.id != ""
    finally:
        await other.close()


async def test_once_closed_it_says_so_and_may_be_closed_again(reranker: Reranker) -> None:
    await reranker.close()
    await reranker.close()

    with pytest.raises(StoreError, match="closed"):
        await reranker.scores(QUERY, PASSAGES)
