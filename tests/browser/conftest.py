"""A real demo and a real browser. `HEADRACE_DEMO_URL` names a demo that already runs, to write tests against."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, async_playwright, expect

from tests.browser.screen import Screen
from tests.servers import dies_with_us, free_port, missing

START_S = 120
CATCH_UP_S = 600
FEW_CHANGES = 20
"""A demo never stands still: so few changes behind is caught up."""
PATIENCE_MS = 15_000
"""How long a browser test waits for what must come; a test of speed it is not."""

Open = Callable[..., Awaitable[Screen]]


@pytest.fixture(scope="package")
def demo_server() -> Iterator[str]:
    """The address of `headrace demo` on a scratch folder, once it has taken in the whole airline. It ends before other
    tests begin: its simulator never rests."""
    running = os.environ.get("HEADRACE_DEMO_URL")
    if running:
        yield running.rstrip("/")
        return
    if not files("headrace.server").joinpath("static", "index.html").is_file():
        missing("the page, built (make dev)")
    folder = Path(tempfile.mkdtemp(prefix="headrace-browser-"))
    port = free_port()
    command = [str(Path(sys.executable).with_name("headrace")), "demo"]
    command += ["--data", str(folder / "demo"), "--port", str(port), "--no-browser"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, preexec_fn=dies_with_us())
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_until_caught_up(process, address, folder / "log")
        yield address
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_caught_up(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    began = time.monotonic()
    ready = False
    while time.monotonic() - began < (CATCH_UP_S if ready else START_S):
        if process.poll() is not None:
            break
        ready = ready or _get(f"{address}/readyz") is not None
        status = _get(f"{address}/v1/status") if ready else None
        if status and _is_caught_up(status):
            return
        time.sleep(0.3)
    tail = log.read_text(errors="replace")[-2000:]
    pytest.fail(f"the demo did not get ready in {time.monotonic() - began:.0f} s:\n{tail}")


def _is_caught_up(status: dict[str, Any]) -> bool:
    # The lag alone is small too before a source's copy has begun.
    streaming = [source["state"] == "streaming" for source in status["sources"]]
    lags: list[int] = [operator["lag"]["changes"] for operator in status["operators"]]
    return bool(streaming and lags) and all(streaming) and max(lags) <= FEW_CHANGES


def _get(url: str) -> dict[str, Any] | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return json.loads(response.read())
    except (urllib.error.URLError, OSError):
        return None


def _chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return found or missing("chromium (on Debian: apt-get install chromium)")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium; nothing is fetched."""
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=_chromium(), args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: Browser, demo_server: str) -> AsyncIterator[Open]:
    """`await open_page(scheme="dark", width=360)` opens the page anew; script errors fail the test when it ends."""
    contexts: list[BrowserContext] = []
    screens: list[Screen] = []

    async def open_one(*, scheme: str = "light", width: int = 1360, height: int = 860, view: str = "") -> Screen:
        context = await browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
            bypass_csp=True,  # axe is added to the page by script
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        screen = Screen(await context.new_page(), demo_server)
        screens.append(screen)
        await screen.open(view)
        return screen

    yield open_one
    for screen in screens:
        await screen.page.unroute_all(behavior="ignoreErrors")  # one may be under way
    for context in contexts:
        await context.close()
    assert [error for screen in screens for error in screen.errors] == []
