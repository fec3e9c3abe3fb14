"""The embedder that Headrace comes with: true to the published model, the same for a text whatever goes on beside."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

import headrace.models.onnx_minilm
from headrace.errors import BadInput, ConfigError, StoreError
from headrace.models import Vectors
from headrace.models.build_minilm import TARGET, build, is_current
from headrace.models.onnx_minilm import BACKGROUND_NICENESS, OnnxEmbedder, open_embedder
from tests.unit.minilm_reference import Reference

pytestmark = pytest.mark.asyncio(loop_scope="module")

URL = "onnx:all-MiniLM-L6-v2"
POLICIES = Path(__file__).parents[2] / "src/headrace/demo/policies"
LONG = "A passenger may change the date of a reservation before departure. " * 100
UNICODE = [
    "naïve café",
    "東京の天気は晴れ",
    "Привет, мир",
    "👩‍✈️🛫 ok",
    "\u202egnisrever\u202c",
    "a\u0000b",
    "e\u0301 \ufb01",
    "\n\t ",
]
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=300), max_size=6)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedder() -> AsyncIterator[OnnxEmbedder]:
    if not is_current(TARGET):
        build(TARGET)
    embedder = open_embedder(URL)
    yield embedder
    await embedder.close()


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference()


async def one_by_one(embedder: OnnxEmbedder, texts: Sequence[str]) -> Vectors:
    return np.concatenate([await embedder.embed([text]) for text in texts])


def paragraphs(count: int) -> list[str]:
    """Real texts of 40 characters and more, spread over the demo's policies."""
    found = [part.strip() for path in sorted(POLICIES.glob("*.md")) for part in path.read_text("utf-8").split("\n\n")]
    long_enough = [part for part in found if len(part) > 40]
    return long_enough[:: max(1, len(long_enough) // count)][:count]


async def test_vectors_are_those_of_the_published_model(embedder: OnnxEmbedder, reference: Reference) -> None:
    texts = [*paragraphs(24), "hello", "Can I cancel it?", "HAT170 PHL-ORD 2024-05-22 $412", LONG[:1500], *UNICODE]

    ours = await embedder.embed(texts)

    theirs = reference.embed_all(texts)
    cosines = (ours * theirs).sum(axis=1)
    meaningful = cosines[: -len(UNICODE)]
    assert meaningful.min() > 0.99, texts[int(meaningful.argmin())]
    assert meaningful.mean() > 0.995
    assert cosines.min() > 0.98, texts[int(cosines.argmin())]  # 8 bits are coarser on symbols and control characters


async def test_ranking_is_that_of_the_published_model(embedder: OnnxEmbedder, reference: Reference) -> None:
    texts = paragraphs(24)
    questions = ["How many bags may I check?", "Can I cancel and get my money back?", "Is travel insurance offered?"]

    ours = await embedder.embed(questions) @ (await embedder.embed(texts)).T

    theirs = reference.embed_all(questions) @ reference.embed_all(texts).T
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).all()
    for mine, other in zip(np.argsort(-ours)[:, :10], np.argsort(-theirs)[:, :10], strict=True):
        assert len(set(mine.tolist()) & set(other.tolist())) >= 8


async def test_what_means_the_same_is_nearer_than_what_does_not(embedder: OnnxEmbedder) -> None:
    base, same, other = await embedder.embed(
        ["The flight was cancelled.", "They called off the plane trip.", "Add two cups of flour."]
    )

    assert base @ same > base @ other + 0.3


@settings(max_examples=25, deadline=None)
@given(texts=TEXTS, background=st.booleans())
async def test_a_vector_depends_on_its_text_alone(embedder: OnnxEmbedder, texts: list[str], background: bool) -> None:
    together, beside = await asyncio.gather(
        embedder.embed(texts, background=background),
        embedder.embed([*reversed(texts), LONG], background=not background),
    )

    alone = await one_by_one(embedder, texts) if texts else np.empty((0, embedder.dimensions), np.float32)
    assert together.tobytes() == alone.tobytes()
    assert beside[:-1][::-1].tobytes() == alone.tobytes()


async def test_another_embedder_gives_the_same_bytes(embedder: OnnxEmbedder) -> None:
    texts = [*paragraphs(8), LONG, *UNICODE]
    another = open_embedder(URL)

    vectors = await another.embed(texts, background=True)

    await another.close()
    assert another.id == embedder.id
    assert vectors.tobytes() == (await one_by_one(embedder, texts)).tobytes()


@pytest.mark.parametrize("text", ["", " ", "x", LONG, "w" * 100_000, *UNICODE], ids=repr)
async def test_every_text_has_a_unit_vector(embedder: OnnxEmbedder, text: str) -> None:
    vectors = await embedder.embed([text])

    assert vectors.shape == (1, embedder.dimensions) == (1, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-5)


async def test_no_texts_give_no_vectors(embedder: OnnxEmbedder) -> None:
    assert (await embedder.embed([])).shape == (0, 384)


async def test_tokens_beyond_the_models_256_are_left_out(embedder: OnnxEmbedder) -> None:
    fits, longer, longest = (" ".join(["word"] * count) for count in (254, 255, 5000))

    counts = [embedder.count_tokens(text) for text in (fits, longer, longest)]
    vectors = await embedder.embed([fits, longer, longest])

    assert counts == [256, 257, 5002]
    assert embedder.max_tokens == 256
    assert vectors[0].tobytes() == vectors[1].tobytes() == vectors[2].tobytes()


async def test_a_lone_surrogate_is_bad_input_and_the_rest_goes_on(embedder: OnnxEmbedder) -> None:
    with pytest.raises(BadInput, match="surrogate"):
        await embedder.embed(["good", "\ud800", "good"])

    assert (await embedder.embed(["good"])).shape == (1, 384)


async def test_a_live_text_overtakes_the_background(embedder: OnnxEmbedder) -> None:
    bulk = asyncio.create_task(embedder.embed([f"{number} {LONG}" for number in range(40)], background=True))
    await asyncio.sleep(0)

    await embedder.embed(["Can I cancel my flight?"])

    assert not bulk.done()
    assert (await bulk).shape == (40, 384)


async def test_a_cancelled_call_leaves_the_embedder_usable(embedder: OnnxEmbedder) -> None:
    bulk = asyncio.create_task(embedder.embed([LONG] * 500, background=True))
    await embedder.embed(["meanwhile"])

    bulk.cancel()

    with pytest.raises(asyncio.CancelledError):
        await bulk
    assert (await embedder.embed(["after"], background=True)).shape == (1, 384)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority per thread")
async def test_background_threads_yield_to_the_rest_of_the_process(embedder: OnnxEmbedder) -> None:
    await asyncio.gather(embedder.embed(["a", "b"]), embedder.embed(["a", "b"], background=True))

    niceness = {
        thread.name.rsplit("_", 1)[0]: os.getpriority(os.PRIO_PROCESS, thread.native_id)
        for thread in threading.enumerate()
        if thread.name.startswith("headrace-embed") and thread.native_id
    }

    own = os.getpriority(os.PRIO_PROCESS, 0)
    expected = min(19, BACKGROUND_NICENESS)
    assert niceness == {"headrace-embed-live": own, "headrace-embed-background": expected}


async def test_a_closed_embedder_says_so_and_closes_again() -> None:
    embedder = open_embedder(URL)
    bulk = asyncio.create_task(embedder.embed([LONG] * 50))
    await asyncio.sleep(0)

    await embedder.close()
    await embedder.close()

    with pytest.raises(StoreError, match="closed"):
        await bulk
    with pytest.raises(StoreError, match="closed"):
        await embedder.embed(["late"])


async def test_an_unknown_name_lists_what_is_there() -> None:
    with pytest.raises(ConfigError, match="all-MiniLM-L6-v2"):
        open_embedder("onnx:bge-small")


async def test_a_model_that_was_not_built_names_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(headrace.models.onnx_minilm, "DATA", tmp_path)

    with pytest.raises(ConfigError, match=r"python -m headrace\.models\.build_minilm"):
        open_embedder(URL)


async def test_a_folder_of_ones_own_is_a_model_too(embedder: OnnxEmbedder, tmp_path: Path) -> None:
    for file in ("model.onnx", "tokenizer.json"):
        shutil.copy(TARGET / file, tmp_path / file)

    own = open_embedder(f"onnx:{tmp_path}")

    assert own.id.startswith(f"{tmp_path.name}/")
    assert own.max_tokens == 256
    assert (await own.embed([LONG])).tobytes() == (await embedder.embed([LONG])).tobytes()
    await own.close()


async def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=str(tmp_path)):
        open_embedder(f"onnx:{tmp_path}")


