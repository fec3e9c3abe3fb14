"""Peers in Python: each in an environment of its own, kept under `--data`, and run as a script of bench/peers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.report import Failed, Unavailable
from bench.source import dies_with_us
from bench.sustained import memory_mb

PEERS = Path(__file__).parent / "peers"
BOOTSTRAP = Path(__file__).parents[1] / "scripts" / "bootstrap.sh"
INSTALL_S = 600
STEP_S = 600.0
SAMPLED_S = 0.25


@dataclass(frozen=True, slots=True)
class Peer:
    """`name` as in the table; `script` in bench/peers; what pip installs."""

    name: str
    version: str
    script: str
    requirements: Sequence[str]


@dataclass(frozen=True, slots=True)
class Ran:
    """Seconds of each step, and the most memory in between (MB)."""

    steps: dict[str, float]
    memory_mb: float


class Peak(threading.Thread):
    """The most memory that a process and its children take together while this runs."""

    def __init__(self, pid: int, *, without: int | None = None) -> None:
        """`without`: a process below it that is left out with all below that."""
        super().__init__(daemon=True)
        self._without = without
        self.mb = 0.0
        self._pid = pid
        self._end = threading.Event()

    def run(self) -> None:
        while not self._end.wait(SAMPLED_S):
            self.mb = max(self.mb, memory_mb(family(self._pid, self._without))[0])

    def stop(self) -> float:
        self._end.set()
        self.join()
        return self.mb


def family(pid: int, without: int | None = None) -> list[int]:
    """A process and all below it, but for one."""
    try:
        below = [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [pid, *(one for child in below if child != without for one in family(child, without))]


def installed(peer: Peer, data: Path) -> Path:
    """The Python of a peer's own environment, made once. Raises Unavailable."""
    folder = data / f"{peer.name.lower().replace(' ', '-')}-{peer.version}"
    python = folder / "bin" / "python"
    if (folder / "complete").exists():
        return python
    data.mkdir(parents=True, exist_ok=True)
    uv = _uv(peer)
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        [uv, "pip", "install", "--quiet", "--python", str(python), *peer.requirements],
    ):
        try:
            # Not from our own folder: what our pyproject.toml leaves out of uv's resolution, a peer may need.
            done = subprocess.run(command, cwd=data, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise Unavailable(f"{peer.name} {peer.version} could not be installed: {problem}") from problem
        if done.returncode:
            raise Unavailable(f"{peer.name} {peer.version} could not be installed: {done.stderr.strip()[-500:]}")
    (folder / "complete").touch()
    return python


def _uv(peer: Peer) -> str:
    """The uv that set us up: one on PATH, or the one that scripts/bootstrap.sh keeps. Raises Unavailable."""
    asked = subprocess.run(["sh", BOOTSTRAP, "uv"], capture_output=True, text=True, timeout=INSTALL_S, check=False)
    if asked.returncode:
        raise Unavailable(f"{peer.name} needs uv for an environment of its own: {asked.stderr.strip()[-500:]}")
    return asked.stdout.strip()


def ran(python: Path, peer: Peer, arguments: Sequence[str], output: Path) -> Ran:
    """Runs a peer's script to its end; what it sets up before it is ready is not counted. Raises Failed."""
    with output.open("ab") as log:
        process = subprocess.Popen(
            [python, PEERS / peer.script, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "PYTHONPATH": "", "COCOINDEX_DISABLE_USAGE_TRACKING": "1"},
            start_new_session=True,
            preexec_fn=dies_with_us(signal.SIGKILL),
        )
    late = threading.Timer(STEP_S, process.kill)
    late.start()
    peak = Peak(process.pid)
    steps: dict[str, float] = {}
    assert process.stdin
    assert process.stdout
    try:
        for line in process.stdout:
            if not line.startswith('{"step"'):
                continue
            told = json.loads(line)
            if told["step"] == "ready":
                peak.start()
                process.stdin.write("go\n")
                process.stdin.flush()
            else:
                steps[told["step"]] = told["seconds"]
        code = process.wait()
    finally:
        late.cancel()
        process.kill()
        process.wait()
        if peak.is_alive():
            peak.stop()
    if code or not steps:
        raise Failed(f"{peer.name} {peer.version} ended with {code}: {output.read_text('utf-8', 'replace')[-600:]}")
    return Ran(steps, peak.mb)
