"""Composition root: the one place that binds names to adapters, and keeps them running."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol, cast

import structlog

from headrace.app.compose import compose
from headrace.app.core import Core
from headrace.app.housekeeping import chores
from headrace.app.models import OpenModels
from headrace.app.presigning import Presigning, open_presigning
from headrace.clock import now_us
from headrace.config import Config
from headrace.errors import HeadraceError, StoreError
from headrace.folder import hold
from headrace.registry import MIGRATIONS, SERVERS, lookup

logger = structlog.get_logger("headrace.app")
DATABASE = "headrace"

Say = Callable[[str], None]


class Postgres(Protocol):
    """An embedded server, as the app needs it."""

    def dsn(self, database: str) -> str: ...
    async def ensure_database(self, name: str) -> None: ...
    async def wait_dead(self) -> object: ...
    async def stop(self) -> None: ...


class App:
    """A configured Headrace. `start` brings it up, `run` keeps it running, `close` ends it.

    An embedded PostgreSQL may be given (the demo keeps its airline there too); otherwise one is started when the
    configuration asks for it.
    """

    def __init__(self, config: Config, *, say: Say | None = None) -> None:
        self.config = config
        self.started_at = now_us()
        self.data = Path(config.headrace.data)
        self.models = OpenModels(config.models)
        self._say: Say = say or logger.info
        self._core: Core | None = None
        self._folder: int | None = None
        self._stack = AsyncExitStack()
        self._postgres: Postgres | None = None
        self._presigning: Presigning | None = None
        self._trouble: str | None = "it is starting"

    @property
    def core(self) -> Core:
        """What answers. Raises StoreError while it is being (re)built."""
        if self._core is None:
            raise StoreError(
                step="use the store",
                expected="a store that is up",
                got=self._trouble or "none",
                remedy="It is brought up again by itself; ask again in a moment.",
            )
        return self._core

    @property
    def presigning(self) -> Presigning | None:
        """What uploads by way of an object store need; None where there is none."""
        return self._presigning

    async def start(self, *, capture: bool = True) -> None:
        """Brings everything up once. Raises what prevents it. Without `capture` it only answers."""
        self._take_folder()
        await self.models.open()
        if self.config.uploads.object_store:
            self._presigning = await asyncio.to_thread(open_presigning, self.config.uploads, self.data)
        self._core = await self._build()

    async def run(self) -> None:
        """Captures and applies until cancelled; a store that breaks is brought up again."""
        pause_s = 0.2
        while True:
            began = asyncio.get_running_loop().time()
            try:
                # In a task of its own: before Python 3.11.4 a task in which a group has failed counts as cancelled for
                # good, and its next timeout would end it without a word.
                await asyncio.create_task(self._work(), name="engine's work")
            except Exception as error:  # whatever broke, the answer is the same: build anew
                self._trouble = _first(error)
                logger.exception("the engine stopped and is started again", error=self._trouble, again_in_s=pause_s)
            self._core = None
            await self._stack.aclose()
            await self._pause(pause_s)
            lasted = asyncio.get_running_loop().time() - began
            pause_s = 0.2 if lasted > 30 else min(pause_s * 2, 10.0)

    async def _work(self) -> None:
        """Everything that runs, until something breaks: that is raised."""
        core = self._core = self._core or await self._build()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(core.engine.run())
            for chore in chores(core, self.config.headrace):
                tasks.create_task(chore)
            if self._postgres:
                tasks.create_task(self._watch(self._postgres))

    async def _pause(self, pause_s: float) -> None:
        """Cut short by the end of the embedded server, which may be noticed only after its connections broke."""
        if self._postgres is None:
            await asyncio.sleep(pause_s)
            return
        try:
            async with asyncio.timeout(pause_s):
                await self._postgres.wait_dead()
        except TimeoutError:
            return
        self._postgres = None

    async def close(self) -> None:
        self._core = None
        await self._stack.aclose()
        await self.models.close()
        if self._presigning:
            await self._presigning.objects.close()
        if self._postgres:
            await self._postgres.stop()
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None

    async def database(self, name: str) -> str:
        """The address of a database in the embedded PostgreSQL, which is started if need be."""
        self._take_folder()
        if self._postgres is None:
            start = lookup("servers", SERVERS, "embedded:")
            self._postgres = await _start_postgres(start, self.data / "postgres", self._say)
        assert self._postgres is not None
        await self._postgres.ensure_database(name)
        return self._postgres.dsn(name)

    def _take_folder(self) -> None:
        if self._folder is None:
            self._folder = hold(self.data)

    async def _build(self) -> Core:
        try:
            return await self._compose()
        except BaseException:
            await self._stack.aclose()
            raise

    async def _compose(self) -> Core:
        store = self.config.headrace.store
        dsn = await self.database(DATABASE) if store.startswith("embedded:") else store
        await lookup("migrations", MIGRATIONS, "postgresql:")(dsn, progress=self._say)
        return await compose(self.config, dsn, self.models, self._stack)

    async def _watch(self, postgres: Postgres) -> None:
        ended = await postgres.wait_dead()
        self._postgres = None
        raise StoreError(
            step="run the embedded PostgreSQL",
            expected="it to keep running",
            got=str(ended or "its end"),
            remedy="It is started again by itself.",
        )


async def _start_postgres(kind: Any, folder: Path, say: Say) -> Postgres:
    return await kind.start(folder, progress=say, tcp=True)


def _first(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return _first(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    return str(error) if isinstance(error, HeadraceError) else f"{type(error).__name__}: {error}"
