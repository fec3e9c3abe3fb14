"""How long Headrace takes to know that nothing changed: `python -m bench.unchanged FILE`, FILE its configuration.

From where its sources begin to be read, everything else being up, until each is known to be wholly applied: the folder
has been walked and every file held against what is known of it. One JSON line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import time
from pathlib import Path

import structlog
import uvloop

from headrace.app import App
from headrace.clock import now_us
from headrace.config import load
from headrace.engines.embedded import EmbeddedEngine
from headrace.registry import EMBEDDERS

LIMIT_S = 60.0


async def measured(config: Path) -> float:
    app = App(load(config))
    await app.start()
    engine = app.core.engine
    began = time.perf_counter()
    running = asyncio.create_task(app.run())
    try:
        async with asyncio.timeout(LIMIT_S):
            while not known(engine):  # noqa: ASYNC110 - as whoever asks from outside would
                await asyncio.sleep(0.002)
        return time.perf_counter() - began
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await app.close()


def known(engine: EmbeddedEngine) -> bool:
    return engine.started.is_set() and engine.marks().freshness(now_us())[0] is not None


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    EMBEDDERS["free"] = "bench.free:open_embedder"
    print(json.dumps({"seconds": uvloop.run(measured(Path(sys.argv[1])))}))
