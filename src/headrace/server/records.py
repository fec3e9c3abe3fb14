"""A push's body as records, as it comes: one JSON value, an array of them, or one a line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

import msgspec

from headrace.envelopes import cloudevents
from headrace.envelopes.lambdas import unwrapped
from headrace.errors import BadRequest, HeadraceError

LINES = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines",
     "application/json-seq"}
)  # fmt: skip
EVENT, EVENTS = "application/cloudevents+json", "application/cloudevents-batch+json"
JSON = frozenset({"application/json", EVENT, EVENTS})
PART_RECORDS = 500
PART_BYTES = 1_048_576
_RECORD_SEPARATOR = b"\x1e"
_SHOWN = 1000

_array = msgspec.json.Decoder(list[msgspec.Raw])


class NotTaken(HeadraceError):
    """A body in a form that is not read."""

    status = 415
    title = "This kind of body is not taken"


class Record(NamedTuple):
    """What came. `size` is more than its length when it was longer than a record may be, and cut."""

    data: bytes
    size: int

    @property
    def cut(self) -> bool:
        return self.size > len(self.data)


def media_type(headers: Mapping[str, str]) -> str:
    """What the body is said to be; without a word JSON. Raises NotTaken."""
    found = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if found not in LINES | JSON:
        raise NotTaken(
            step="read the pushed records",
            expected="one of " + ", ".join(sorted(LINES | JSON)),
            got=found[:100] or "none",
            remedy="Name the body's type in Content-Type.",
        )
    return found


async def parts(
    chunks: AsyncIterator[bytes], kind: str, headers: Mapping[str, str], longest: int
) -> AsyncIterator[list[Record]]:
    """Records in parts of a bounded size. Raises BadRequest for a body that is no JSON as a whole."""
    if kind in LINES:
        async for part in _lines(chunks, longest):
            yield part
        return
    body = b"".join([chunk async for chunk in chunks])
    if kind not in (EVENT, EVENTS) and "ce-specversion" in headers:
        yield [_record(cloudevents.from_headers(headers, body))]
        return
    records = _records(body, kind)
    for n in range(0, len(records), PART_RECORDS):
        yield records[n : n + PART_RECORDS]


def _records(body: bytes, kind: str) -> list[Record]:
    first = body.lstrip()[:1]
    if first != b"[":
        if kind == EVENTS or first != b"{":
            expected = "a JSON array" if kind == EVENTS else "a JSON object or array of them"
            raise _bad(expected, "nothing" if not body.strip() else repr(body[:60]))
        _whole(body)
        inside = unwrapped(body) if kind == "application/json" else None
        return [_record(body)] if inside is None else [_record(record) for record in inside]
    if kind == EVENT:
        raise _bad("one CloudEvent", f"an array; its Content-Type is {EVENTS}")
    try:
        return [_record(bytes(raw)) for raw in _array.decode(body)]
    except (ValueError, RecursionError) as problem:
        raise _bad("a JSON array", str(problem)[:200]) from None


def _whole(body: bytes) -> None:
    """A body that is no JSON is the request's fault, not that of a record in it."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (ValueError, RecursionError) as problem:
        raise _bad("JSON", str(problem)[:200]) from None


def _record(data: bytes) -> Record:
    return Record(data, len(data))


async def _lines(chunks: AsyncIterator[bytes], longest: int) -> AsyncIterator[list[Record]]:
    splitter = _Splitter(longest)
    async for chunk in chunks:
        for part in splitter.add(chunk):
            yield part
    for part in splitter.end():
        yield part


class _Splitter:
    """Lines out of chunks; of one that is too long no more is kept than can be shown."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._rest = bytearray()
        self._rest_size = 0
        self._part: list[Record] = []
        self._bytes = 0

    def add(self, chunk: bytes) -> list[list[Record]]:
        first, *others = chunk.split(b"\n")
        self._grow(first)
        full: list[list[Record]] = []
        for line in others:
            self._close()
            if len(self._part) >= PART_RECORDS or self._bytes >= PART_BYTES:
                full.append(self._given())
            self._grow(line)
        return full

    def end(self) -> list[list[Record]]:
        self._close()
        return [self._given()] if self._part else []

    def _grow(self, piece: bytes) -> None:
        self._rest_size += len(piece)
        if self._rest_size <= self._longest:
            self._rest += piece
        elif len(self._rest) > _SHOWN:
            del self._rest[_SHOWN:]
        else:
            self._rest += piece[: _SHOWN - len(self._rest)]

    def _close(self) -> None:
        line, size = bytes(self._rest), self._rest_size
        self._rest.clear()
        self._rest_size = 0
        if size > self._longest:
            self._keep(Record(line, size))
        elif line := line.strip(b" \t\r" + _RECORD_SEPARATOR):
            self._keep(_record(line))

    def _keep(self, record: Record) -> None:
        self._part.append(record)
        self._bytes += len(record.data)

    def _given(self) -> list[Record]:
        part, self._part, self._bytes = self._part, [], 0
        return part


def _bad(expected: str, got: str) -> BadRequest:
    return BadRequest(
        step="read the pushed records",
        expected=expected,
        got=got,
        remedy="Send one JSON object, an array of them, or one a line as application/x-ndjson.",
    )
