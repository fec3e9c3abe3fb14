"""Commands that bring a Headrace up: `init`, `up`, `demo`."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.calling import DEFAULT, AsJson, ConfigFile, configured, run
from headrace.cli.terminal import fail_text, say, show
from headrace.registry import Lazily

if TYPE_CHECKING:
    from headrace import running
    from headrace.demo import run as airline
else:
    running, airline = Lazily("headrace.running"), Lazily("headrace.demo.run")


def init(
    folder: Annotated[Path, typer.Argument(help="Where to put headrace.toml.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Write a headrace.toml to start from."""
    target = folder / "headrace.toml"
    if target.exists():
        fail_text(f"{target} is there already; nothing was written.")
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text(files("headrace").joinpath("starter.toml").read_text("utf-8"), encoding="utf-8")
    (folder / "documents").mkdir(exist_ok=True)
    show(
        {"written": str(target)},
        as_json,
        f"Wrote {target}. Put documents into {folder / 'documents'}, then: headrace up",
    )


def up(
    config: ConfigFile = DEFAULT,
    once: Annotated[bool, typer.Option("--once", help="Catch up with all sources, then exit.")] = False,
    as_json: AsJson = False,
) -> None:
    """Capture, apply and answer until stopped."""
    settings = configured(config)
    if once:
        done = run(running.catch_up(settings, say))
        show(done, as_json, "Caught up: " + (", ".join(f"{k} {v}" for k, v in done.items()) or "nothing to read"))
    else:
        run(running.up(settings, say))


def demo(
    data: Annotated[Path, typer.Option(help="Folder for the demo's data.")] = Path(".headrace/demo"),
    port: Annotated[int, typer.Option(help="TCP port of the page.")] = 8420,
    host: Annotated[str, typer.Option(help="Address to bind.")] = "127.0.0.1",
    speed: Annotated[float, typer.Option(help="Pace of the simulator; 1 is about four changes a second.")] = 1.0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
) -> None:
    """An airline whose database moves, and an assistant that knows."""
    run(airline.run_demo(data, host, port, speed, say, browser=browser))
