"""`headrace demo`: a configuration, an airline's database and a simulator around `headrace up`."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from pathlib import Path

from headrace.app import App
from headrace.config import parse
from headrace.demo.config import config_text
from headrace.demo.control import SimulatorControl
from headrace.demo.desk import Desk
from headrace.demo.loader import load_airline
from headrace.demo.policies import copy_policies
from headrace.demo.routes import demo_router
from headrace.running import up

Say = Callable[[str], None]


async def run_demo(data: Path, host: str, port: int, speed: float, say: Say, *, browser: bool) -> None:
    """Serves the demo until it is told to stop. The airline's own database lives beside Headrace's store."""
    folder = data.resolve()
    policies = folder / "policies"
    policies.mkdir(parents=True, exist_ok=True)
    copy_policies(policies)
    app = App(parse(config_text(airline="postgresql://", data=folder, host=host, port=port), folder, {}), say=say)
    dsn = await app.database(AIRLINE)
    await load(dsn, progress=lambda p: say(f"loading the airline: {p}"))
