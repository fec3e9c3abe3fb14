"""Answers on their way: frames that are kept for a while, so that a client that lost its connection can go on."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec

import msgspec

from headrace.access import Viewer
from headrace.errors import HeadraceError, NotFound

MAX_RUNS = 200
MAX_ACTIVE = 32
KEEP_S = 300.0
ALONE_S = 30.0
"""How long an answer goes on while nobody reads it."""
FRAME_BYTES = 32_000

P = ParamSpec("P")


class TooBusy(HeadraceError):
    """As many answers as this server makes at once are being made."""

    status = 429
    title = "Too many answers at once"


class Run:
    """One answer being made: its frames in order, from 1."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.id = "r_" + secrets.token_urlsafe(9)
        self._frames: list[str] = []
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._readers = 0
        self._lonely: asyncio.TimerHandle | None = None

    @property
    def done(self) -> bool:
        return self._task is not None and self._task.done()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.create_task(work, name=f"answer {self.id}")
        self._task.add_done_callback(lambda _: self._changed.set())

    def cancel(self) -> None:
        if self._task:
            self._task.cancel()

    def put(self, chunk: dict[str, Any]) -> None:
        seq = len(self._frames) + 1
        frame = msgspec.json.encode({"v": 1, "run": self.id, "seq": seq, "chunk": chunk})
        if len(frame) > FRAME_BYTES:
            frame = msgspec.json.encode({"v": 1, "run": self.id, "seq": seq, "chunk": _smaller(chunk)})
        self._frames.append(frame.decode())
        self._changed.set()

    async def frames(self, after: int) -> AsyncGenerator[str, None]:
        """Frames behind a sequence number, until the run's last."""
        self._readers += 1
        if self._lonely:
            self._lonely.cancel()
        at = max(after, 0)
        try:
            while True:
                while at < len(self._frames):
                    at += 1
                    yield self._frames[at - 1]
                if self.done and at >= len(self._frames):
                    return
                self._changed.clear()
                await self._changed.wait()
        finally:
            self._readers -= 1
            if not self._readers and not self.done:
                self._lonely = asyncio.get_running_loop().call_later(ALONE_S, self.cancel)


class Runs:
    """All answers of the last minutes, bounded."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}

    def start(
        self,
        viewer: Viewer,
        work: Callable[Concatenate[Run, P], Coroutine[Any, Any, None]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Run:
        """Begins an answer for somebody. Raises TooBusy."""
        if sum(1 for r in self._runs.values() if not r.done) >= MAX_ACTIVE:
            raise TooBusy(
                step="start an answer",
                expected=f"fewer than {MAX_ACTIVE} answers being made",
                got=str(MAX_ACTIVE),
                remedy="Ask again in a moment.",
            )
        run = Run(viewer)
        self._runs[run.id] = run
        run.begin(work(run, *args, **kwargs))
        asyncio.get_running_loop().call_later(KEEP_S, self._runs.pop, run.id, None)
        while len(self._runs) > MAX_RUNS:
            oldest = next(iter(self._runs))
            self._runs.pop(oldest).cancel()
        return run

    def get(self, id: str, viewer: Viewer) -> Run:
        """Raises NotFound, also for one of somebody else, or of the same with other groups by now."""
        found = self._runs.get(id)
        if found is None or found.viewer != viewer:
            raise NotFound(
                step="find an answer",
                expected=f"one of the last {KEEP_S:.0f} s",
                got=id[:100],
                remedy="Ask the question again.",
            )
        return found


def _smaller(chunk: dict[str, Any]) -> dict[str, Any]:
    """A chunk that fits a frame: a fact's row is left out, long texts are cut; /v1/ask has them whole."""
    data = dict(chunk.get("data", {}))
    data.pop("fields", None)
    for name in ("quote", "text"):
        if isinstance(data.get(name), str):
            data[name] = data[name][:8000]
    return (
        {**chunk, "data": {**data, "truncated": True}} if data else {**chunk, "delta": str(chunk.get("delta"))[:8000]}
    )
