"""A thousand changes a second for a minute: lag, memory, and latency meanwhile. `python -m bench sustained`.

A process of its own writes at a fixed rate (bench/writer.py says the mix). Each second the lag is read from /v1/status
and the memory from /proc; ten times a second one more row is committed and looked for in /v1/profiles.
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from bench.latency import CONFIG
from bench.process import LIMIT_S, Client, Headrace, TooLate, headrace, spawn, until
from bench.report import Failed, Figure, Goal, Outcome, Settings, at_most, quantile, spread
from bench.source import ROOT, source_server
from bench.writer import CHANGES_PER_S, MIX, NOTES, USERS

WARM_UP_S = 10.0
SECONDS = 60
PROBE_EVERY_S = 0.1
PROBES = 100
LAG_CHANGES = CHANGES_PER_S // 10
MEMORY_MB = 16.0
MEMORY_SHARE = 0.05

SCHEMA = (
    "create table users (id int primary key, email text, city text)",
    "create table notes (id int primary key, body text)",
    f"insert into users select g, 'u'||g||'@example.com', 'city' from generate_series(1, {USERS + PROBES}) g",
    f"insert into notes select g, 'note '||g||' on subject '||md5(g::text) from generate_series(1, {NOTES}) g",
)


@dataclass(frozen=True, slots=True)
class Second:
    """What was seen in one second. Memory in MB; `lag` in changes, of the operator that is furthest behind."""

    lag: int
    freshness_ms: float | None
    headrace_mb: float
    postgres_mb: float
    postgres_own_mb: float


@dataclass(slots=True)
class Watched:
    """All seconds, and the milliseconds from a probe's commit to its profile."""

    seconds: list[Second] = field(default_factory=list[Second])
    probes: list[float] = field(default_factory=list[float])
    lost: int = 0


class Probe:
    """Commits one more row, which the writer leaves alone, and looks for it."""

    def __init__(self, source: psycopg.Connection, client: Client) -> None:
        self._source = source
        self._client = client
        self._number = 0

    def __call__(self) -> float:
        self._number += 1
        user, city = USERS + self._number % PROBES + 1, f"probe{self._number:06d}"
        self._source.execute("update users set city = %s where id = %s", [city, user])
        path, sought = f"/v1/profiles?email=u{user}%40example.com", f'"{city}"'.encode()
        return until(lambda: sought in self._client.get(path), "the profile shows a committed row")


def run(settings: Settings) -> Outcome:
    seconds = settings.of(SECONDS)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-bench-")))
        (folder / "docs").mkdir()
        server = stack.enter_context(source_server())
        source = stack.enter_context(contextlib.closing(server.make("ours", *SCHEMA)))
        running = stack.enter_context(headrace(folder, CONFIG.format(dsn=server.dsn("ours"), docs=folder / "docs")))
        client = stack.enter_context(contextlib.closing(running.client()))
        told = folder / "writer.json"
        warm_up = WARM_UP_S * min(1.0, settings.scale)
        command = [sys.executable, "-m", "bench.writer", server.dsn("ours"), str(warm_up + seconds)]
        writer = spawn(command, ROOT, told)
        stack.callback(_end, writer)
        time.sleep(warm_up)
        watched = watch(running, client, Probe(source, client), seconds)
        if writer.wait(60 + seconds):
            raise Failed(f"the writer: {told.read_text()[-500:]}")
        began = time.perf_counter()
        running.settle()
        behind_ms = (time.perf_counter() - began) * 1000
        wrote: dict[str, float] = json.loads(told.read_text())
        letters = len(client.json("/v1/deadletters")["dead_letters"])
    return Outcome(figures(watched, wrote, behind_ms, letters), (f"source: {server.label}", f"written: {MIX}"))


def watch(running: Headrace, client: Client, probe: Probe, seconds: int) -> Watched:
    watched = Watched()
    began = time.monotonic()
    for number in range(seconds):
        watched.seconds.append(_second(running, client.json("/v1/status")))
        while (left := began + number + 1 - time.monotonic()) > 0:
            time.sleep(min(PROBE_EVERY_S, left))
            if left > PROBE_EVERY_S:
                try:
                    watched.probes.append(probe())
                except TooLate:  # that it lags must still be told, and by how much
                    watched.lost += 1
    return watched


