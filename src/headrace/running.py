"""What the commands run: a Headrace that serves, one that catches up and ends, one that only answers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncGenerator, Callable, Sequence

from fastapi import APIRouter

from headrace.announcing import announcing
from headrace.app import App
from headrace.config import Config
from headrace.diagnosis import told
from headrace.errors import SourceError
from headrace.inprocess import InProcess
from headrace.server.create import create
from headrace.server.serve import bind, serve

Say = Callable[[str], None]


async def up(
    config: Config,
    say: Say,
    *,
    app: App | None = None,
    extra: Sequence[APIRouter] = (),
    opened: Callable[[str], object] | None = None,
) -> None:
    """Serves until it is told to stop."""
    listening = bind(config.server.host, config.server.port)
    port = int(listening.getsockname()[1])
    url = f"http://{config.server.host}:{port}"
    app = app or App(config, say=say)
    looking: asyncio.Task[None] | None = None
    try:
        await app.start()
        looking = asyncio.create_task(told(config), name="doctor")
        _rarely_collect()
        with announcing(app.data, url):
            say(f"Headrace answers on {url}")
            if opened:
                opened(url)
            await serve(app, create(app, extra=extra), listening)
    finally:
        if looking is not None:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        listening.close()
        await app.close()


async def catch_up(config: Config, say: Say) -> dict[str, int]:
    """Applies everything that is committed at the sources now, then ends: changes applied per operator and source.

    Raises SourceError when a source cannot be read.
    """
    app = App(config, say=say)
    try:
        await app.start()
        engine = app.core.engine
        running = asyncio.create_task(app.run())
        try:
            await engine.started.wait()
            failed = asyncio.create_task(_first_failure(app))
            done = asyncio.create_task(_applied(app, say))
            await asyncio.wait((failed, done, running), return_when=asyncio.FIRST_COMPLETED)
            for task in (failed, done):
                if task.done():
                    await task
                task.cancel()
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
        return {f"{o} {s}": engine.meter(o, s).changes for s in engine.sources for o in engine.operators}
    finally:
        await app.close()


async def _applied(app: App, say: Say) -> None:
    """Waits for the sources' heads of now, saying how far it is."""
    engine = app.core.engine
    heads = await engine.heads()
    wanted = {s: dict.fromkeys(engine.operators, p) for s, p in heads.items()}
    while missing := await engine.wait(wanted, 1000):
        behind = {x.source: engine.captured[x.source].changes for x in missing}
        say("catching up: " + ", ".join(f"{s} {n} changes captured" for s, n in behind.items()))
    await _renewed(app, say)
    await _told(app, say)
    await app.core.log.sync()


async def _renewed(app: App, say: Say) -> None:
    """Waits for what other settings made to be made anew."""
    renewal = app.core.renewal
    while not renewal.ended.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await renewal.ended.wait()
        if not renewal.ended.is_set() and (progress := renewal.now.progress).total:
            say(f"made anew: {progress.done} of {progress.total} documents")


async def _told(app: App, say: Say) -> None:
    """Waits for what language models tell, unless one does not answer."""
    teller = app.core.teller
    teller.look()
    while not teller.ended.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await teller.ended.wait()
        now = teller.now
        if now.state == "waiting":
            say(f"{now.left} documents wait for a language model: {now.error}")
            return
        if not teller.ended.is_set() and now.left:
            say(f"told of by language models: {now.left} documents to go")


async def _first_failure(app: App) -> None:
    engine = app.core.engine
    while True:
        for name, meter in engine.captured.items():
            if meter.last_error:
                raise SourceError(
                    step=f"catch up with {name}",
                    expected="all of its changes",
                    got=meter.last_error,
                    remedy="Mend the source, then run this again.",
                )
        await asyncio.sleep(0.2)


def _rarely_collect() -> None:
    """What stands now stays: looking through it again and again for garbage only makes changes late."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@contextlib.asynccontextmanager
async def answering(config: Config) -> AsyncGenerator[InProcess]:
    """A Headrace in this process that answers from what it has, without reading its sources: a way to its server."""
    app = App(config, say=lambda _: None)
    try:
        await app.start()
        await app.core.engine.stand_still()
        yield InProcess(create(app))
    finally:
        await app.close()
