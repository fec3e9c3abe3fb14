"""A TCP proxy on the loopback that does what networks do: cuts, delays, closes one half, and swallows everything."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

MOST_CONNECTIONS = 64
_BLOCK = 16 * 1024


@dataclass(slots=True, eq=False)
class Link:
    """One connection through the proxy, in both directions."""

    down: asyncio.StreamWriter
    up: asyncio.StreamWriter
    pumps: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])

    def cut(self) -> None:
        """Resets both sides, as a router that forgot the connection does."""
        for writer in (self.down, self.up):
            plug = writer.get_extra_info("socket")
            if plug is not None and plug.fileno() >= 0:
                plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def half_close(self) -> None:
        """The client reads an end; what it sends still arrives."""
        if self.down.can_write_eof() and not self.down.is_closing():
            self.down.write_eof()


class Proxy:
    """`async with Proxy(host, port)`; clients connect to `port`. Every fault concerns all connections there are."""

    host = "127.0.0.1"

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._links: set[Link] = set()
        self._server: asyncio.Server | None = None
        self._flow = asyncio.Event()
        self._flow.set()
        self.delay_s = 0.0
        self.refusing = False
        self.accepted = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self.host, 0, limit=_BLOCK)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        self._flow.set()
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.refusing or len(self._links) >= MOST_CONNECTIONS:
            writer.transport.abort()
            return
        try:
            up_reader, up_writer = await asyncio.open_connection(*self._to, limit=_BLOCK)
        except OSError:
            writer.transport.abort()
            return
        link = Link(writer, up_writer)
        self._links.add(link)
        link.pumps = [asyncio.create_task(self._pump(a, b)) for a, b in ((reader, up_writer), (up_reader, writer))]
        # Each half ends by itself, but a reset of one side is one of the other too: nobody stays behind half-open.
        await asyncio.wait(link.pumps, return_when=asyncio.FIRST_EXCEPTION)
        self._links.discard(link)
        link.cut()
        await asyncio.gather(*link.pumps, return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_BLOCK):
            await self._flow.wait()
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            writer.write(data)
            await writer.drain()
        await self._flow.wait()
        if not writer.is_closing():
            writer.write_eof()

    # ---- faults ------------------------------------------------------------------------------------------------------

    def cut(self) -> None:
        for link in list(self._links):
            link.cut()

    def half_close(self) -> None:
        for link in list(self._links):
            link.half_close()

    def swallow(self) -> None:
        """Nothing passes any more, new connections included, and nobody is told."""
        self._flow.clear()

    def flow(self) -> None:
        """What was held back goes on its way."""
        self._flow.set()

    def random_fault(self, rng: random.Random) -> Callable[[], Awaitable[None]]:
        """One of them, with its end."""

        async def cut() -> None:
            self.cut()

        async def half_close() -> None:
            self.half_close()

        async def delay() -> None:
            self.delay_s = rng.choice([0.002, 0.02])
            await asyncio.sleep(rng.uniform(0.05, 0.3))
            self.delay_s = 0.0

        async def swallow() -> None:
            self.swallow()
            await asyncio.sleep(rng.uniform(0.05, 1.0))
            if rng.random() < 0.5:
                self.cut()
            self.flow()

        async def refuse() -> None:
            self.refusing = True
            self.cut()
            await asyncio.sleep(rng.uniform(0.05, 0.3))
            self.refusing = False

        return rng.choice([cut, half_close, delay, swallow, refuse])
