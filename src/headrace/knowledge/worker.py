"""The process that reads documents: one after the other, each within the limits that come with it.

    python -m headrace.knowledge.worker        jobs on standard input, results on standard output

Whatever a document does to it - an endless loop, a crash in a library, all memory - ends this process only.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import sys
from typing import BinaryIO

from headrace.errors import HeadraceError
from headrace.knowledge.frames import DONE, FAILED, HEAD, MEMORY, TICK, Failed, Job, framed, job, opened
from headrace.knowledge.parse import parse

TOTAL = 30
"""A document as a whole may take so many times the processor time that it may take between two of its steps."""
_PR_SET_PDEATHSIG = 1
_NICE = 5  # answers go first


def main() -> None:
    _end_with_parent()
    os.nice(_NICE)
    results = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints must not come between
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    source = sys.stdin.buffer
    while head := source.read(HEAD):
        length, _ = opened(head)
        _serve(job(source.read(length)), results)


def _serve(work: Job, results: BinaryIO) -> None:
    _lower(resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS, work.limits.memory)
    try:
        found = framed(DONE, _read(work, results))
    except HeadraceError as error:
        found = framed(FAILED, Failed(*error.failure))
    except MemoryError:
        found = framed(MEMORY)
    except Exception as error:  # noqa: BLE001 - a library may fail at a hostile file in any way
        if _out_of_memory(error):
            found = framed(MEMORY)
        else:
            got = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            remedy = "Save it again with its program, or leave it out with `exclude`."
            expected = f"a readable document of type {work.media}"
            found = framed(FAILED, Failed(f"parse {work.path}", expected, got, remedy))
    view = memoryview(found)
    while view:
        view = view[results.write(view) :]


def _read(work: Job, results: BinaryIO) -> object:
    clock = _Clock(work.limits.timeout_s)

    def tick() -> None:
        clock.extend()
        results.write(framed(TICK))

    clock.extend()
    return parse(work.path, work.content, work.limits, media=work.media, tick=tick)


class _Clock:
    """Processor time: so much from each step to the next, so much in all. A busy machine takes none of it away.

    At its end the system ends the process (SIGXCPU): there is no code in between that a library could keep waiting.
    """

    def __init__(self, step_s: float) -> None:
        self._step_s = max(step_s, 1)
        self._end = _spent_s() + TOTAL * self._step_s

    def extend(self) -> None:
        _lower(resource.RLIMIT_CPU, math.ceil(min(_spent_s() + self._step_s, self._end)))


def _spent_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


def _lower(kind: int, most: int) -> None:
    """Sets the soft limit; macOS knows some of them and refuses others."""
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    try:
        resource.setrlimit(kind, (most, hard))
    except (ValueError, OSError):
        if sys.platform == "linux":
            raise


def _out_of_memory(error: Exception) -> bool:
    return "bad_alloc" in str(error) or "out of memory" in str(error).lower() or "Cannot allocate" in str(error)


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == 1 and os.environ.get("HEADRACE_PARENT") != "1":
            sys.exit(1)  # it ended before that was set


if __name__ == "__main__":
    main()
