"""CocoIndex beside Headrace: saved → found, deleted → gone, in one run, in turns. `python -m bench cocoindex`.

Both watch a folder of their own that gets the same files, embed with the same model file, and keep chunks in
PostgreSQL with pgvector on the same server. Headrace is asked over HTTP as its users ask; it embeds a query once, with
the first time that it is asked. CocoIndex has no server: it is asked by SQL, by a vector made beforehand, which leaves
out a cost of its users and so flatters it. So both are told both ways: half of what is saved and half of what is
deleted is looked for by the same SQL of both.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import LiteralString

import psycopg

from bench.peer import PEERS, Peer, installed
from bench.process import Client, Headrace, headrace, until
from bench.report import Outcome, Settings, Unavailable, spread
from bench.source import dies_with_us
from headrace.models import Vectors
from headrace.models.onnx_minilm import DATA, open_embedder

VERSION = "1.0.26"
PEER = Peer(
    "CocoIndex",
    VERSION,
    "cocoindex_flow.py",
    (f"cocoindex[postgres]=={VERSION}", "onnxruntime", "tokenizers", "numpy"),
)
MODEL = DATA / "all-MiniLM-L6-v2"
START_S = 120.0
WARM_UP = 25
PAUSE_S = 0.01
BUDGET_S = 150.0
KEPT = 20
SAVED: Mapping[str, float] = {"p50": 25.0, "p95": 45.0}
DELETED: Mapping[str, float] = {"p50": 5.0}
TOLD: Mapping[str, float] = {}
"""Milliseconds. A delete has its goal where both are asked in the same way: the other figure is with a search."""
BEFORE = 200
"""Documents that are there before."""

CONFIG = """
[[sources]]
name = "docs"
url = "file://{docs}"
"""
WORDS = tuple(
    "harbour lantern meadow granite whistle orchard velvet compass thunder pebble saffron anchor willow copper "
    "marble feather cinnamon glacier ribbon hollow".split()
)
FOUND = """select exists (select from (
    select text from chunks order by embedding <=> %(vector)s::vector limit 3) t where text like %(word)s)"""
FOUND_HERE = """select exists (select from (
    select chunk_id from chunk_vectors where open order by vector::halfvec(384) <=> %(vector)s::halfvec(384) limit 3) t
    join chunks using (chunk_id) where text like %(word)s)"""


Finds = Callable[[str, str], bool]


@dataclass(slots=True)
class Samples:
    """Milliseconds of one of the two."""

    saved: list[float] = field(default_factory=list[float])
    saved_sql: list[float] = field(default_factory=list[float])
    renamed: list[float] = field(default_factory=list[float])
    deleted: list[float] = field(default_factory=list[float])
    deleted_sql: list[float] = field(default_factory=list[float])


class Side:
    """One of the two: its folder, and whether a word is found there now, as its users ask and by SQL. `vector` is the
    text's, as a literal."""

    def __init__(self, folder: Path, finds: Finds, by_sql: Finds) -> None:
        self.folder = folder
        self.samples = Samples()
        self._finds = finds
        self._by_sql = by_sql
        self._files: deque[tuple[Path, str, str]] = deque()

    def save(self, name: str, text: str, word: str, vector: str, *, rename: bool, by_sql: bool) -> None:
        """Written in place, or written beside and renamed as many editors do."""
        finds = self._by_sql if by_sql else self._finds
        path = self.folder / name
        target = self.folder / f".{name}.tmp" if rename else path
        target.write_text(text, encoding="utf-8")
        if rename:
            target.replace(path)
        took = until(lambda: finds(word, vector), "a saved file is found")
        self._files.append((path, word, vector))
        if by_sql:
            self.samples.saved_sql.append(took)
        else:
            (self.samples.renamed if rename else self.samples.saved).append(took)

    def delete(self, *, by_sql: bool) -> None:
        """Not while too few files are there."""
        if len(self._files) < KEPT:
            return
        path, word, vector = self._files.popleft()
        finds = self._by_sql if by_sql else self._finds
        path.unlink()
        took = until(lambda: not finds(word, vector), "a deleted file is gone")
        (self.samples.deleted_sql if by_sql else self.samples.deleted).append(took)


def text_of(number: int) -> tuple[str, str]:
    """A small document and a word that stands in no other."""
    pick, word = random.Random(number), f"walrus{number:06d}"
    told = " ".join(pick.choice(WORDS) for _ in range(24))
    return f"# Note {number}\n\nThe {word} speaks of {told}.\n", word


