"""Starts `headrace demo` and waits for a cited answer over HTTP, as a person would see it; then stops it.

    try_demo.py HEADRACE [SECONDS]      HEADRACE is the program to start; exit 1 when no answer came in time

Standard library only: it runs beside an installed wheel.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

QUESTION = "How many free checked bags does a gold member get in business class?"
_STOP_TIMEOUT_S = 30


def main(arguments: list[str]) -> int:
    """Start, ask until there is an answer with a citation, stop; returns the exit status."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    limit_s = float(arguments[1]) if len(arguments) > 1 else 180.0
    with tempfile.TemporaryDirectory(prefix="headrace-try-", ignore_cleanup_errors=True) as folder:
        port = free_port()
        command = [arguments[0], "demo", "--data", str(Path(folder) / "data"), "--port", str(port), "--no-browser"]
        output = Path(folder) / "output"
        with output.open("wb") as sink:
            process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
            )
            try:
                problem = watch(process, port, limit_s)
            finally:
                stopped = stop(process)
        if problem or not stopped:
            print(output.read_text(errors="replace")[-4000:], file=sys.stderr)
            print(problem or f"it did not stop within {_STOP_TIMEOUT_S} s of SIGTERM", file=sys.stderr)
            return 1
    return 0


def watch(process: subprocess.Popen[bytes], port: int, limit_s: float) -> str | None:
    """Ask until the answer has a citation and the page is there; returns what went wrong, or None."""
    started = time.monotonic()
    last = "nothing came"
    while time.monotonic() - started < limit_s:
        if process.poll() is not None:
            return f"it exited with status {process.returncode}"
        try:
            answer = ask(port)
            if answer["citations"] and not answer["abstained"]:
                took_s = time.monotonic() - started
                print(f"answered after {took_s:.1f} s, {len(answer['citations'])} citations: {answer['answer']}")
                return None if page_is_there(port) else "it answers, but / is not the page"
            last = json.dumps(answer)
        except (OSError, ValueError, KeyError) as error:
            last = repr(error)
        time.sleep(0.3)
    return f"no cited answer within {limit_s:.0f} s; last: {last}"


def ask(port: int) -> dict[str, Any]:
    """POST /v1/ask."""
    body = json.dumps({"question": QUESTION}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/ask", data=body, headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=15) as response:  # noqa: S310  http on loopback
        return json.loads(response.read())


def page_is_there(port: int) -> bool:
    """GET / gives the built page."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=15) as response:
        return b"<script" in response.read()


def free_port() -> int:
    """A port that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stop(process: subprocess.Popen[bytes]) -> bool:
    """End it as a service manager does; returns whether it went by itself, and leaves nothing of it behind."""
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        stopped = False
    else:
        stopped = True
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return stopped


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
