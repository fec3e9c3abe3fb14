"""Parts measured alone, bench/embedding.py and bench/files.py, as lines of the one table."""

from __future__ import annotations

import tempfile
from pathlib import Path

import uvloop

from bench import embedding, files
from bench.report import Figure, Outcome, Settings


def embed(_: Settings) -> Outcome:
    figures: list[Figure] = []
    for r in uvloop.run(embedding.run()):
        of = f"embed {r.tokens} tokens"
        figures.append(Figure(f"{of}, in this thread", "floor", "ms", r.floor_p50, r.floor_p99))
        for name, p50, p99 in (
            ("live", r.live_p50, r.live_p99),
            ("paced", r.paced_p50, r.paced_p99),
            ("beside bulk", r.beside_bulk_p50, r.beside_bulk_p99),
        ):
            ratios = {"p50 over floor": round(p50 / r.floor_p50, 2)}
            figures.append(Figure(f"{of}, {name}", "headrace", "ms", p50, p99, ratios=ratios))
        figures.append(Figure(f"{of}, in bulk", "headrace", "texts/s", r.bulk_texts_per_s))
    return Outcome(figures, ("python -m bench.embedding says the same; its first lines say what is what",))


def folder(settings: Settings) -> Outcome:
    rounds, many = settings.of(500), settings.of(10_000)
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name:
        live = uvloop.run(files.live(Path(name), rounds))
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as name:
        scan = uvloop.run(files.scan(Path(name), many))
    figures = [
        Figure(
            f"file {what} → given by the source", "headrace", "ms", round(f["p50_ms"], 3), round(f["p99_ms"], 3), rounds
        )
        for what, f in live.items()
        if what != "head"
    ]
    head = live["head"]
    return Outcome(
        (
            *figures,
            Figure("head of a folder", "headrace", "ms", round(head["p50_ms"], 3), round(head["p99_ms"], 3), rounds),
            Figure(f"first scan of {many} files", "headrace", "s", round(scan["seconds"], 2)),
        ),
        ("python -m bench.files says the same",),
    )
