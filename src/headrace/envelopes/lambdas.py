"""Events that AWS hands to a function (Lambda, Firehose): the records inside them, each as it was sent.

Kinesis, Kafka (MSK and self-managed) and Firehose put base64 around a record; SQS and SNS put it in a text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from headrace.envelopes.raw import (
    NULL,
    Members,
    Raw,
    anything_of,
    decoded,
    elements,
    is_object,
    is_text,
    members,
    text,
)
from headrace.errors import BadInput

_KAFKA = ("aws:kafka", "SelfManagedKafka")


def unwrapped(body: Raw) -> list[Raw] | None:
    """The records inside an event, in its order; None for what is no event.

    One whose wrapping cannot be opened is given as it stands, to be refused by itself.
    """
    found = _event(body)
    if found is None:
        return None
    if anything_of(found, "eventSource") in _KAFKA:
        topics = members(found["records"], "records by topic").values()
        return [_opened(_kafka, record) for topic in topics for record in elements(topic)]
    if "Records" in found:
        return [_opened(_inside, record) for record in elements(found["Records"])]
    return [_opened(_firehose, record) for record in elements(found["records"])]


def _event(body: Raw) -> Members | None:
    try:
        found = members(body, "an event")
        if found.keys() == {"Records"}:
            held = elements(found["Records"])
            known = bool(held) and all(is_object(r) and _kind(members(r, "a record")) is not None for r in held)
            return found if known else None
        held = found.get("records", NULL)
        if anything_of(found, "eventSource") in _KAFKA and is_object(held):
            return found if all(t.startswith(b"[") for t in members(held, "records by topic").values()) else None
    except BadInput:
        return None
    return found if "invocationId" in found and held.startswith(b"[") else None


def _opened(inside: Callable[[Members], Raw], record: Raw) -> Raw:
    try:
        return inside(members(record, "a record"))
    except (BadInput, ValueError, LookupError):
        return record


def _inside(record: Members) -> Raw:
    kind = _kind(record)
    assert kind is not None
    return kind(record)


def _kind(record: Members) -> Callable[[Members], Raw] | None:
    source = anything_of(record, "eventSource") or anything_of(record, "EventSource")
    return _WRAPPINGS.get(source) if isinstance(source, str) else None


def _kinesis(record: Members) -> Raw:
    """Debezium's partition key is the record's key."""
    inner = members(record["kinesis"], "a record of Kinesis")
    data = decoded(text(inner["data"]))
    key = text(inner["partitionKey"]) if is_text(inner.get("partitionKey")) else ""
    return _message({"key": _json(key.encode()), "value": _json(data)}) if key.startswith("{") else data


def _sqs(record: Members) -> Raw:
    return text(record["body"]).encode()


def _sns(record: Members) -> Raw:
    return text(members(record["Sns"], "a notification")["Message"]).encode()


def _firehose(record: Members) -> Raw:
    return decoded(text(record["data"]))


def _kafka(record: Members) -> Raw:
    """A message with its topic, key and headers; its value null: a tombstone."""
    sides = {side: _json(_base64(record.get(side))) for side in ("key", "value")}
    return _message({"topic": msgspec.Raw(record["topic"]), **sides, "headers": _headers(record.get("headers"))})


def _headers(raw: Raw | None) -> list[tuple[str, str]]:
    """Each is an object of one name with its bytes as numbers, which are signed."""
    pairs: list[tuple[str, str]] = []
    for header in elements(raw) if raw is not None and raw != NULL else []:
        for name, value in members(header, "a header").items():
            numbers = msgspec.json.decode(value, type=list[int])
            pairs.append((name, bytes(n & 0xFF for n in numbers).decode("utf-8", "replace")))
    return pairs


def _base64(raw: Raw | None) -> bytes:
    return NULL if raw is None or raw == NULL else decoded(text(raw))


def _json(data: bytes) -> msgspec.Raw:
    """JSON as it is, anything else as text."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except ValueError:
        return msgspec.Raw(msgspec.json.encode(data.decode("utf-8", "replace")))
    return msgspec.Raw(data)


def _message(parts: Mapping[str, object]) -> Raw:
    return msgspec.json.encode(parts)


_WRAPPINGS: Mapping[str, Callable[[Members], Raw]] = {
    "aws:kinesis": _kinesis,
    "aws:sqs": _sqs,
    "aws:sns": _sns,
}
