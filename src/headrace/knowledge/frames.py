"""What goes between this process and those that read documents: length, kind, MessagePack."""

from __future__ import annotations

from typing import Final

import msgspec

from headrace.knowledge.parsed import Limits, Parsed

HEAD: Final = 5  # four bytes of length, one of kind
TICK: Final = b"t"
DONE: Final = b"d"
FAILED: Final = b"f"
MEMORY: Final = b"m"
JOB: Final = b"j"


class Job(msgspec.Struct, frozen=True, array_like=True):
    """One file to read."""

    path: str
    content: bytes
    media: str
    limits: Limits


class Failed(msgspec.Struct, frozen=True, array_like=True):
    """Why it was not read, as HeadraceError says it."""

    step: str
    expected: str
    got: str
    remedy: str


_encoder = msgspec.msgpack.Encoder()
_jobs = msgspec.msgpack.Decoder(Job)
_results = msgspec.msgpack.Decoder(Parsed)
_failures = msgspec.msgpack.Decoder(Failed)


def framed(kind: bytes, value: object = None) -> bytes:
    body = b"" if value is None else _encoder.encode(value)
    return len(body).to_bytes(4, "big") + kind + body


def opened(head: bytes) -> tuple[int, bytes]:
    """Length of the body, and the kind."""
    return int.from_bytes(head[:4], "big"), head[4:5]


def job(body: bytes) -> Job:
    return _jobs.decode(body)


def result(body: bytes) -> Parsed:
    return _results.decode(body)


def failure(body: bytes) -> Failed:
    return _failures.decode(body)
