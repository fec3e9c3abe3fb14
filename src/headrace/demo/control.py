"""Starts the simulator as a process of its own, steers it and hears how it is."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from headrace.demo.errors import SimulatorStopped
from headrace.demo.simulator.protocol import Command, Report, bounded, decode_report, encode

STOP_S = 5.0
ANSWER_S = 2.0
RESTART_S = 1.0


class SimulatorControl:
    """One simulator process, started anew when it dies; its wishes (running, speed) outlive it.

    `dsn` goes by the environment, never on a command line. Use as an async context manager, or `start` and `stop`.
    """

    def __init__(self, dsn: str, policies: Path, *, speed: float = 1.0, running: bool = True, seed: int | None = None):
        self._dsn = dsn
        self._policies = policies
        self._running = running
        self._speed = bounded(speed)
        self._seed = seed
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._earlier: Mapping[str, int] = {}
        self._latest: Report = Report(running, bounded(speed), connected=False, changes=0, counts={})
        self._heard = asyncio.Event()

    async def __aenter__(self) -> SimulatorControl:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def pid(self) -> int | None:
        """The process's id, None while there is none."""
        return self._process.pid if self._process else None

    @property
    def report(self) -> Report:
        """How it is, as last heard; counts go on over a restart of the process."""
        counts = Counter(self._earlier) + Counter(self._latest.counts)
        now = self._latest
        return Report(now.running, now.speed, now.connected, counts.total(), dict(counts), now.problem)

    async def start(self) -> None:
        """Starts the process and keeps one running until `stop`. A second call does nothing."""
        if self._watch is None:
            self._process = await self._spawn()
            self._watch = asyncio.create_task(self._keep_running(self._process), name="demo simulator")

    async def stop(self) -> None:
        """Ends the process: asks by closing its stdin, and insists after some seconds."""
        watch, self._watch = self._watch, None
        if watch is None:
            return
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
        if self._process is not None:
            await _end(self._process)
            self._process = None
        self._ended("stopped")

    async def command(self, *, running: bool | None = None, speed: float | None = None) -> Report:
        """Pauses, resumes, changes the pace; returns the state that the simulator then reports.

        Raises SimulatorStopped when it does not take the command.
        """
        self._running = self._running if running is None else running
        self._speed = self._speed if speed is None else bounded(speed)
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._send(Command(self._running, self._speed))
                while (self._latest.running, self._latest.speed) != (self._running, self._speed):
                    self._heard.clear()
                    await self._heard.wait()
        except (OSError, TimeoutError) as error:
            raise SimulatorStopped(
                step="steer the simulator",
                expected=f"an answer within {ANSWER_S:g} s",
                got=type(error).__name__,
                remedy="It starts by itself again; ask once more, or restart the demo.",
            ) from None
        return self.report

    async def _send(self, command: Command) -> None:
        stdin = self._process.stdin if self._process else None
        if stdin is None:
            raise BrokenPipeError
        stdin.write(encode(command) + b"\n")
        await stdin.drain()

    async def _spawn(self) -> asyncio.subprocess.Process:
        arguments = ["--policies", str(self._policies), "--speed", str(self._speed)]
        if self._seed is not None:
            arguments += ["--seed", str(self._seed)]
        if not self._running:
            arguments += ["--paused"]
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "headrace.demo.simulator",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"HEADRACE_DEMO_AIRLINE": self._dsn},
            # Ctrl-C is for who started it; this process ends when its stdin does.
            start_new_session=True,
        )

    async def _keep_running(self, process: asyncio.subprocess.Process) -> None:
        while True:
            await self._listen(process)
            code = await process.wait()
            self._ended(self._latest.problem or f"it ended with code {code}")
            await asyncio.sleep(RESTART_S)
            self._process = process = await self._spawn()

    def _ended(self, problem: str) -> None:
        self._earlier = self.report.counts
        self._latest = Report(self._running, self._speed, False, 0, {}, problem)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            self._latest = decode_report(line)
            self._heard.set()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin:
        process.stdin.close()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
