"""Latency as a client sees it over HTTP, the floor beside it. `python -m bench latency`.

A clock starts when the commit, the save or the deletion has returned, and stops when an answer that shows it has come;
the client asks without a pause in between. Ours and the floor take turns of some hundred rounds on the same two
servers, each with a database of its own; the floor's process runs in its turns only. It is done twice: one round right
after the other, and after short random pauses, in which processors fall asleep and caches grow cold: what that costs
depends on the machine more than on what is measured.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from bench.process import Client, Headrace, headrace, timed, until
from bench.report import Failed, Outcome, Settings, spread
from bench.source import ROOT, SourceServer, dies_with_us, source_server

USERS = NOTES = 1000
WARM_UP = 40
PAUSE_S = 0.01
BUDGET_S = 120.0
TURNS = 5
FLOOR = "floor: bench/floor.py in a process of its own, same source server, same store server, read by SQL"
KEPT = 20
"""So many files stay: deleting is not timed in the wake of the same file's saving."""

SCHEMA = (
    "create table users (id int primary key, email text, city text)",
    "create table notes (id int primary key, body text)",
    f"insert into users select g, 'u'||g||'@example.com', 'city' from generate_series(1, {USERS}) g",
    f"insert into notes select g, 'note '||g||' on subject '||md5(g::text) from generate_series(1, {NOTES}) g",
)
CONFIG = """
[[sources]]
name = "db"
url = "{dsn}"
tables = ["public.*"]
[[sources]]
name = "docs"
url = "file://{docs}"
[[knowledge.rows]]
table = "db.public.notes"
text = "{{{{ body }}}}"
[[profiles.records]]
table = "db.public.users"
identifiers = {{ email = "email" }}
fields = {{ city = "city" }}
"""


@dataclass(slots=True)
class Samples:
    """Milliseconds."""

    profile: list[float] = field(default_factory=list[float])
    floor: list[float] = field(default_factory=list[float])
    row: list[float] = field(default_factory=list[float])
    saved: list[float] = field(default_factory=list[float])
    deleted: list[float] = field(default_factory=list[float])
    read: list[float] = field(default_factory=list[float])
    search: list[float] = field(default_factory=list[float])

    def forget(self) -> None:
        """What was measured so far was the warm-up."""
        for samples in (
            self.profile, self.floor, self.row, self.saved, self.deleted, self.read, self.search
        ):  # fmt: skip
            samples.clear()


class Ours:
    """What is done at the sources, and asked of Headrace."""

    def __init__(self, source: psycopg.Connection, docs: Path, client: Client) -> None:
        self._source = source
        self._docs = docs
        self._client = client
        self._files: deque[tuple[Path, str]] = deque()

    def profile(self, n: int) -> float:
        user, city = n % USERS + 1, f"town{n:06d}"
        self._source.execute("update users set city = %s where id = %s", [city, user])
        path, sought = f"/v1/profiles?email=u{user}%40example.com", f'"{city}"'.encode()
        return until(lambda: sought in self._client.get(path), "the profile shows a committed row")

    def row(self, n: int) -> float:
        word = f"zebra{n:06d}"
        body = f"fresh remark {word} for the record"
        self._source.execute("update notes set body = %s where id = %s", [body, n % NOTES + 1])
        return until(lambda: self._client.finds(word), "a search finds a committed row's text")

    def save(self, n: int) -> float:
        path, word = self._docs / f"d{n:06d}.md", f"walrus{n:06d}"
        path.write_text(f"# Doc {n}\n\nThe {word} lives in the north.\n", encoding="utf-8")
        took = until(lambda: self._client.finds(word), "a search finds a saved file")
        self._files.append((path, word))
        return took

    def delete(self, _: int) -> float | None:
        """None while too few files are there."""
        if len(self._files) < KEPT:
            return None
        path, word = self._files.popleft()
        path.unlink()
        return until(lambda: not self._client.finds(word), "a search no longer finds a deleted file")

    def one_read(self, n: int) -> float:
        """What one look at a profile takes by itself, however fresh."""
        return timed(lambda: self._client.get(f"/v1/profiles?email=u{n % USERS + 1}%40example.com"))

    def one_search(self, n: int) -> float:
        """What one search takes by itself; no word is asked for twice."""
        return timed(lambda: self._client.finds(f"gazelle{n:06d}"))


