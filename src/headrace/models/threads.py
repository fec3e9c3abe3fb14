"""What threads of models run on."""

from __future__ import annotations

import os
import sys
import threading


def processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def yield_to_others(niceness: int) -> None:
    """Lower the calling thread's priority; only Linux has one per thread."""
    if niceness and sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
