"""All measurements: `python -m bench [NAME …] [--json FILE] [--assert]`. See bench/README.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench import (
    asking,
    backlog,
    charsets,
    chunking,
    cocoindex,
    debezium,
    firstindex,
    latency,
    loading,
    metadata,
    mysql,
    mysqlsnapshot,
    parts,
    permissions,
    pipeline,
    push,
    runtimes,
    snapshot,
    sustained,
    vectors,
)
from bench.report import Failed, Outcome, Run, Settings, Unavailable, table

BUSY = 1.5
"""What is measured on a machine with a higher load average says little."""

BENCHES: dict[str, Callable[[Settings], Outcome]] = {
    "latency": latency.run,
    "sustained": sustained.run,
    "asking": asking.run,
    "backlog": backlog.run,
    "snapshot": snapshot.run,
    "mysql": mysql.run,
    "snapshot-mysql": mysqlsnapshot.run,
    "cocoindex": cocoindex.run,
    "pipeline": pipeline.run,
    "loading": loading.run,
    "first-index": firstindex.run,
    "debezium": debezium.run,
    "embedding": parts.embed,
    "runtimes": runtimes.run,
    "files": parts.folder,
    "push": push.run,
    "vectors": vectors.run,
    "permissions": permissions.run,
    "metadata": metadata.run,
    "chunking": chunking.run,
    "charsets": charsets.run,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which of " + ", ".join(BENCHES) + "; none: all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--assert", action="store_true", dest="strict", help="exit 1 unless every goal is met")
    parser.add_argument(
        "--data", type=Path, default=_cache(), help="what is kept between runs (the peers' environments)"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="0.1 takes a tenth of the samples, for trying out")
    parser.add_argument(
        "--settle", type=float, default=120.0, metavar="S", help="wait at most so long for a quiet machine"
    )
    given = parser.parse_args()
    names: list[str] = given.names or list(BENCHES)
    if unknown := [name for name in names if name not in BENCHES]:
        parser.error(f"no bench {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    signal.signal(signal.SIGTERM, _stop)
    data: Path = given.data
    runs = [run(name, Settings(given.scale, data.resolve()), given.settle) for name in names]
    print("\n" + table(runs))
    if given.json:
        out: Path = given.json
        out.write_text(json.dumps(document(runs, given.scale), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if given.strict and not all(run.reached for run in runs) else 0


def run(name: str, settings: Settings, settle_s: float) -> Run:
    """One bench; what goes wrong in it is told and does not stop the others."""
    load = quiet(name, settle_s)
    print(f"{name}: load average {load:.2f}", file=sys.stderr, flush=True)
    if load > BUSY:
        print(f"{name}: WARNING: above {BUSY} the figures say little about Headrace", file=sys.stderr, flush=True)
    began = time.monotonic()
    outcome, unavailable, failed = Outcome(()), None, None
    try:
        outcome = BENCHES[name](settings)
    except Unavailable as reason:
        unavailable = str(reason)
    except Failed as reason:
        failed = str(reason)
    except Exception as problem:  # noqa: BLE001 - a bench that breaks is a failed one
        traceback.print_exc()
        failed = f"{type(problem).__name__}: {problem}"
    took = time.monotonic() - began
    told = f"unavailable: {unavailable}" if unavailable else f"failed: {failed}" if failed else "done"
    print(f"{name}: {told}, after {took:.0f} s", file=sys.stderr, flush=True)
    return Run(name, load, took, outcome, unavailable, failed)


def quiet(name: str, limit_s: float) -> float:
    """Waits for the machine to be idle, for the bench before this one too leaves a load behind; the load then."""
    ends = time.monotonic() + limit_s
    while (load := os.getloadavg()[0]) > BUSY and time.monotonic() < ends:
        print(f"{name}: load average {load:.2f}, waiting", file=sys.stderr, flush=True)
        time.sleep(min(10.0, max(0.1, ends - time.monotonic())))
    return load


def document(runs: Sequence[Run], scale: float) -> dict[str, object]:
    machine = {"system": platform.platform(), "processors": os.cpu_count(), "python": platform.python_version()}
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {**machine, "processor": _processor()},
        "scale": scale,
        "reached": all(run.reached for run in runs),
        "benches": [run.json() for run in runs],
    }


def _stop(number: int, _: object) -> None:
    """Ends by an exception, so that what was started is ended too."""
    sys.exit(128 + number)


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    lines = told.read_text("utf-8").splitlines() if told.is_file() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headrace-bench"


if __name__ == "__main__":
    sys.exit(main())
