"""`headrace demo`: a configuration, an airline's database and a simulator around `headrace up`."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from headrace.app import App
from headrace.config import Config, parse
from headrace.demo.config import config_text
from headrace.demo.control import SimulatorControl
from headrace.demo.desk import Desk
from headrace.demo.loader import LoadProgress, load
from headrace.demo.policies import copy_policies
from headrace.demo.routes import demo_router
from headrace.running import up

AIRLINE = "airline"
Say = Callable[[str], None]


async def run_demo(data: Path, host: str, port: int, speed: float, say: Say, *, browser: bool) -> None:
    """Serves the demo until it is told to stop. The airline's own database stands beside Headrace's store."""
    folder, policies = _folders(data)
    app = App(_config("postgresql://later", folder, host, port), say=say)
    try:
        dsn = await app.database(AIRLINE)
        await _load(dsn, say)
    except BaseException:
        await app.close()
        raise
    app.config = _config(dsn, folder, host, port)
    async with AsyncExitStack() as stack:
        pool = AsyncConnectionPool[AsyncConnection[Any]](dsn, min_size=1, max_size=4, open=False)
        await pool.open()
        stack.push_async_callback(pool.close)
        simulator = await stack.enter_async_context(SimulatorControl(dsn, policies, speed=speed))
        router = demo_router(Desk(pool, policies), simulator)
        await up(app.config, say, app=app, extra=[router], opened=webbrowser.open if browser else None)


def _folders(data: Path) -> tuple[Path, Path]:
    """The demo's folder and its policies, copied once."""
    folder = data.resolve()
    policies = folder / "policies"
    policies.mkdir(parents=True, exist_ok=True)
    copy_policies(policies)
    return folder, policies


def _config(airline: str, folder: Path, host: str, port: int) -> Config:
    text = config_text(airline=airline, policies=folder / "policies", data=folder, host=host, port=port)
    return parse(text, folder, {})


async def _load(dsn: str, say: Say) -> None:
    def tell(progress: LoadProgress) -> None:
        say(f"Loading the airline, {progress.done} of {progress.total}: {progress.rows} {progress.table}")

    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        await load(connection, tell)
