"""What commands print: results on the output, everything else beside it."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import NoReturn

import structlog
from rich.console import Console
from rich.markup import escape

from headrace.errors import HeadraceError

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def show(value: object, as_json: bool, text: str) -> None:
    """As JSON, or as a text with markup."""
    if as_json:
        sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    else:
        out.print(text)


def say(text: str) -> None:
    err.print(text, markup=False)


class Progress:
    """What is said of work under way: to who watches, and not more often than every so many seconds."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._began = self._said = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        if sys.stderr.isatty() and time.monotonic() - self._said > self._every_s:
            self._said = time.monotonic()
            say(text)


def fail(error: HeadraceError) -> NoReturn:
    err.print(f"[red]{escape(error.title)}[/red]: could not {escape(error.step)}", markup=True)
    err.print(f"  expected  {error.expected}", markup=False)
    err.print(f"  got       {error.got}", markup=False)
    err.print(f"  remedy    {error.remedy}", markup=False)
    raise SystemExit(1)


def fail_text(text: str) -> NoReturn:
    err.print(text, markup=False)
    raise SystemExit(1)


def log_to_stderr() -> None:
    """Logs are readable on a terminal, JSON lines elsewhere."""
    renderer = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
