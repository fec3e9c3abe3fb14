"""A connection that the server sends its binary log on. Nothing here sleeps, polls or hops threads between data on the
socket and the sink that takes it; what is not read stays at the server, so pressure travels back to it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import zlib
from time import monotonic
from typing import Protocol

from headrace.errors import SourceError
from headrace.sources.mysql import binlog as wire
from headrace.sources.mysql.address import Address
from headrace.sources.mysql.binlog import ProtocolError
from headrace.sources.mysql.problems import Broken, query_failed, silent, stream_failed
from headrace.sources.mysql.result import Failed
from headrace.sources.mysql.session import Session

HEARTBEAT_S = 1.0
GIVE_UP_AFTER_S = 15.0

_READ = 256 * 1024
_LONGEST = 0xFFFFFF
_HIGHEST = 0xFFFFFFFF
_OK, _END, _ERROR = 0x00, 0xFE, 0xFF


class Sink(Protocol):
    """Takes what the server sends."""

    def feed(self, event: bytes) -> bool:
        """One event without its checksum; True asks to pause the reading."""
        ...


class Replication:
    """`start` begins. Call `close` at the end."""

    def __init__(self, session: Session, shown: str, server_id: int) -> None:
        self._session = session
        self._shown = shown
        self._server_id = server_id
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._place = ""
        self._buffer = bytearray()
        self._at = 0
        self._checksums = True
        self._waiter: asyncio.Future[None] | None = None
        self._watched: int | None = None
        self._heard_at = monotonic()

    @classmethod
    async def connect(cls, address: Address, server_id: int) -> Replication:
        """Raises Broken or SourceError."""
        session = await asyncio.to_thread(_open, address)
        return cls(session, address.shown, server_id)

    async def start(self, file: str, offset: int) -> None:
        """Begins with the event at `offset`; one that is too far on for the protocol begins with the file.

        Raises Broken or SourceError.
        """
        self._place = f"{file}:{offset}"
        asked = offset if offset <= _HIGHEST else wire.MAGIC
        try:
            self._socket = await asyncio.to_thread(self._session.dump, self._server_id, file, asked)
        except Failed as failed:
            raise stream_failed(self._shown, self._place, failed.code, failed.text) from None
        self._socket.setblocking(False)
        self._heard_at = monotonic()

    def drain(self, sink: Sink) -> bool:
        """Hands over everything that can be read without waiting, until the sink asks to pause; False when nothing is
        left to read. Raises Broken, SourceError, ProtocolError."""
        while True:
            while (packet := self._packet()) is not None:
                if sink.feed(self._event(packet)):
                    return True
            if not self._receive():
                return False

    def _packet(self) -> bytes | None:
        """The next packet that has come whole; a large one comes in parts."""
        buffer, at = self._buffer, self._at
        parts: list[bytes] = []
        while len(buffer) - at >= 4:
            size = buffer[at] | buffer[at + 1] << 8 | buffer[at + 2] << 16
            start = at + 4
            at = start + size
            if len(buffer) < at:
                return None
            part = bytes(memoryview(buffer)[start:at])
            if size < _LONGEST:
                self._at = at
                return b"".join([*parts, part]) if parts else part
            parts.append(part)
        return None

    def _receive(self) -> bool:
        if self._at:
            del self._buffer[: self._at]
            self._at = 0
        if self._socket is None:
            raise self._broken("the connection is closed")
        try:
            data = self._socket.recv(_READ)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError as problem:
            raise self._broken(str(problem)) from None
        if not data:
            raise self._broken("the server closed the connection")
        self._heard_at = monotonic()
        self._buffer += data
        return True

    def _broken(self, text: str) -> Broken | SourceError:
        return query_failed(self._shown, f"read the binary log from {self._place}", 0, text)

    def _event(self, packet: bytes) -> bytes:
        """Raises what the server ended the stream with."""
        first = packet[0]
        if first == _ERROR:
            code = int.from_bytes(packet[1:3], "little")
            text = packet[9:].decode("utf-8", "replace")
            raise stream_failed(self._shown, self._place, code, text)
        if first == _END and len(packet) < 9:
            raise self._broken("the server ended the log")
        if first != _OK:
            raise ProtocolError(f"a packet that begins with {first}")
        kind = packet[5]
        body = memoryview(packet)[1 : -wire.CHECKSUM]
        right = (self._checksums or kind in (wire.FORMAT, wire.ROTATE)) and zlib.crc32(body) == int.from_bytes(
            packet[-wire.CHECKSUM :], "little"
        )
        if kind == wire.FORMAT:
            self._checksums = wire.has_checksums(packet)
        if right:
            return bytes(body)
        # The event that announces a file stands before the one that says whether there are checksums in it.
        if self._checksums and kind != wire.ROTATE:
            raise ProtocolError(f"an event of type {kind} whose checksum is wrong")
        return packet[1 : -wire.CHECKSUM] if kind == wire.FORMAT else packet[1:]

    async def wait(self, timeout_s: float | None) -> None:
        """Returns when there is something to read, when poked, or after `timeout_s`. Raises Broken for a dead peer."""
        quiet = monotonic() - self._heard_at
        if quiet > GIVE_UP_AFTER_S:
            raise silent(self._shown, quiet)
        if self._socket is None or self._socket.fileno() < 0:
            raise self._broken("the connection is closed")
        limit = HEARTBEAT_S if timeout_s is None else min(timeout_s, HEARTBEAT_S)
        waiter = self._waiter = self._loop.create_future()
        self._watched = self._socket.fileno()
        self._loop.add_reader(self._watched, self._readable)
        timer = self._loop.call_later(limit, self.poke)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None
            self._unwatch()

    def poke(self) -> None:
        """Ends the wait."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _readable(self) -> None:
        # The socket stays readable until it is read: watching on would turn the loop meanwhile.
        self._unwatch()
        self.poke()

    def _unwatch(self) -> None:
        watched, self._watched = self._watched, None
        if watched is not None:
            self._loop.remove_reader(watched)

    def interrupt(self) -> None:
        """Ends a wait, or a command that runs."""
        self.poke()
        if self._socket is None:
            self._session.interrupt()

    async def close(self) -> None:
        """Ends the connection without waiting for the server."""
        self._unwatch()
        self.poke()
        self._socket = None
        await asyncio.to_thread(self._session.close)


def _open(address: Address) -> Session:
    session = Session.open(address)
    try:
        session.rows(
            "SET @mariadb_slave_capability = 4, @master_binlog_checksum = @@global.binlog_checksum, "
            f"@master_heartbeat_period = {int(HEARTBEAT_S * 1e9)}, "
            f"@source_binlog_checksum = @@global.binlog_checksum, "
            f"@source_heartbeat_period = {int(HEARTBEAT_S * 1e9)}"
        )
    except Failed as failed:
        session.close()
        raise query_failed(address.shown, "prepare to read the binary log", failed.code, failed.text) from None
    return session
