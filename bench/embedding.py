"""Embedding: ms per text as a caller waits for it, texts/s in bulk. `python -m bench.embedding [--json]`.

`floor` is the same model run directly in this thread; `live` goes through the embedder on an idle process; `paced`
waits 20 ms between texts, as changes and questions come: the processor's caches are cold then; `beside bulk` does that
while the background embeds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import onnxruntime as ort
import uvloop

from headrace.models.onnx_minilm import DATA, OnnxEmbedder, open_embedder

LENGTHS = (10, 40, 200)  # tokens, the model's two special ones included
BULK_S = 2.0
PACE_S = 0.02
WORDS = "the passenger may change a reservation before departure and the agent will check each bag again".split()


@dataclass(frozen=True, slots=True)
class Result:
    """Times in milliseconds."""

    tokens: int
    floor_p50: float
    floor_p99: float
    live_p50: float
    live_p99: float
    paced_p50: float
    paced_p99: float
    beside_bulk_p50: float
    beside_bulk_p99: float
    bulk_texts_per_s: float


def text_of(tokens: int) -> str:
    return " ".join(WORDS[number % len(WORDS)] for number in range(tokens - 2))


def percentiles(times: Sequence[float]) -> tuple[float, float]:
    p50, p99 = np.percentile(np.array(times) * 1e3, [50, 99]).tolist()
    return round(p50, 2), round(p99, 2)


async def timed(work: Callable[[], Awaitable[object]], runs: int, pause: float = 0) -> tuple[float, float]:
    times: list[float] = []
    for _ in range(runs):
        started = time.perf_counter()
        await work()
        times.append(time.perf_counter() - started)
        if pause:
            await asyncio.sleep(pause)
    return percentiles(times)


def floor(session: ort.InferenceSession, embedder: OnnxEmbedder, text: str, runs: int) -> tuple[float, float]:
    times: list[float] = []
    for _ in range(runs):
        started = time.perf_counter()
        ids = np.array([embedder.tokenizer.encode(text).ids], np.int64)
        session.run(None, {"input_ids": ids})
        times.append(time.perf_counter() - started)
    return percentiles(times)


async def bulk(embedder: OnnxEmbedder, text: str) -> float:
    """Texts per second, on all processors."""
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < BULK_S:
        await embedder.embed([text] * 16, background=True)
        done += 16
    return done / (time.perf_counter() - started)


async def measure(session: ort.InferenceSession, embedder: OnnxEmbedder, tokens: int) -> Result:
    text = text_of(tokens)
    assert embedder.count_tokens(text) == tokens
    runs = 300 if tokens < 100 else 60
    await timed(lambda: embedder.embed([text]), 10)
    floor_p50, floor_p99 = floor(session, embedder, text, runs)
    live_p50, live_p99 = await timed(lambda: embedder.embed([text]), runs)
    paced_p50, paced_p99 = await timed(lambda: embedder.embed([text]), min(runs, 150), PACE_S)
    background = asyncio.create_task(embedder.embed([text_of(200)] * 5000, background=True))
    await asyncio.sleep(0.1)
    beside_p50, beside_p99 = await timed(lambda: embedder.embed([text]), min(runs, 150), PACE_S)
    assert not background.done()
    background.cancel()
    await asyncio.gather(background, return_exceptions=True)
    rate = round(await bulk(embedder, text), 1)
    return Result(tokens, floor_p50, floor_p99, live_p50, live_p99, paced_p50, paced_p99, beside_p50, beside_p99, rate)


async def run() -> list[Result]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = str(DATA / "all-MiniLM-L6-v2" / "model.onnx")
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    embedder = open_embedder("onnx:all-MiniLM-L6-v2")
    try:
        return [await measure(session, embedder, tokens) for tokens in LENGTHS]
    finally:
        await embedder.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    as_json: bool = parser.parse_args().json
    load = os.getloadavg()[0]
    results = uvloop.run(run())
    if as_json:
        print(json.dumps({"load_before": round(load, 2), "results": [asdict(result) for result in results]}))
        return
    print(f"load before: {load:.2f}; p50 / p99 in ms")
    print(f"{'tokens':>6} {'floor':>15} {'live':>15} {'paced':>15} {'beside bulk':>15} {'bulk texts/s':>13}")
    for r in results:
        pairs = (
            (r.floor_p50, r.floor_p99),
            (r.live_p50, r.live_p99),
            (r.paced_p50, r.paced_p99),
            (r.beside_bulk_p50, r.beside_bulk_p99),
        )
        columns = " ".join(f"{p50:7.2f} /{p99:6.2f}" for p50, p99 in pairs)
        print(f"{r.tokens:6} {columns} {r.bulk_texts_per_s:13.1f}")


if __name__ == "__main__":
    main()
