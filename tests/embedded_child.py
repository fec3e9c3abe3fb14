"""A process that runs an embedded PostgreSQL, for tests that kill it: `python -m tests.embedded_child DATA [options]`.

Prints one line of JSON when the server is ready (or has failed), then holds it until standard input ends.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import sys
import threading
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.stores.embedded_postgres import EmbeddedPostgres


async def hold(data: Path, name: str) -> None:
    try:
        server = await EmbeddedPostgres.start(data)
    except HeadraceError as problem:
        told = {"error": type(problem).__name__, "got": problem.got, "expected": problem.expected}
        print(json.dumps({**told, "remedy": problem.remedy}), flush=True)
        return
    print(json.dumps({"pid": server.pid, "dsn": server.dsn(name), "version": server.version}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--uid", type=int, help="become this user after the imports: its own may not reach them")
    parser.add_argument("--thread", action="store_true", help="start from a thread that is not the main one")
    options = parser.parse_args()
    if options.uid is not None:
        for late in ("encodings.idna", "encodings.ascii", "concurrent.futures.thread"):
            importlib.import_module(late)
        os.chdir("/")
        os.setgroups([])
        os.setgid(options.uid)
        os.setuid(options.uid)
    if options.thread:
        thread = threading.Thread(target=lambda: asyncio.run(hold(options.data, "postgres")))
        thread.start()
        thread.join()
    else:
        asyncio.run(hold(options.data, "postgres"))


if __name__ == "__main__":
    main()
