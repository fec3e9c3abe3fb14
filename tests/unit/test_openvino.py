"""`onnx:...?runtime=openvino`: the same models, with activations that are not rounded to 8 bits."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import pytest_asyncio
from onnx import external_data_helper

from headrace.errors import ConfigError
from headrace.models import threads
from headrace.models.build_minilm import TARGET, build, is_current
from headrace.models.onnx_minilm import BACKGROUND_NICENESS, OnnxEmbedder, open_embedder
from headrace.models.onnxruntime_graph import OnnxRuntimeGraph
from headrace.models.openvino_graph import OpenVinoGraph
from tests.unit.minilm_reference import Reference
from tests.unit.test_onnx_minilm import LONG, paragraphs

URL = "onnx:all-MiniLM-L6-v2"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedder() -> AsyncIterator[OnnxEmbedder]:
    if not is_current(TARGET):
        build(TARGET)
    embedder = open_embedder(f"{URL}?runtime=openvino")
    yield embedder
    await embedder.close()


async def test_vectors_are_nearer_to_the_published_models_than_those_of_8_bits(embedder: OnnxEmbedder) -> None:
    texts = [*paragraphs(24), "Can I cancel it?", "HAT170 PHL-ORD 2024-05-22 $412", LONG[:1500]]
    theirs = Reference().embed_all(texts)
    rounded = open_embedder(URL)

    ours, eight = await embedder.embed(texts), await rounded.embed(texts)
    await rounded.close()

    ours_near, eight_near = (ours * theirs).sum(axis=1), (eight * theirs).sum(axis=1)
    assert ours_near.min() > 0.995
    assert ours_near.mean() > eight_near.mean()


async def test_the_id_tells_what_made_the_vectors(embedder: OnnxEmbedder) -> None:
    rounded = open_embedder(URL)
    await rounded.close()

    assert embedder.id == f"{rounded.id}@openvino"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority per thread")
async def test_the_background_works_at_its_own_priority(embedder: OnnxEmbedder) -> None:
    """OpenVINO computes in threads of its own: those of a bulk have to yield to those of a live text."""
    await embedder.embed([LONG], background=True)
    before = _threads_by_priority()
    fresh = open_embedder(f"{URL}?runtime=openvino")
    await fresh.embed(["live"])
    live = _threads_by_priority()
    await fresh.embed(["bulk"] * 8, background=True)
    both = _threads_by_priority()
    await fresh.close()

    asking = threads.processors()
    assert live.get(BACKGROUND_NICENESS, 0) == before.get(BACKGROUND_NICENESS, 0)
    assert both[BACKGROUND_NICENESS] > live.get(BACKGROUND_NICENESS, 0) + asking, "more than those that ask"


def _threads_by_priority() -> dict[int, int]:
    found: dict[int, int] = {}
    for task in os.listdir("/proc/self/task"):  # noqa: PTH208
        try:
            priority = os.getpriority(os.PRIO_PROCESS, int(task))
        except ProcessLookupError:
            continue
        found[priority] = found.get(priority, 0) + 1
    return found


def test_weights_may_stand_beside_the_graph(tmp_path: Path) -> None:
    model = onnx.load(str(TARGET / "model.onnx"))  # pyright: ignore[reportUnknownMemberType]
    external_data_helper.convert_model_to_external_data(model, location="model.onnx_data")
    onnx.save(model, str(tmp_path / "model.onnx"))  # pyright: ignore[reportUnknownMemberType]
    feed = {"input_ids": np.arange(2000, 2040)[np.newaxis]}

    beside, inside = (OpenVinoGraph(folder / "model.onnx") for folder in (tmp_path, TARGET))

    made = beside.run("sentence_embedding", feed)
    assert (made == inside.run("sentence_embedding", feed)).all()
    rounded = OnnxRuntimeGraph(TARGET / "model.onnx").run("sentence_embedding", feed)
    assert (made @ rounded.T).item() > 0.99


def test_a_runtime_that_there_is_not_is_told() -> None:
    with pytest.raises(ConfigError, match="runtime=onnxruntime or openvino"):
        open_embedder(f"{URL}?runtime=tensorrt")


@pytest.mark.parametrize("missing", ["openvino", "onnx"])
def test_without_its_packages_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.delitem(sys.modules, "headrace.models.openvino_graph")

    with pytest.raises(ConfigError, match=r"headrace\[openvino\]"):
        open_embedder(f"{URL}?runtime=openvino")
