"""What runs the model that comes with Headrace: 8 bits, bfloat16 or float32. `python -m bench runtimes`.

In turns, in one process: chunks of about 197 tokens (bench/texts.py) through Headrace's embedder with either runtime,
and through onnxruntime with the published weights as they are. How near the vectors are is told on the project's own
documents: the cosine to those of the published weights, and how many of a paragraph's ten nearest are the same.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file  # pyright: ignore[reportUnknownVariableType]

from bench import texts
from bench.report import Figure, Outcome, Settings, Unavailable
from headrace.models import bundled, minilm_graph
from headrace.models.build_minilm import MODULE, WEIGHTS
from headrace.models.onnx_minilm import OnnxEmbedder, open_embedder

ROUNDS = 5
TEXTS = 100
"""In a round."""
NEAREST = 10
PARAGRAPHS = 400
DOCUMENTS = Path(__file__).parents[1] / "docs"
EIGHT, OPENVINO, PUBLISHED = "onnxruntime, 8 bits", "openvino", "onnxruntime, float32"
ADDRESS = f"onnx:{bundled.NAME}"


def run(settings: Settings) -> Outcome:
    count = settings.of(TEXTS)
    chunks = [section for number in range(1 + ROUNDS * count // texts.SECTIONS) for section in texts.sections(number)]
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        embedders = {
            EIGHT: open_embedder(f"{ADDRESS}?runtime=onnxruntime"),
            OPENVINO: open_embedder(f"{ADDRESS}?runtime=openvino"),
            PUBLISHED: open_embedder(f"onnx:{published(Path(folder))}"),
        }
        return asyncio.run(measured(embedders, chunks, count))


def published(folder: Path) -> Path:
    """A model's folder with the published weights, none of them rounded."""
    found = find_spec(MODULE)
    if found is None or not found.submodule_search_locations:
        raise Unavailable("the published weights are not installed: uv sync --group build")
    weights = load_file(Path(found.submodule_search_locations[0]) / WEIGHTS)
    graph = minilm_graph.Graph(cast(dict[str, NDArray[np.float32]], weights), None)
    (folder / "model.onnx").write_bytes(graph.emit())
    bundled.tokenizer().save(str(folder / "tokenizer.json"))
    return folder


async def measured(embedders: dict[str, OnnxEmbedder], chunks: Sequence[str], count: int) -> Outcome:
    rates: dict[str, list[float]] = {name: [] for name in embedders}
    for embedder in embedders.values():
        await embedder.embed(chunks[:count], background=True)  # warm
    for number in range(ROUNDS):
        for name, embedder in embedders.items():
            began = time.perf_counter()
            await embedder.embed(chunks[number * count : (number + 1) * count], background=True)
            rates[name].append(count / (time.perf_counter() - began))
    paragraphs = [part for path in sorted(DOCUMENTS.glob("*.md")) for part in path.read_text("utf-8").split("\n\n")]
    paragraphs = [part for part in paragraphs if len(part) > 80][:PARAGRAPHS]
    vectors = {name: await embedder.embed(paragraphs, background=True) for name, embedder in embedders.items()}
    ids = ", ".join(embedder.id for embedder in embedders.values())
    for embedder in embedders.values():
        await embedder.close()
    notes = [f"{ids}; {len(paragraphs)} paragraphs of docs/ for nearness"]
    return Outcome([f for name in embedders for f in _figures(name, rates, vectors)], notes)


def _figures(name: str, rates: dict[str, list[float]], vectors: dict[str, NDArray[np.float32]]) -> Sequence[Figure]:
    ratios = {
        other: round(statistics.median(a / b for a, b in zip(rates[name], rates[other], strict=True)), 2)
        for other in rates
        if other != name
    }
    speed = Figure("embedding in bulk", name, "chunks/s", round(statistics.median(rates[name]), 1), ratios=ratios)
    if name == PUBLISHED:
        return [speed]
    near = float((vectors[name] * vectors[PUBLISHED]).sum(axis=1).mean())
    same = np.mean(
        [len(a & b) / NEAREST for a, b in zip(*map(_nearest, (vectors[name], vectors[PUBLISHED])), strict=True)]
    )
    return [
        speed,
        Figure(
            "mean distance (1 - cosine) to the published weights' vectors",
            name,
            "thousandths",
            round(1000 * (1 - near), 2),
        ),
        Figure(f"of the {NEAREST} nearest, the same", name, "%", round(100 * float(same), 1)),
    ]


def _nearest(vectors: NDArray[np.float32]) -> list[set[int]]:
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -1)
    return [set(map(int, row)) for row in np.argsort(-scores, axis=1)[:, :NEAREST]]
