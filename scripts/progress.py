"""Runs commands side by side and shows how long each has been at it."""

import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

_TAIL_LINES = 40
_HEARTBEAT_S = 5.0
_REDRAW_S = 0.2
_STARTED = time.monotonic()


class StepFailed(Exception):
    """A step of the set-up failed; the message says which, with the end of what it printed."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command: `label` is shown, `done` is what the closing line says of it."""

    label: str
    command: Sequence[str]
    cwd: Path
    environment: dict[str, str]
    done: str = "done"


@dataclass(slots=True)
class _Running:
    step: Step
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    started: float = field(default_factory=time.monotonic)
    ended: float | None = None

    def elapsed_s(self) -> float:
        return (self.ended or time.monotonic()) - self.started

    def tail(self) -> str:
        self.output.seek(0)
        return "\n".join(self.output.read().decode(errors="replace").splitlines()[-_TAIL_LINES:])


def say(text: str) -> None:
    """Print one line on standard error, stamped with the seconds since the set-up began."""
    print(f"[{time.monotonic() - _STARTED:6.1f} s] {text}", file=sys.stderr, flush=True)


def run_together(steps: Sequence[Step]) -> None:
    """Run all steps at once and wait for them; raises StepFailed for the first that fails and ends the others."""
    with contextlib.ExitStack() as stack:
        running = [_start(step, stack) for step in steps]
        for one in running:
            say(f"{one.step.label} ...")
        with _shown(running):
            _wait(running)


def _start(step: Step, stack: contextlib.ExitStack) -> _Running:
    output = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  the stack closes it
    process = subprocess.Popen(
        step.command,
        cwd=step.cwd,
        env=step.environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
    )
    stack.callback(_end, process)
    return _Running(step, process, output)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        process.wait()


def _wait(running: Sequence[_Running]) -> None:
    pending = list(running)
    while pending:
        for one in [each for each in pending if each.process.poll() is not None]:
            pending.remove(one)
            one.ended = time.monotonic()
            if one.process.returncode != 0:
                _clear_line()
                raise StepFailed(f"{one.step.label} failed (exit {one.process.returncode}):\n{one.tail()}")
            _clear_line()
            say(f"{one.step.label}: {one.step.done} in {one.elapsed_s():.1f} s")
        time.sleep(0.02)


@contextlib.contextmanager
def _shown(running: Sequence[_Running]) -> Generator[None]:
    stop = threading.Event()
    redraw = sys.stderr.isatty()
    thread = threading.Thread(target=_show, args=(running, stop, redraw), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        _clear_line()


def _show(running: Sequence[_Running], stop: threading.Event, redraw: bool) -> None:
    while not stop.wait(_REDRAW_S if redraw else _HEARTBEAT_S):
        active = ", ".join(f"{one.step.label} {one.elapsed_s():.0f} s" for one in running if one.ended is None)
        if not active:
            continue
        if redraw:
            print(f"\r\033[K  ... {active}", end="", file=sys.stderr, flush=True)
        else:
            say(f"still at: {active}")


def _clear_line() -> None:
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