def run(settings: Settings) -> Outcome:
    python = installed(PEER, settings.data)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-bench-")))
        ours, theirs = folder / "ours", folder / "theirs"
        for docs in (ours, theirs):
            docs.mkdir()
            for number in range(BEFORE):
                (docs / f"old{number}.md").write_text(text_of(900_000 + number)[0], encoding="utf-8")
        running = stack.enter_context(headrace(folder, CONFIG.format(docs=ours)))
        client = stack.enter_context(contextlib.closing(running.client()))
        store = stack.enter_context(cocoindex(python, folder, theirs, running))
        here = stack.enter_context(psycopg.connect(running.dsn("headrace"), autocommit=True))
        theirs_sql = by_sql(store, FOUND)
        sides = (Side(ours, by_http(client), by_sql(here, FOUND_HERE)), Side(theirs, theirs_sql, theirs_sql))
        total = settings.of(200)
        vectors = vectors_of(WARM_UP + total)
        measure(sides, vectors, total)
    mine, its = (side.samples for side in sides)
    figures = [
        figure
        for name, a, b, goals in (
            ("small file saved → found", mine.saved, its.saved, SAVED),
            ("the same, saved by renaming", mine.renamed, its.renamed, SAVED),
            ("either, both asked by SQL", mine.saved_sql, its.saved_sql, SAVED),
            ("file deleted → gone", mine.deleted, its.deleted, TOLD),
            ("the same, both asked by SQL", mine.deleted_sql, its.deleted_sql, DELETED),
        )
        for figure in (spread(name, "headrace", a, **goals, beside={"cocoindex": b}), spread(name, "cocoindex", b))
    ]
    return Outcome(
        figures,
        (
            f"CocoIndex {VERSION} from PyPI in an environment of its own, walk_dir(live=True) as it documents",
            "both: the same model file by onnxruntime, one thread; the same PostgreSQL server; the same texts",
            "asked: Headrace over HTTP, a query embedded once; CocoIndex by SQL with a vector made beforehand",
        ),
    )


def measure(sides: tuple[Side, Side], vectors: list[str], total: int) -> None:
    """Round after round, both in turns and in changing order."""
    pauses, ends = random.Random(2), time.monotonic() + BUDGET_S
    for number in range(WARM_UP + total):
        if number == WARM_UP:
            for side in sides:
                side.samples = Samples()
        text, word = text_of(number)
        rename, sql = number % 2 == 1, number // 4 % 2 == 1
        for side in sides if number // 2 % 2 else reversed(sides):
            time.sleep(pauses.uniform(0, PAUSE_S))
            side.save(f"d{number:06d}.md", text, word, vectors[number], rename=rename, by_sql=sql)
            time.sleep(pauses.uniform(0, PAUSE_S))
            side.delete(by_sql=sql)
        if time.monotonic() > ends:
            break


def by_http(client: Client) -> Finds:
    return lambda word, vector: client.finds(word)


def by_sql(store: psycopg.Connection, found: LiteralString) -> Finds:
    def finds(word: str, vector: str) -> bool:
        row = store.execute(found, {"vector": vector, "word": f"%{word} %"}, prepare=True).fetchone()
        assert row
        return bool(row[0])

    return finds


def vectors_of(count: int) -> list[str]:
    """Each document's vector as a pgvector literal."""

    async def embed() -> Vectors:
        embedder = open_embedder("onnx:all-MiniLM-L6-v2")
        try:
            return await embedder.embed([text_of(number)[0] for number in range(count)])
        finally:
            await embedder.close()

    return ["[" + ",".join(map(str, row)) + "]" for row in asyncio.run(embed()).tolist()]


# ---- the peer --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def cocoindex(python: Path, folder: Path, docs: Path, running: Headrace) -> Generator[psycopg.Connection]:
    """Its process, and a connection to where it keeps its chunks, once the documents of before are there."""
    dsn = running.make_database("cocoindex")
    output = folder / "cocoindex.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [python, "-P", PEERS / PEER.script, docs, dsn, folder / "cocoindex-state", MODEL],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": "", "COCOINDEX_DISABLE_USAGE_TRACKING": "1"},
            start_new_session=True,
            preexec_fn=dies_with_us(signal.SIGKILL),
        )
    try:
        with psycopg.connect(dsn, autocommit=True) as store:
            _until_caught_up(process, store, output)
            yield store
    finally:
        process.kill()
        process.wait()


def _until_caught_up(process: subprocess.Popen[bytes], store: psycopg.Connection, output: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        made = store.execute("select to_regclass('public.chunks') is not null").fetchone()
        if made and made[0]:
            row = store.execute("select count(*) from chunks").fetchone()
            if row and row[0] >= BEFORE:
                time.sleep(1)  # its watch begins before its scan, but what it logs as ready comes after
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise Unavailable(f"CocoIndex {VERSION} did not start here: {output.read_text('utf-8', 'replace')[-800:]}")
        time.sleep(0.1)
