"""A few processes that read documents, started when they are needed and ended when they are not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Mapping

import structlog

from headrace.errors import BadInput
from headrace.knowledge.frames import DONE, FAILED, HEAD, JOB, MEMORY, TICK, Job, failure, framed, opened, result
from headrace.knowledge.parsed import Limits, Parsed
from headrace.knowledge.worker import TOTAL

logger = structlog.get_logger("headrace.documents")
MODULE = "headrace.knowledge.worker"
IDLE_S = 60.0
"""After so long without work a process is ended: its libraries take memory."""
JOBS = 200
"""After so many documents a process is replaced: what libraries leak goes with it."""
WALL = 5
"""A document may take so many times as long, by the wall's clock, as the processor time it is given: then it waits for
something that does not come, or the machine is very busy."""
STARTING_S = 60.0
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT")

Callback = Callable[[], None]


class Exhausted(Exception):
    """A worker met its limit of memory."""


class Died(Exception):
    """A worker ended in the middle of a document."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class ParserPool:
    """Reads documents in at most `workers` processes at a time. Nothing of the environment but the paths goes there."""

    def __init__(self, limits: Limits, *, workers: int = 2, module: str = MODULE, idle_s: float = IDLE_S) -> None:
        self.limits = limits
        self._module = module
        self._idle_s = idle_s
        self._slots = asyncio.Semaphore(workers)
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def pids(self) -> list[int]:
        """The processes that there are now."""
        return [w.pid for w in self._all if w.alive]

    async def parse(self, path: str, content: bytes, media: str) -> Parsed:
        """A document's text. Raises BadInput: what it says, or how it ended the process that read it."""
        work = framed(JOB, Job(path, content, media, self.limits))
        async with self._slots:
            worker = await self._take()
            if worker.jobs:
                # Documents before it may have used up what memory there was: then it gets a process of its own.
                with contextlib.suppress(Exhausted):
                    return await self._watched(worker, path, work)
                worker = await self._take(fresh=True)
            try:
                return await self._watched(worker, path, work)
            except Exhausted:
                got = f"a need for more than {self.limits.memory:,} bytes"
                raise _bad(path, "a document that fits in memory", got, "memory") from None

    async def _watched(self, worker: _Worker, path: str, work: bytes) -> Parsed:
        patience_s = self.limits.timeout_s * WALL
        try:
            async with asyncio.timeout(patience_s * TOTAL):
                found = await worker.read(work, patience_s)
        except TimeoutError:
            self._end(worker)
            raise self._late(path) from None
        except Died as died:
            self._end(worker)
            if died.code == -signal.SIGXCPU:
                raise self._late(path) from None
            logger.warning("a document ended the process that read it", document=path, code=died.code)
            raise _bad(path, "a document that its library can read", _ended(died.code), "memory") from None
        except BadInput:
            self._give(worker)
            raise
        except BaseException:
            self._end(worker)
            raise
        self._give(worker)
        return found

    def _late(self, path: str) -> BadInput:
        logger.warning("a document took too long to read", document=path)
        step_s = self.limits.timeout_s
        got = f"more than {step_s:g} s of work without a step ahead, or {step_s * TOTAL:g} s in all"
        return _bad(path, "a document that is read in time", got, "timeout")

    async def close(self) -> None:
        for worker in list(self._all):
            self._end(worker)
        await asyncio.gather(*self._ending)

    # ---- workers -----------------------------------------------------------------------------------------------------

    async def _take(self, *, fresh: bool = False) -> _Worker:
        while self._idle and not fresh:
            worker = self._idle.pop()
            if worker.alive:
                worker.rest(None, 0)
                return worker
            self._end(worker)
        worker = _Worker(await _spawn(self._module))
        self._all.add(worker)
        return worker

    def _give(self, worker: _Worker) -> None:
        if worker.jobs >= JOBS or not worker.alive:
            self._end(worker)
            return
        self._idle.append(worker)
        worker.rest(lambda: self._end(worker), self._idle_s)

    def _end(self, worker: _Worker) -> None:
        if worker in self._idle:
            self._idle.remove(worker)
        if worker in self._all:
            self._all.remove(worker)
            task = asyncio.create_task(worker.end(), name="end of a document's reader")
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)


class _Worker:
    """One process; reads one document at a time."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._timer: asyncio.TimerHandle | None = None
        self._reading = False
        self.jobs = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def read(self, work: bytes, patience_s: float) -> Parsed:
        """Raises BadInput, TimeoutError after so long without a step ahead, Died and Exhausted."""
        first = self.jobs == 0
        self.jobs += 1
        sending = asyncio.create_task(self._send(work))
        self._reading = True
        try:
            while True:
                async with asyncio.timeout(patience_s + (STARTING_S if first else 0)):
                    kind, body = await self._frame()
                first = False
                match kind:
                    case _ if kind == TICK:
                        continue
                    case _ if kind == DONE:
                        return result(body)
                    case _ if kind == FAILED:
                        said = failure(body)
                        raise BadInput(step=said.step, expected=said.expected, got=said.got, remedy=said.remedy)
                    case _ if kind == MEMORY:
                        raise Exhausted
                    case _:
                        raise Died(None)
        finally:
            self._reading = False
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending

    async def _send(self, work: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the other end is told by its silence
            self._process.stdin.write(work)
            await self._process.stdin.drain()

    async def _frame(self) -> tuple[bytes, bytes]:
        assert self._process.stdout is not None
        try:
            length, kind = opened(await self._process.stdout.readexactly(HEAD))
            return kind, await self._process.stdout.readexactly(length)
        except asyncio.IncompleteReadError:
            raise Died(await self._process.wait()) from None

    def rest(self, ended: Callback | None, after_s: float) -> None:
        """Sets, or with None takes away, what happens when there is no work for so long."""
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(after_s, ended) if ended else None

    async def end(self) -> None:
        self.rest(None, 0)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._drained()
        await self._process.wait()

    async def _drained(self) -> None:
        """asyncio tells of a process's end only when all that it wrote has been read (before Python 3.13: CPython's
        gh-119710), and reads no more by itself than some 128 KiB."""
        assert self._process.stdout is not None
        while not self._process.stdout.at_eof():
            if self._reading:  # who reads a document from it meets its end too
                await asyncio.sleep(0.01)
            else:
                await self._process.stdout.read(1 << 20)


async def _spawn(module: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-B", "-P", "-m", module, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=_environment()
    )


def _environment() -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "HEADRACE_PARENT": str(os.getpid()), "OMP_NUM_THREADS": "2"}


def _ended(code: int | None) -> str:
    if code is None or code >= 0:
        return f"the end of the process that read it (code {code})"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    return f"the end of the process that read it, by {name}"


def _bad(path: str, expected: str, got: str, setting: str) -> BadInput:
    remedy = f"Leave it out with `exclude`, or raise [documents] {setting} and try it again."
    return BadInput(step=f"parse {path}", expected=expected, got=got, remedy=remedy)
