"""Which embedder a store is opened with: the processor's best, and that of the vectors that there are."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio

from headrace.app.models import OpenModels
from headrace.config.sections import Models
from headrace.errors import ConfigError
from headrace.models import bundled, choosing
from headrace.models.build_minilm import TARGET, build, is_current

OPENVINO = f"{choosing.ADDRESS}?runtime=openvino"
TEXTS = ["The flight was cancelled."]


@pytest.fixture(autouse=True, scope="module")
def _model() -> None:  # pyright: ignore[reportUnusedFunction]
    if not is_current(TARGET):
        build(TARGET)


@pytest.fixture
def matrices(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A processor that multiplies matrices of bfloat16."""
    monkeypatch.setattr(choosing, "features", lambda: frozenset({choosing.BFLOAT_MATRICES}))
    return monkeypatch


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """One that does not."""
    monkeypatch.setattr(choosing, "features", frozenset)
    return monkeypatch


@pytest_asyncio.fixture
async def models(request: pytest.FixtureRequest) -> AsyncIterator[OpenModels]:
    """As configured by default, or by the parameter."""
    made = OpenModels(Models(embedding=getattr(request, "param", choosing.ADDRESS)))
    yield made
    await made.close()


def _missing(name: str) -> None:
    """As importlib's `find_spec` where nothing is installed."""


async def ids(*addresses: str) -> list[str]:
    found: list[str] = []
    for address in addresses:
        models = OpenModels(Models(embedding=address))
        await models.open()
        found.append(models.embedder.id)
        await models.close()
    return found


@pytest.mark.usefixtures("matrices")
async def test_openvino_is_chosen_where_the_processor_multiplies_matrices_of_its_numbers(models: OpenModels) -> None:
    await models.open()

    assert models.address == OPENVINO
    assert models.embedder.id.endswith("@openvino")


@pytest.mark.usefixtures("plain")
async def test_8_bits_are_chosen_elsewhere(models: OpenModels) -> None:
    await models.open()

    assert models.address == choosing.ADDRESS
    assert "@" not in models.embedder.id


async def test_8_bits_are_chosen_without_the_package(matrices: pytest.MonkeyPatch, models: OpenModels) -> None:
    matrices.setattr(choosing, "find_spec", _missing)

    await models.open()

    assert models.address == choosing.ADDRESS


@pytest.mark.usefixtures("matrices")
@pytest.mark.parametrize("models", [f"{choosing.ADDRESS}?runtime=onnxruntime"], indirect=True)
async def test_what_the_address_says_holds(models: OpenModels) -> None:
    await models.open()

    assert "@" not in models.embedder.id


@pytest.mark.usefixtures("plain")
async def test_a_store_that_moves_to_another_processor_is_not_embedded_anew(models: OpenModels) -> None:
    eight, floats = await ids(f"{choosing.ADDRESS}?runtime=onnxruntime", OPENVINO)
    await models.open()
    assert models.embedder.id == eight

    serving = await models.serving((floats, OPENVINO))

    assert serving.now is models.embedder
    assert (serving.id, models.embedder.id, models.address) == (floats, floats, OPENVINO)
    assert len(models.embedders) == 1
    assert (await serving.embed(TEXTS)).shape == (1, 384)


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("models", [f"{choosing.ADDRESS}?runtime=onnxruntime"], indirect=True)
async def test_a_runtime_that_is_asked_for_is_built_beside(models: OpenModels) -> None:
    eight, floats = await ids(f"{choosing.ADDRESS}?runtime=onnxruntime", OPENVINO)
    await models.open()

    serving = await models.serving((floats, OPENVINO))

    assert serving.now is not models.embedder
    assert (serving.id, models.embedder.id) == (floats, eight)


@pytest.mark.usefixtures("plain")
async def test_vectors_of_an_earlier_release_serve_until_this_ones_are_built(models: OpenModels) -> None:
    """The model's file changes with a release; its weights do not, and so vectors of both lie side by side."""
    earlier = f"{bundled.NAME}/int8/0123456789ab"
    await models.open()

    serving = await models.serving((earlier, choosing.ADDRESS))

    assert serving.id == earlier
    assert serving.now is not models.embedder
    assert np.array_equal(await serving.embed(TEXTS), await models.embedder.embed(TEXTS))
    assert serving.max_tokens == models.embedder.max_tokens


async def test_vectors_of_a_runtime_that_is_gone_serve_until_others_are_built(
    plain: pytest.MonkeyPatch, models: OpenModels
) -> None:
    _, floats = await ids(choosing.ADDRESS, OPENVINO)
    plain.setitem(sys.modules, "openvino", None)
    plain.delitem(sys.modules, "headrace.models.openvino_graph")
    await models.open()

    serving = await models.serving((floats, OPENVINO))

    assert serving.id == floats
    assert serving.now is not models.embedder
    assert (await serving.embed(TEXTS)).shape == (1, 384)


@pytest.mark.usefixtures("plain")
async def test_another_model_that_is_gone_is_an_error(models: OpenModels) -> None:
    await models.open()

    with pytest.raises(ConfigError, match="open the embedding model before"):
        await models.serving(("some-model/0123456789ab", "onnx:/no/such/folder"))
