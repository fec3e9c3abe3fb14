"""Serves a web application beside the engine, in one event loop, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Generator

import uvicorn
from fastapi import FastAPI

from headrace.app import App
from headrace.errors import ConfigError


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ConfigError when the address is taken or not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ConfigError(
            step="bind the server's address",
            expected=f"{host}:{port} to be free",
            got=error.strerror or str(error),
            remedy="Stop what listens there, or set another [server] port.",
        ) from None
    listening.listen(256)
    return listening


async def serve(app: App, web: FastAPI, listening: socket.socket) -> None:
    """Runs the app's engine and the web application; returns after SIGINT or SIGTERM."""
    config = uvicorn.Config(
        web,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        lifespan="on",
        ws_max_size=65_536,
        timeout_graceful_shutdown=3,
    )
    server = _Server(config)
    engine = asyncio.create_task(app.run(), name="engine")
    serving = asyncio.create_task(server.serve([listening]), name="server")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((engine, serving, stopping), return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await asyncio.wait((serving,), timeout=5)
    engine.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await engine


class _Server(uvicorn.Server):
    """Signals are the caller's: they end the engine too."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield
