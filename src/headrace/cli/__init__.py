"""The command line: thin over the app, and over HTTP to a Headrace that is running."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from headrace.cli import asking, documents, looking, measuring, mending, starting

app = typer.Typer(
    help="Headrace: what a database just committed is in the next answer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
COMMANDS: dict[str, Callable[..., None]] = {
    "init": starting.init,
    "up": starting.up,
    "demo": starting.demo,
    "ask": asking.ask,
    "search": asking.search,
    "status": looking.status,
    "doctor": looking.doctor,
    "token": looking.token,
    "push": documents.push,
    "upload": documents.upload,
    "documents": documents.documents,
    "eval": measuring.evaluate_retrieval,
    "redact": measuring.redact,
    "log": looking.log,
    "snapshot": mending.snapshot,
    "verify": mending.verify,
}
"""By name, in the order of `headrace --help`."""

for _name, _command in COMMANDS.items():
    app.command(_name)(_command)


def main() -> None:
    """The entry point: errors that name themselves instead of tracebacks."""
    try:
        app()
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone: nothing to say, and nobody to say it to
