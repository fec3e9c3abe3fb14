"""Plays the airline at a pace: keeps a connection, makes steps, obeys commands, reports."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import psycopg

from headrace.demo.simulator.play import step
from headrace.demo.simulator.protocol import RATE, Command, Report, bounded
from headrace.demo.simulator.world import Connection, World, read_world

REPORT_EVERY_S = 0.25
RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0)


class Player:
    """Steps until cancelled; calls `report` when the state changes and, while it plays, every quarter second."""

    def __init__(
        self,
        dsn: str,
        policies: Path | None,
        report: Callable[[Report], None],
        *,
        seed: int | None = None,
        speed: float = 1.0,
        paused: bool = False,
    ) -> None:
        self._dsn = dsn
        self._policies = policies
        self._report = report
        self._chance = Random(seed)  # noqa: S311 - a game of chance, no secret
        self._speed = bounded(speed)
        self._running = asyncio.Event()
        if not paused:
            self._running.set()
        self._counts: Counter[str] = Counter()
        self._connected = False
        self._problem: str | None = None
        self._reported = 0.0
        self._hurry = asyncio.Event()

    def command(self, command: Command) -> None:
        """Takes effect at once, also while it waits for its next step."""
        if command.speed is not None:
            self._speed = bounded(command.speed)
        if command.running is not None:
            (self._running.set if command.running else self._running.clear)()
        self._hurry.set()
        self.say()

    def say(self, problem: str | None = None) -> None:
        """Reports now, with a problem if there is one."""
        self._reported = time.monotonic()
        self._problem = problem or self._problem
        self._report(
            Report(
                running=self._running.is_set(),
                speed=self._speed,
                connected=self._connected,
                changes=self._counts.total(),
                counts=dict(self._counts),
                problem=self._problem,
            )
        )

    async def play(self) -> None:
        """Plays on; a lost connection is made anew. Raises psycopg.Error when the database is not the airline's."""
        tries = 0
        while True:
            try:
                async with await connect(self._dsn) as connection:
                    world = await read_world(connection, self._policies)
                    tries = 0
                    self._connected = True
                    self._problem = None
                    self.say()
                    await self._steps(connection, world)
            except psycopg.OperationalError as error:
                self._connected = False
                self.say(f"no connection to the airline's database: {type(error).__name__}")
                await asyncio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
                tries += 1

    async def steps(self, count: int) -> None:
        """Makes so many steps as fast as they go, then reports. Raises psycopg.Error."""
        async with await connect(self._dsn) as connection:
            world = await read_world(connection, self._policies)
            self._connected = True
            for _ in range(count):
                await self._step(connection, world)
        self.say()

    async def _steps(self, connection: Connection, world: World) -> None:
        due = time.monotonic()
        while True:
            if not self._running.is_set():
                await self._running.wait()
                due = time.monotonic()
            self._hurry.clear()
            await self._step(connection, world)
            now = time.monotonic()
            if now - self._reported >= REPORT_EVERY_S:
                self.say()
            # Late by more than a second is not made up for: after a stall the pace is the same as before.
            due = max(due + 1 / (RATE * self._speed), now - 1)
            await self._wait_until(due)

    async def _wait_until(self, due: float) -> None:
        wait = due - time.monotonic()
        if wait <= 0:
            await asyncio.sleep(0)
            return
        try:
            await asyncio.wait_for(self._hurry.wait(), wait)
        except TimeoutError:
            return

    async def _step(self, connection: Connection, world: World) -> None:
        try:
            kind = await step(connection, world, self._chance)
        except psycopg.OperationalError as error:
            # A deadlock or a timeout leaves the connection as it was; anything else has lost it.
            if connection.broken or connection.closed:
                raise
            self.say(f"one change failed: {type(error).__name__}")
        except (psycopg.Error, OSError, UnicodeDecodeError) as error:
            self.say(f"one change failed: {error}")
        else:
            if kind:
                self._counts[kind] += 1
            self._problem = None


async def connect(dsn: str) -> Connection:
    """The airline's own session, as its applications would have one."""
    return await psycopg.AsyncConnection.connect(
        dsn, autocommit=True, connect_timeout=5, application_name="airline", options="-c statement_timeout=10s"
    )
