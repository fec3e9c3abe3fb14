"""Searches, and a small file saved → found, alone and while a large load comes in. `python -m bench loading`.

The load is 12,000 chunks of 1,200 documents that come into one folder at once, with an embedder that costs next to
nothing: what is left is what keeps the event loop and the store. The small files are saved in another folder.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench import texts
from bench.process import Client, Headrace, headrace, timed, until
from bench.report import Failed, Figure, Goal, Outcome, Settings, quantile, spread

DOCUMENTS = 1200
PAUSE_S = 0.01
ALONE = 200
SAVED_ALONE = 60
TAIL_MS = 250.0
"""Of searches beside the load: what people do not yet take for a stop."""
CONFIG = """
[models]
embedding = "free:384"
[[sources]]
name = "docs"
url = "file://{docs}"
[[sources]]
name = "notes"
url = "file://{notes}"
"""


def run(settings: Settings) -> Outcome:
    documents = settings.of(DOCUMENTS)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-bench-")))
        docs, notes, first, second = (folder / name for name in ("docs", "notes", "first", "second"))
        docs.mkdir()
        notes.mkdir()
        texts.write(first, documents)
        texts.write(second, documents, first=documents)
        running = stack.enter_context(headrace(folder, CONFIG.format(docs=docs, notes=notes), module="bench.free"))
        client = stack.enter_context(contextlib.closing(running.client()))
        saves = iter(range(1_000_000))
        save(client, notes, next(saves))
        alone = [timed(lambda: search(client)) for _ in range(settings.of(ALONE))]
        saved_alone = [save(client, notes, next(saves)) for _ in range(settings.of(SAVED_ALONE))]
        beside = during(running, first, docs / "first", lambda: timed(lambda: search(client)))
        saved_beside = during(running, second, docs / "second", lambda: save(client, notes, next(saves)))
    tail = quantile(beside, 0.95)
    return Outcome(
        (
            spread("search", "alone", alone),
            spread("search", "beside a load", beside, beside={"alone": alone}),
            Figure("search, 95th of 100", "beside a load", "ms", round(tail, 1), samples=len(beside),
                   goals=(Goal(f"≤ {TAIL_MS:g} ms", tail <= TAIL_MS),)),
            spread("small file saved → found", "alone", saved_alone),
            spread("small file saved → found", "beside a load", saved_beside, beside={"alone": saved_alone}),
        ),
        (f"load: {documents} documents, {documents * texts.SECTIONS} chunks; asked over HTTP, one after another",),
    )  # fmt: skip


def during(running: Headrace, staged: Path, target: Path, act: Callable[[], float]) -> list[float]:
    """Milliseconds of one `act` after another, until the load is applied. Raises Failed where none came to an end."""
    done = threading.Event()

    def settled() -> None:
        try:
            running.settle()
        finally:
            done.set()

    staged.rename(target)
    waiting = threading.Thread(target=settled)
    waiting.start()
    took: list[float] = []
    try:
        while not done.is_set():
            took.append(act())
            time.sleep(PAUSE_S)
    finally:
        waiting.join()
    if len(took) < 2:
        raise Failed("the load was over before it was measured")
    return took


def search(client: Client) -> None:
    client.post("/v1/search", {"query": "the value of an attribute", "k": 5})


def save(client: Client, folder: Path, number: int) -> float:
    word = f"walrus{number:06d}"
    (folder / f"note{number}.md").write_text(f"# Note\n\nThe {word} sleeps.\n", encoding="utf-8")
    return until(lambda: client.finds(word), "a saved file is found")
