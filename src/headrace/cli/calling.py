"""What commands share: their options, the configuration, and the way to a Headrace that is running."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import uvloop

from headrace.access import Viewer
from headrace.cli.terminal import fail, log_to_stderr
from headrace.client import connect
from headrace.config import Config, load
from headrace.errors import HeadraceError

ConfigFile = Annotated[Path, typer.Option("-c", "--config", help="The configuration file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
After = Annotated[str | None, typer.Option(help="A token that must be applied first.")]
AsOf = Annotated[str | None, typer.Option(help="A token or an RFC 3339 time to read at.")]
Where = Annotated[
    list[str] | None,
    typer.Option(help="Only documents with such metadata: key=value, !=, >, >=, <, <=, or key alone. Repeatable."),
]
Rerank = Annotated[
    bool | None, typer.Option("--rerank/--no-rerank", help="By the reranker, or not; otherwise as is configured.")
]
AsUser = Annotated[str | None, typer.Option("--as", help="Read as this user would.")]
AsGroups = Annotated[str | None, typer.Option("--groups", help="Read as somebody in these groups, between commas.")]
DEFAULT = Path("headrace.toml")

Made = TypeVar("Made")


def or_fail(make: Callable[[], Made]) -> Made:
    """What is made; an error is told, and ends the command."""
    try:
        return make()
    except HeadraceError as error:
        fail(error)


def configured(path: Path) -> Config:
    return or_fail(lambda: load(path))


def reading_as(user: str | None, groups: str | None) -> Viewer | None:
    """As whom it is read; None: as the operator."""
    if user is None and groups is None:
        return None
    return Viewer(user, frozenset((groups or "").split(",")) - {""})


def call(config: Path, path: str, body: dict[str, Any] | None = None, viewer: Viewer | None = None) -> Any:
    """What a path answers: to a POST of the body, or to a GET."""

    async def answer() -> Any:
        async with connect(configured(config), viewer) as client:
            return await (client.get(path) if body is None else client.post(path, body))

    return run(answer())


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Until it is done; an error is told, and ends the command."""
    log_to_stderr()
    try:
        return uvloop.run(work)
    except HeadraceError as error:
        fail(error)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