def figures(watched: Watched, wrote: dict[str, float], behind_ms: float, letters: int) -> Sequence[Figure]:
    lags = [float(s.lag) for s in watched.seconds]
    fresh = [s.freshness_ms for s in watched.seconds if s.freshness_ms is not None]
    unknown = len(watched.seconds) - len(fresh)
    growth = _end_of(lags) - _start_of(lags)
    rate = wrote["rate"]
    return (
        Figure("changes written", "writer", "/s", round(rate, 1),
               goals=(Goal(f"{CHANGES_PER_S}/s kept", rate >= 0.99 * CHANGES_PER_S),)),
        Figure("lag, each second", "headrace", "changes", statistics.median(lags), quantile(lags, 0.99), len(lags)),
        Figure("lag, last third less first third", "headrace", "changes", growth,
               goals=(at_most("growth", growth, LAG_CHANGES, "changes"),)),
        Figure("freshness_ms, each second", "headrace", "ms", *_middle_and_end(fresh), len(fresh),
               goals=(Goal("always known", not unknown),)),
        Figure("caught up after the last change", "headrace", "ms", round(behind_ms, 1),
               goals=(at_most("within", behind_ms, 1000, "ms"),)),
        *([spread("row committed → profile, meanwhile", "headrace", watched.probes)] if watched.probes else []),
        Figure(f"not in a profile within {LIMIT_S:g} s", "headrace", "rows", watched.lost,
               goals=(Goal("none", not watched.lost),)),
        *_memory("Headrace", [s.headrace_mb for s in watched.seconds], flat=True),
        *_memory("its PostgreSQL, without shared buffers", [s.postgres_own_mb for s in watched.seconds], flat=True),
        *_memory("its PostgreSQL, all (buffers fill once)", [s.postgres_mb for s in watched.seconds], flat=False),
        Figure("dead letters", "headrace", "", letters, goals=(Goal("none", not letters),)),
    )  # fmt: skip


def _memory(of: str, series: Sequence[float], *, flat: bool) -> tuple[Figure, Figure]:
    growth = round(_end_of(series) - _start_of(series), 1)
    limit = max(MEMORY_MB, MEMORY_SHARE * _start_of(series))
    goals = (Goal(f"growth ≤ {limit:.0f} MB", growth <= limit),) if flat else ()
    return (
        Figure(f"memory of {of}", "headrace", "MB", round(max(series), 1)),
        Figure(f"its growth, last third less first third: {of}", "headrace", "MB", growth, goals=goals),
    )


def _start_of(series: Sequence[float]) -> float:
    return statistics.median(series[: max(1, len(series) // 3)])


def _end_of(series: Sequence[float]) -> float:
    return statistics.median(series[-max(1, len(series) // 3) :])


def _middle_and_end(samples: Sequence[float]) -> tuple[float, float]:
    if not samples:
        raise Failed("freshness_ms was never known")
    return round(statistics.median(samples), 2), round(quantile(samples, 0.99), 2)


def _second(running: Headrace, status: Any) -> Second:
    whole, own = memory_mb(tree(running.postmaster))
    return Second(
        lag=max(operator["lag"]["changes"] for operator in status["operators"]),
        freshness_ms=next(s["freshness_ms"] for s in status["sources"] if s["name"] == "db"),
        headrace_mb=memory_mb([running.pid])[0],
        postgres_mb=whole,
        postgres_own_mb=own,
    )


def tree(pid: int) -> list[int]:
    """A process and its children; PostgreSQL's have none."""
    return [pid, *(int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def memory_mb(pids: Sequence[int]) -> tuple[float, float]:
    """Proportional set size, shared pages counted once, and the anonymous part of it. Source: proc_pid_smaps(5)."""
    whole = own = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a backend may just have ended
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
            kilobytes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
            whole += kilobytes["Pss"]
            own += kilobytes["Pss_Anon"]
    return whole / 1024, own / 1024


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()
