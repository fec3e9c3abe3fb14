"""How much memory there is for us."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_UNKNOWN_MB = 4096


def memory_mb(limits: tuple[str, ...] = _LIMITS) -> int:
    """The machine's memory, or that of the container where it has less (cgroups, `limits`: where they say so)."""
    found = [_UNKNOWN_MB << 20]
    with suppress(ValueError, OSError, AttributeError):  # Windows has no sysconf
        found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in limits:
        with suppress(OSError, ValueError):  # none, or "max"
            found.append(int(Path(limit).read_text("ascii")))
    return min(found) >> 20
