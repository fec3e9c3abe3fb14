"""30,000 chunks into PostgreSQL with pgvector, with an embedder that costs next to nothing, beside four peers.

`python -m bench pipeline`. The same files for all: 3,000 documents of ten sections, each section a chunk. The peers get
them cut where they were put together; Headrace cuts by its model's tokens as ever, and comes to the same chunks. Each
peer has a database of its own in Headrace's PostgreSQL, and runs while Headrace stands idle.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench import texts
from bench.peer import Peak, Peer, Ran, installed, ran
from bench.process import Headrace, headrace
from bench.report import Failed, Figure, Goal, Outcome, Settings, Unavailable, at_most
from bench.source import ROOT

DOCUMENTS = 3000
CHUNKS_PER_S = 3000
MEMORY_MB = 300
UNCHANGED_S = 0.08
ROUNDS = 5
INDEX_S = 300.0
LOOKED_AT = 4000
"""Fewer are in no index."""
CONFIG = """
[models]
embedding = "free:384"
[[sources]]
name = "docs"
url = "file://{docs}"
"""
COCOINDEX, PATHWAY = "1.0.26", "0.33.0"
LANGCHAIN = ("langchain-core==1.7.2", "langchain-classic", "langchain-postgres==0.0.19", "psycopg[binary]")
LLAMAINDEX = ("llama-index-core==0.14.25", "llama-index-vector-stores-postgres==0.9.0", "psycopg[binary]", "asyncpg")
PEERS = (
    Peer("LangChain", "1.7.2", "langchain_index.py", LANGCHAIN),
    Peer("LlamaIndex", "0.14.25", "llamaindex_ingest.py", LLAMAINDEX),
    Peer("CocoIndex chunks", COCOINDEX, "cocoindex_chunks.py", (f"cocoindex[postgres]=={COCOINDEX}", "numpy")),
    Peer("Pathway", PATHWAY, "pathway_chunks.py", (f"pathway=={PATHWAY}", "psycopg[binary]", "numpy")),
)
AGAIN = ("again", "again in memory")


@dataclass(frozen=True, slots=True)
class Ours:
    """Seconds until all could be found, and until all stood in the index; the most memory, and that before."""

    found_s: float
    indexed_s: float
    memory_mb: float
    before_mb: float
    unchanged_s: Sequence[float]


def run(settings: Settings) -> Outcome:
    documents = settings.of(DOCUMENTS)
    chunks = documents * texts.SECTIONS
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-bench-")))
        docs, staged = folder / "docs", folder / "staged"
        docs.mkdir()
        texts.write(staged, documents)
        theirs: dict[str, Ran] = {}
        notes: list[str] = []
        with headrace(folder, CONFIG.format(docs=docs), module="bench.free") as running:
            found_s, indexed_s, memory, before = loaded(running, staged, docs / "all", chunks)
            for peer in PEERS:
                try:
                    theirs[peer.name] = beside(running, peer, docs / "all", folder, settings.data, chunks)
                except (Unavailable, Failed) as reason:
                    notes.append(f"{peer.name}: {reason}")
        unchanged = [again(folder) for _ in range(ROUNDS)]
    ours = Ours(found_s, indexed_s, memory, before, unchanged)
    notes += [f"{p.name}: " + ", ".join(p.requirements) for p in PEERS]
    return Outcome(
        figures(ours, theirs, chunks), (*notes, "LangChain's index is built after its load, the others' with")
    )


def loaded(running: Headrace, staged: Path, target: Path, chunks: int) -> tuple[float, float, float, float]:
    """The documents come into the watched folder all at once. Raises Failed unless all chunks are there."""
    client = running.client()
    peak = Peak(running.pid, without=running.postmaster)
    peak.start()
    time.sleep(1)
    before = peak.mb
    began = time.perf_counter()
    staged.rename(target)
    running.settle()
    found_s = time.perf_counter() - began
    while chunks > LOOKED_AT and (
        (index := client.json("/v1/status")["store"]["index"])["building"] or index["waiting"]
    ):
        if time.perf_counter() - began > INDEX_S:
            raise Failed(f"the index did not stand within {INDEX_S:g} s: {index}")
        time.sleep(0.05)
    indexed_s = time.perf_counter() - began
    client.close()
    with psycopg.connect(running.dsn("headrace")) as store:
        row = store.execute("select chunks from corpus").fetchone()
    if row != (chunks,):
        raise Failed(f"{chunks} chunks were written, {row} are there")
    return found_s, indexed_s, peak.stop(), before


def beside(running: Headrace, peer: Peer, docs: Path, folder: Path, data: Path, chunks: int) -> Ran:
    """A peer over the same files. Raises Unavailable, and Failed unless all chunks are there."""
    python = installed(peer, data)
    name = peer.script.partition("_")[0]
    dsn, state = running.make_database(name), folder / f"{name}-state"
    with psycopg.connect(dsn, autocommit=True) as store:
        store.execute("create extension if not exists vector")
    arguments = [str(docs), dsn, str(state)]
    found = ran(python, peer, arguments, folder / f"{name}.log")
    if name == "pathway":  # its graph runs once in a process
        found = Ran(
            {**found.steps, **ran(python, peer, [*arguments, "again"], folder / f"{name}.log").steps}, found.memory_mb
        )
    table = "data_chunks" if name == "llamaindex" else "chunks"
    with psycopg.connect(dsn) as store:
        row = store.execute(f"select count(*) from {table}".encode()).fetchone()
    if row != (chunks,):
        raise Failed(f"{chunks} chunks were written, {row} are there")
    return found


def again(folder: Path) -> float:
    """Seconds until a Headrace that starts knows that nothing changed."""
    command = [sys.executable, "-m", "bench.unchanged", str(folder / "headrace.toml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise Failed(f"bench.unchanged: {done.stderr[-600:]}")
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def figures(ours: Ours, theirs: dict[str, Ran], chunks: int) -> Sequence[Figure]:
    load = f"{chunks} chunks, all of them found"
    rate = chunks / ours.found_s
    unchanged = statistics.median(ours.unchanged_s)
    ratios = {name: round(rate * ran.steps["first"] / chunks, 2) for name, ran in theirs.items()}
    least = {name: min(ran.steps[s] for s in AGAIN if s in ran.steps) for name, ran in theirs.items()}
    found = [
        Figure(load, "headrace", "chunks/s", round(rate, 1), ratios=ratios,
               goals=(Goal(f"≥ {CHUNKS_PER_S}/s", rate >= CHUNKS_PER_S),)),
        Figure(f"{chunks} chunks, all of them in the index", "headrace", "chunks/s", round(chunks / ours.indexed_s, 1)),
        Figure("most memory meanwhile", "headrace", "MB", round(ours.memory_mb, 1),
               goals=(at_most("with its processes, without PostgreSQL", ours.memory_mb, MEMORY_MB, "MB"),)),
        Figure("memory before", "headrace", "MB", round(ours.before_mb, 1)),
        Figure("nothing changed", "headrace", "s", round(unchanged, 4), samples=len(ours.unchanged_s),
               ratios={name: round(unchanged / s, 2) for name, s in least.items()},
               goals=(at_most("median", unchanged, UNCHANGED_S, "s"),)),
    ]  # fmt: skip
    for name, ran_ in theirs.items():
        first = ran_.steps["first"]
        whole = first + ran_.steps.get("index", 0.0)
        found.append(Figure(load, name, "chunks/s", round(chunks / first, 1)))
        found.append(Figure(f"{chunks} chunks, all of them in the index", name, "chunks/s", round(chunks / whole, 1)))
        found.append(Figure("most memory meanwhile", name, "MB", round(ran_.memory_mb, 1)))
        found += [
            Figure(f"nothing changed ({s})", name, "s", round(ran_.steps[s], 4)) for s in AGAIN if s in ran_.steps
        ]
    return found
