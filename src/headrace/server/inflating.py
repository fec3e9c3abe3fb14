"""Compressed bodies, inflated as they come: never more than a piece ahead of who reads, and never without bounds."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping

from headrace.errors import BadRequest
from headrace.server.guard import TooLarge
from headrace.server.records import NotTaken

ACCEPTED = ("gzip", "deflate")
"""What a body may be compressed with."""
PIECE = 65_536
MOST_RATIO = 200
"""What a body may grow by. Lines of JSON shrink to a tenth, seldom to a fiftieth; a bomb to a thousandth."""
FREE = 1_048_576
"""Bytes that any body may grow to: small ones of much the same shrink further."""

_WINDOWS = {"gzip": 16 + zlib.MAX_WBITS, "zlib": zlib.MAX_WBITS, "raw": -zlib.MAX_WBITS}
_GZIP = b"\x1f\x8b"


class CodingNotTaken(NotTaken):
    """A Content-Encoding that is not read; the answer names in Accept-Encoding those that are (RFC 7694)."""


def coding_of(headers: Mapping[str, str]) -> str:
    """What the body is compressed with; empty: with nothing. Raises CodingNotTaken."""
    named = [part.strip().lower() for part in headers.get("content-encoding", "").split(",")]
    codings = [{"x-gzip": "gzip"}.get(name, name) for name in named if name not in ("", "identity")]
    if not codings:
        return ""
    if len(codings) > 1 or codings[0] not in ACCEPTED:
        raise CodingNotTaken(
            step="read the pushed records",
            expected=f"a Content-Encoding of {', '.join(ACCEPTED)} or none",
            got=", ".join(codings)[:100],
            remedy="Compress it with one of these, once, or send it as it is.",
        )
    return codings[0]


async def inflated(chunks: AsyncIterator[bytes], coding: str, most: int) -> AsyncIterator[bytes]:
    """The body as it was before; `most` bytes of it at most. Raises TooLarge, and BadRequest for what is not whole."""
    if not coding:
        async for chunk in chunks:
            yield chunk
        return
    inflater = _Inflater(coding, most)
    async for chunk in chunks:
        for piece in inflater.add(chunk):
            yield piece
            await asyncio.sleep(0)  # others have their turn, whatever one chunk becomes
    inflater.end()


class _Inflater:
    """One body. gzip may have several members behind each other, as RFC 1952 has it."""

    def __init__(self, coding: str, most: int) -> None:
        self._coding = coding
        self._most = most
        self._came = self._given = 0
        self._held = b""
        self._body = zlib.decompressobj()
        self._inside = self._ended = False

    def add(self, chunk: bytes) -> Iterator[bytes]:
        self._came += len(chunk)
        rest, more = self._held + chunk, False
        self._held = b""
        while rest or more:
            if not self._inside and not self._begin(rest):
                return
            try:
                piece = self._body.decompress(rest, PIECE)
            except zlib.error as problem:
                raise _broken(f"{self._coding} that is whole", str(problem)) from None
            rest, more = self._body.unconsumed_tail, len(piece) == PIECE
            if self._body.eof:
                rest, more = self._body.unused_data, False
                self._inside, self._ended = False, True
            if piece:
                yield self._counted(piece)

    def end(self) -> None:
        if self._ended and not self._inside and self._held:
            raise self._garbage(len(self._held))
        if self._inside or not self._ended:
            raise _broken(f"{self._coding} up to its end", f"an end after {self._came} bytes")

    def _begin(self, rest: bytes) -> bool:
        """Whether enough is there to know what it is."""
        if len(rest) < len(_GZIP):
            self._held = rest
            return False
        if self._ended and (self._coding != "gzip" or not rest.startswith(_GZIP)):
            raise self._garbage(len(rest))
        self._body = zlib.decompressobj(_WINDOWS["gzip" if self._coding == "gzip" else _form(rest)])
        self._inside = True
        return True

    def _garbage(self, size: int) -> BadRequest:
        return _broken(f"nothing behind the end of the {self._coding}", f"{size} bytes or more")

    def _counted(self, piece: bytes) -> bytes:
        self._given += len(piece)
        if self._given > self._most:
            raise TooLarge(
                step="inflate the request's body",
                expected=f"at most {self._most} bytes once inflated",
                got=f"{self._came} bytes that are more than that",
                remedy="Send less at once, or raise [server] max_body (max_stream for a stream of lines).",
            )
        if self._given > max(FREE, MOST_RATIO * self._came):
            raise TooLarge(
                step="inflate the request's body",
                expected=f"what becomes at most {MOST_RATIO} times as much",
                got=f"{self._came} bytes that become more than {self._given}",
                remedy="Send it without compression, or as lines in smaller requests.",
            )
        return piece


def _form(start: bytes) -> str:
    """`deflate` is zlib's form (RFC 1950) by the standard, and bare in what some senders make of it."""
    header = int.from_bytes(start[:2], "big")
    return "zlib" if start[0] & 0x0F == zlib.DEFLATED and header % 31 == 0 else "raw"


def _broken(expected: str, got: str) -> BadRequest:
    return BadRequest(
        step="inflate the request's body", expected=expected, got=got, remedy="Compress and send it again."
    )