class Floor:
    """The same for the floor: its source table and its store, read by SQL."""

    def __init__(self, source: psycopg.Connection, store: psycopg.Connection) -> None:
        self._source = source
        self._store = store

    def profile(self, n: int) -> float:
        user, city = n % USERS + 1, f"town{n:06d}"
        self._source.execute("update users set city = %s where id = %s", [city, user])
        return until(lambda: self._city(f"u{user}@example.com") == city, "the floor shows a committed row")

    def _city(self, email: str) -> str | None:
        row = self._store.execute("select city from profiles where email = %s", [email], prepare=True).fetchone()
        return str(row[0]) if row else None


class FloorServers:
    """The databases of the floor, beside ours on the same two servers."""

    def __init__(self, server: SourceServer, running: Headrace, stack: contextlib.ExitStack) -> None:
        self._source_dsn = server.dsn("floor")
        self._store_dsn = running.make_database("floor")
        self._source = stack.enter_context(contextlib.closing(server.make("floor", *SCHEMA)))
        self._store = stack.enter_context(contextlib.closing(psycopg.connect(self._store_dsn, autocommit=True)))

    @contextlib.contextmanager
    def running(self) -> Generator[Floor]:
        """Its process runs only in here: it would share the processors, and read all that we write, meanwhile."""
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.floor", self._source_dsn, self._store_dsn],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            preexec_fn=dies_with_us(signal.SIGKILL),
        )
        try:
            assert process.stdout
            ready, _, _ = select.select([process.stdout], [], [], 30)
            if not ready or process.stdout.readline() != b"following\n":
                raise Failed("the floor did not start")
            yield Floor(self._source, self._store)
        finally:
            process.kill()
            process.wait()


def run(settings: Settings) -> Outcome:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-bench-")))
        docs = folder / "docs"
        docs.mkdir()
        server = stack.enter_context(source_server())
        source = stack.enter_context(contextlib.closing(server.make("ours", *SCHEMA)))
        running = stack.enter_context(headrace(folder, CONFIG.format(dsn=server.dsn("ours"), docs=docs)))
        client = stack.enter_context(contextlib.closing(running.client()))
        beside = FloorServers(server, running, stack)
        samples, rested = measure(settings, Ours(source, docs, client), beside)
    notes = (f"source: {server.label}", FLOOR)
    return Outcome(
        (
            spread("row committed → profile", "headrace", samples.profile, p50=2.5, tail=4,
                   beside={"floor": samples.floor}),
            spread("row committed → profile", "floor", samples.floor),
            spread("row committed → found", "headrace", samples.row, p50=15, tail=4),
            spread("small file saved → found", "headrace", samples.saved, p50=20, tail=4),
            spread("file deleted → gone", "headrace", samples.deleted, p50=8, tail=4),
            spread("one look at a profile, contained in the above", "headrace", samples.read),
            spread("one search, contained in the above", "headrace", samples.search),
            spread("after a pause: row committed → profile", "headrace", rested.profile,
                   beside={"floor": rested.floor}),
            spread("after a pause: row committed → profile", "floor", rested.floor),
            spread("after a pause: row committed → found", "headrace", rested.row),
            spread("after a pause: small file saved → found", "headrace", rested.saved),
            spread("after a pause: file deleted → gone", "headrace", rested.deleted),
        ),
        notes,
    )  # fmt: skip


def measure(settings: Settings, ours: Ours, beside: FloorServers) -> tuple[Samples, Samples]:
    """Without and with pauses, ours and the floor in turns of some rounds."""
    samples, rested, pauses = Samples(), Samples(), random.Random(1)
    numbers = itertools.count()
    ends = time.monotonic() + BUDGET_S

    def times(act: Callable[[int], float | None], into: list[float], rounds: int, pause_s: float) -> None:
        for n in itertools.islice(numbers, rounds):
            time.sleep(pauses.uniform(0, pause_s))
            if (took := act(n)) is not None:
                into.append(took)
            if time.monotonic() > ends:
                return

    def turn(into: Samples, profiles: int, documents: int, pause_s: float) -> None:
        times(ours.profile, into.profile, profiles, pause_s)
        acts: Sequence[tuple[Callable[[int], float | None], list[float]]] = (
            (ours.row, into.row),
            (ours.save, into.saved),
            (ours.delete, into.deleted),
            (ours.one_search, into.search),
            (ours.one_read, into.read),
        )
        for act, taken in acts:
            times(act, taken, documents, pause_s)
        with beside.running() as floor:
            times(floor.profile, into.floor, profiles, pause_s)

    turn(samples, WARM_UP, WARM_UP, 0)
    samples.forget()
    for _ in range(TURNS):
        turn(samples, settings.of(1000 // TURNS), settings.of(400 // TURNS), 0)
        turn(rested, settings.of(400 // TURNS), settings.of(150 // TURNS), PAUSE_S)
    return samples, rested
