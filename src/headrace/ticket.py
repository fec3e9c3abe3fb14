"""Tickets: what a client says of an upload that it puts elsewhere, signed, so that nothing of it is kept here until it
comes back with it."""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec

from headrace.access import Readers
from headrace.errors import BadRequest, HeadraceError

LONGEST = 7000
"""Characters of a ticket: it goes in a URL, of which proxies take some 8,000."""
KEY_BYTES = 32

_PREFIX = "t1."
_PURPOSE = b"headrace upload ticket 1\0"


class Expired(HeadraceError):
    """A ticket whose time is over."""

    status = 410
    title = "The ticket has expired"


class Ticket(msgspec.Struct, frozen=True, array_like=True):
    """One upload as it was announced: `object` is its key at the object store, `digest` (`sha256:` and hex digits) its
    content's hash where that was told, `time` and `until` are microseconds, `metadata` is JSON. `until`: when the
    ticket expires."""

    object: str
    until: int
    source: str
    name: str
    size: int
    digest: str | None = None
    title: str | None = None
    time: int | None = None
    readers: Readers | None = None
    replace: bool = False
    metadata: str | None = None


class Tickets:
    """Signs and reads them, by HMAC-SHA256 (RFC 2104) with a key of this Headrace alone."""

    def __init__(self, key: bytes) -> None:
        if len(key) < KEY_BYTES:
            raise ValueError(f"a key of {len(key)} bytes")
        self._key = key

    def write(self, ticket: Ticket) -> str:
        """URL-safe text. Raises BadRequest for one that is too long."""
        text = _PREFIX + _text(_encoder.encode(ticket))
        written = f"{text}.{self._signature(text)}"
        if len(written) > LONGEST:
            raise BadRequest(
                step="write a ticket for an upload",
                expected=f"a name, a title, readers and metadata of {LONGEST} characters together at most",
                got=f"{len(written)} characters, as they are encoded",
                remedy="Say less of it: a shorter title, fewer groups or metadata; or send it to POST /v1/documents.",
            )
        return written

    def read(self, text: str, now: int) -> Ticket:
        """Raises BadRequest for what was not written with this key, Expired."""
        signed, _, signature = text.rpartition(".")
        given = signature.encode("utf-8", "replace")
        if not signed or not hmac.compare_digest(given, self._signature(signed).encode()):
            raise _bad()
        try:
            ticket = _decoder.decode(base64.urlsafe_b64decode(signed.removeprefix(_PREFIX) + "=="))
        except (ValueError, msgspec.MsgspecError):
            raise _bad() from None  # of another version, by the same key
        if now >= ticket.until:
            raise Expired(
                step="read a ticket",
                expected="one that is still valid",
                got="one whose time is over",
                remedy="Ask for another one with POST /v1/documents/presigned, and upload it again.",
            )
        return ticket

    def _signature(self, text: str) -> str:
        """Of the text, not of what it stands for: there is one way to write a ticket."""
        return _text(hmac.digest(self._key, _PURPOSE + text.encode("utf-8", "replace"), hashlib.sha256))


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Ticket)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bad() -> BadRequest:
    return BadRequest(
        step="read a ticket",
        expected="a ticket of this Headrace, as it was given",
        got="another text, or one that was changed",
        remedy="Pass it unchanged, or ask for another one with POST /v1/documents/presigned.",
    )
