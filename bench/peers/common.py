"""What the peers' scripts of `python -m bench pipeline` share, by the standard library alone."""

import hashlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

DIMENSIONS = 384
AT_ONCE = 1000
"""Chunks in one batch, wherever a peer lets one say so."""


def vector(text: str) -> list[float]:
    """A unit vector of a text's hash, as bench/free.py makes it."""
    raw = hashlib.shake_128(text.encode()).digest(DIMENSIONS)
    length = sum((b - 127.5) ** 2 for b in raw) ** 0.5
    return [(b - 127.5) / length for b in raw]


def sections(text: str) -> list[str]:
    """A document's chunks: where bench/texts.py put them together."""
    first, *rest = text.strip().split("\n\n## ")
    return [first, *("## " + part for part in rest)]


def files(folder: str) -> list[tuple[str, str]]:
    """Paths with texts."""
    found = sorted(Path(folder).rglob("*.md"))
    return [(path.relative_to(folder).as_posix(), path.read_text("utf-8")) for path in found]


def timed(step: str, act: Callable[[], object]) -> None:
    """One line for the bench: how long a step took."""
    began = time.perf_counter()
    act()
    print(json.dumps({"step": step, "seconds": time.perf_counter() - began}), flush=True)


def ready() -> None:
    """Everything is imported and set up; waits until it is this one's turn."""
    print(json.dumps({"step": "ready", "seconds": 0}), flush=True)
    sys.stdin.readline()