async def test_a_damaged_model_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(TARGET, folder)
    with (folder / "model.onnx").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"damage")

    with pytest.raises(ConfigError, match="SHA-256"):
        open_embedder(f"onnx:{folder}")


@pytest.mark.parametrize("damaged", ["model.onnx", "tokenizer.json"])
async def test_a_file_that_is_no_model_is_refused(tmp_path: Path, damaged: str) -> None:
    for file in ("model.onnx", "tokenizer.json"):
        shutil.copy(TARGET / file, tmp_path / file)
    (tmp_path / damaged).write_bytes(b"not a model")

    with pytest.raises(ConfigError, match="a readable model"):
        open_embedder(f"onnx:{tmp_path}")


@pytest.mark.parametrize("name", ["input_ids", "pixels"])
async def test_a_model_of_another_shape_is_refused(tmp_path: Path, name: str) -> None:
    taken = helper.make_tensor_value_info(name, TensorProto.INT64, [1, "sequence"])
    given_back = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, None)
    cast = helper.make_node("Cast", [name], ["last_hidden_state"], to=TensorProto.FLOAT)
    graph = helper.make_graph([cast], "tokens as they are", [taken], [given_back])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    shutil.copy(TARGET / "tokenizer.json", tmp_path)

    with pytest.raises(ConfigError, match="one unit vector"):
        open_embedder(f"onnx:{tmp_path}")
