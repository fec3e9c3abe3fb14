"""One record of any format to drafts of changes."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from headrace.envelopes import NOTHING, ChangeDraft, Decoded, Hints, bad, cloudevents, debezium, dms, flattened, plain
from headrace.envelopes.connect import NO_FIELDS, Fields, row_fields
from headrace.envelopes.debezium import MessageKey, message_key
from headrace.envelopes.drafts import check, rfc3339_us
from headrace.envelopes.raw import (
    NULL,
    Members,
    Raw,
    anything,
    anything_of,
    is_null,
    is_object,
    is_text,
    members,
    shown,
    text,
)
from headrace.errors import BadInput

_SIDES = frozenset({"before", "after", "source"})
_PLAIN = frozenset({"row", "table"})
_REMEDY = "Send Debezium's envelope, a DMS record, a CloudEvent, or {op, table, key, row}; or name it with ?format=."


def read(record: bytes, hints: Hints) -> Decoded:
    """What a record changes. Raises BadInput."""
    try:
        decoded = _read(record.strip(), hints)
        for draft in decoded.drafts:
            check(draft)
        return decoded
    except BadInput:
        raise
    except (ValueError, ArithmeticError, RecursionError) as problem:
        raise bad("values as their types say", str(problem)[:200]) from None


def _read(record: Raw, hints: Hints) -> Decoded:
    if not record or record == NULL:
        return NOTHING
    found = members(record, "a JSON object")
    if cloudevents.is_event(found) or hints.format == "cloudevents":
        return _event(found, hints)
    if _is_message(found, hints):
        return _message(found, hints)
    return Decoded(_value(found, hints, None))


def _event(found: Members, hints: Hints) -> Decoded:
    id = cloudevents.identity(found)
    inner = cloudevents.data(found)
    if is_null(inner):
        raise bad("a CloudEvent with data", "none", _REMEDY)
    at = rfc3339_us(cloudevents.time(found))
    form = "" if hints.format == "cloudevents" else hints.format
    drafts = _value(members(inner, "data that is an object"), replace(hints, format=form), None)
    return Decoded([d if d.committed_at is not None else replace(d, committed_at=at) for d in drafts], id)


# ---- messages: a key beside a value ----------------------------------------------------------------------------------


def _is_message(found: Members, hints: Hints) -> bool:
    """A message of a topic with its key, as consoles, proxies and sinks write it; no row with columns so named."""
    if hints.format in ("plain", "dms") or flattened.is_flattened(found):
        return False
    if {"topic", "payload"} <= found.keys():
        return True
    if "value" not in found or found.keys().isdisjoint({"key", "topic"}):
        return False
    return is_object(found["value"]) or "topic" in found or is_object(found.get("key"))


def _message(found: Members, hints: Hints) -> Decoded:
    value = found["value"] if "value" in found else found["payload"]
    if is_text(value):  # some tools keep JSON inside a text
        value = text(value).strip().encode() or NULL
    key = message_key(found["key"]) if "key" in found else None
    if key is not None and "headers" in found:
        key = replace(key, other=_other_key(found["headers"]))
    if value == NULL:
        if hints.format != "flattened":
            return NOTHING  # the delete stands before it
        return Decoded(flattened.decode_tombstone(_with_topic(found, hints), key))
    inner = members(value, "a value that is an object")
    if cloudevents.is_event(inner):
        return _event(inner, hints)
    if hints.format == "flattened" or flattened.is_flattened(inner):
        hints = _with_topic(found, hints)
    return Decoded(_value(inner, hints, key))


def _other_key(headers: Raw) -> Raw | None:
    """The key before or after a change of the key. Headers come as pairs or as an object, values as text."""
    found = anything(headers)
    named: dict[str, object] = {}
    if isinstance(found, dict):
        named = cast("dict[str, object]", found)
    elif isinstance(found, list):
        pairs = [cast("list[object]", p) for p in cast("list[object]", found) if isinstance(p, list)]
        named = {str(p[0]): p[1] for p in pairs if len(p) == 2}
    for name in ("__debezium.newkey", "__debezium.oldkey"):
        said = named.get(name)
        if isinstance(said, str):
            return message_key(said.encode()).value
    return None


def _with_topic(found: Members, hints: Hints) -> Hints:
    """Rows on their own say their table only by the topic: what stands behind the server's name."""
    topic = anything_of(found, "topic")
    if hints.table or not isinstance(topic, str):
        return hints
    return replace(hints, table=topic.partition(".")[2] or topic)


# ---- values ----------------------------------------------------------------------------------------------------------


def _value(found: Members, hints: Hints, key: MessageKey | None) -> tuple[ChangeDraft, ...]:
    fields: Fields = NO_FIELDS
    if "payload" in found and found.keys() <= {"schema", "payload"}:
        if is_null(found["payload"]):
            return ()
        schema = found.get("schema")
        if is_object(schema) and schema is not None:
            fields = row_fields(schema)
        found = members(found["payload"], "a payload")
    form = hints.format or _form(found)
    if form == "debezium":
        return () if _changes_no_row(found) else debezium.decode(found, hints, fields, key)
    if form == "flattened":
        return flattened.decode(found, hints, fields, key)
    if form == "dms":
        return dms.decode(found, hints)
    if form == "plain":
        return plain.decode(found, hints)
    if _changes_no_row(found):
        return ()
    raise bad("a change record of a known format", shown(_names(found)), _REMEDY)


def _form(found: Members) -> str:
    """By what only one format has."""
    if dms.is_dms(found):
        return "dms"
    if "op" in found:
        return "plain" if _SIDES.isdisjoint(found) or not _PLAIN.isdisjoint(found) else "debezium"
    return "flattened" if flattened.is_flattened(found) else ""


def _changes_no_row(found: Members) -> bool:
    """A schema change, a transaction's begin or end, a heartbeat."""
    names = set(found)
    return "op" not in names and (
        {"databaseName", "tableChanges"} <= names
        or {"databaseName", "ddl"} <= names
        or ({"status", "id"} <= names and names <= {"status", "id", "event_count", "data_collections", "ts_ms"})
        or (names == {"ts_ms"})
    )


def _names(found: Members) -> bytes:
    return ("an object of " + (", ".join(found) or "no members")).encode()
