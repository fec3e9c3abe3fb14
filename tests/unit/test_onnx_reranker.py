"""`onnx:` cross-encoders as folders at Hugging Face have them: what is read of a pair, and what is refused."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from headrace.errors import ConfigError
from headrace.models.cross_encoder import CrossEncoder, chance
from headrace.models.onnx_reranker import OnnxReranker, open_reranker
from headrace.models.threads import processors
from tests.cross_encoder import LIKED, cross_encoder, liked

QUERY = "which seats are there"
PASSAGES = [f"{LIKED} seats", "seats", f"a seat that is {LIKED}", f"{LIKED} " * 100]


@asynccontextmanager
async def opened(folder: Path, query: str = "") -> AsyncGenerator[OnnxReranker]:
    reranker = open_reranker(f"onnx:{folder}{query}")
    try:
        yield reranker
    finally:
        await reranker.close()


async def test_a_score_is_the_logistic_function_of_the_logit(tmp_path: Path) -> None:
    async with opened(cross_encoder(tmp_path)) as reranker:
        scores = await reranker.scores(QUERY, PASSAGES)

    np.testing.assert_allclose(scores, [liked(QUERY, p) for p in PASSAGES], rtol=1e-5)


async def test_of_two_labels_it_is_the_part_of_the_second(tmp_path: Path) -> None:
    async with opened(cross_encoder(tmp_path, labels=2)) as reranker:
        scores = await reranker.scores(QUERY, PASSAGES)

    by_hand = np.array([liked(QUERY, p, weight=15) for p in PASSAGES])
    np.testing.assert_allclose(scores, by_hand, rtol=1e-5)


async def test_a_graph_without_token_types_reads_both_texts(tmp_path: Path) -> None:
    async with opened(cross_encoder(tmp_path, inputs=("input_ids", "attention_mask"))) as reranker:
        without, beside = await reranker.scores(LIKED, ["seats", f"{LIKED} seats"])

    assert 0.5 < without < beside


async def test_a_graph_in_the_folder_onnx_and_one_by_its_name(tmp_path: Path) -> None:
    cross_encoder(tmp_path, file="onnx/model.onnx")
    cross_encoder(tmp_path, file="onnx/model_quantized.onnx", weight=5)

    async with opened(tmp_path) as first, opened(tmp_path, "?file=onnx/model_quantized.onnx") as second:
        assert first.id != second.id
        whole, half = await first.scores(QUERY, PASSAGES[:1]), await second.scores(QUERY, PASSAGES[:1])

    assert whole[0] == pytest.approx(liked(QUERY, PASSAGES[0]), rel=1e-5)
    assert half[0] == pytest.approx(liked(QUERY, PASSAGES[0], weight=5), rel=1e-5)


async def test_how_much_is_read_is_what_the_folder_or_the_address_says(tmp_path: Path) -> None:
    cross_encoder(tmp_path, max_tokens=40)
    passage = "word " * 20 + LIKED

    async with opened(tmp_path) as folder, opened(tmp_path, "?max_tokens=16") as address:
        assert folder.id != address.id
        assert (await folder.scores(QUERY, [passage]))[0] == pytest.approx(liked(QUERY, passage, max_tokens=40))
        assert (await address.scores(QUERY, [passage]))[0] == 0.5


async def test_the_query_is_cut_only_where_it_would_leave_too_little_of_the_passage(tmp_path: Path) -> None:
    folder = cross_encoder(tmp_path, max_tokens=23)  # 20 beside the special ones, of which the query may have 15
    model = open_reranker(f"onnx:{folder}")
    inside, beyond = "word " * 15, "word " * 16

    assert model._model.cut(inside) == inside  # pyright: ignore[reportPrivateUsage]
    assert model._model.cut(beyond).split() == inside.split()  # pyright: ignore[reportPrivateUsage]
    scores = await model.scores(beyond * 9, [f"{LIKED} seats", "seats"])

    assert scores[0] == pytest.approx(liked(inside, f"{LIKED} seats", max_tokens=23))
    assert scores[1] == 0.5
    await model.close()


async def test_a_search_that_is_given_up_leaves_only_what_has_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    go_on = threading.Event()

    def score(self: CrossEncoder, query: str, passage: str) -> float:
        begun.append(passage)
        assert go_on.wait(60)
        return 1.0

    async with opened(cross_encoder(tmp_path)) as reranker:
        monkeypatch.setattr(CrossEncoder, "score", score)
        given_up = asyncio.create_task(reranker.scores(QUERY, [f"given up {n}" for n in range(500)]))
        await asyncio.to_thread(_until, lambda: len(begun) == processors())

        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        go_on.set()
        await reranker.scores(QUERY, ["the next"])

    assert begun[processors() :] == ["the next"]


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("logits", "expected"),
    [([0.0], 0.5), ([800.0], 1.0), ([-800.0], 0.0), ([1.0, 1.0], 0.5), ([0.0, 2.0], 0.880797), ([2.0, 0.0], 0.119203)],
)
def test_a_chance_is_0_to_1_however_large_the_logits_are(logits: list[float], expected: float) -> None:
    assert chance(np.array(logits, np.float32)) == pytest.approx(expected, abs=1e-6)


def test_logits_that_differ_give_chances_that_differ() -> None:
    made = [chance(np.array([x / 4], np.float32)) for x in range(-120, 120)]

    assert made == sorted(set(made))


@pytest.mark.parametrize("labels", [3, 5])
def test_a_model_that_does_not_score_is_refused(tmp_path: Path, labels: int) -> None:
    folder = cross_encoder(tmp_path, labels=labels)

    with pytest.raises(ConfigError, match=rf"\(1, {labels}\)") as caught:
        open_reranker(f"onnx:{folder}")

    assert "text-classification" in caught.value.remedy


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("?file=other.onnx", "other.onnx in"),
        ("?max_tokens=0", "max_tokens above 0"),
        ("?max_tokens=4", "at least 5"),
        ("?max_token=9", "max_token"),
        ("?max_tokens=many", "max_tokens"),
    ],
)
def test_what_an_address_may_not_say(tmp_path: Path, query: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        open_reranker(f"onnx:{cross_encoder(tmp_path)}{query}")


def test_what_a_folder_must_have(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.onnx in"):
        open_reranker(f"onnx:{tmp_path}")
    cross_encoder(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ConfigError, match=r"tokenizer\.json in"):
        open_reranker(f"onnx:{tmp_path}")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ConfigError, match="a readable model"):
        open_reranker(f"onnx:{tmp_path}")
    with pytest.raises(ConfigError, match="No reranker comes with Headrace"):
        open_reranker("onnx:")
