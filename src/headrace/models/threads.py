"""What threads of models run on."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path


def processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def features() -> frozenset[str]:
    """What the processor can do, by the names that Linux gives it; nothing is known elsewhere."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.is_file() else []
    flags = [line for line in lines if line.startswith("flags")]
    return frozenset(flags[0].partition(":")[2].split()) if flags else frozenset()


def yield_to_others(niceness: int) -> None:
    """Lower the calling thread's priority; only Linux has one per thread."""
    if niceness and sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
