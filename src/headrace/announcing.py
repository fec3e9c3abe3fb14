"""Where the Headrace on a data folder answers, told to other commands on this machine."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Generator
from pathlib import Path

RUNNING = "running.json"


@contextlib.contextmanager
def announcing(data: Path, url: str) -> Generator[None]:
    """Tells it for as long as it answers."""
    file = data / RUNNING
    file.write_text(json.dumps({"url": url, "pid": os.getpid()}))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def announced(data: Path) -> str | None:
    """Where a Headrace on this data folder says that it answers; it may be gone since."""
    try:
        return str(json.loads((data / RUNNING).read_text())["url"])
    except (OSError, ValueError, KeyError):
        return None
