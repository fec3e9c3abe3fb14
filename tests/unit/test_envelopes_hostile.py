"""Hostile records: whatever comes is a change that the log can hold, nothing, or an error that names itself."""

import json
from collections.abc import Sequence
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.change import Position
from headrace.codec import decode, encode
from headrace.envelopes import FORMATS, ChangeDraft, Hints
from headrace.envelopes.lambdas import unwrapped
from headrace.envelopes.read import read
from headrace.errors import BadInput

SOURCE = {"connector": "postgresql", "name": "s", "schema": "p", "table": "t", "ts_us": 1, "txId": 7, "lsn": 9}
COLUMNS = [
    {"type": "int64", "field": "id"},
    {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": "2"}, "field": "a"},
    {"type": "struct", "name": "io.debezium.data.VariableScaleDecimal", "field": "b"},
    {"type": "int64", "name": "io.debezium.time.MicroTimestamp", "field": "c"},
    {"type": "bytes", "name": "io.debezium.data.Bits", "parameters": {"length": "3"}, "field": "d"},
    {"type": "struct", "name": "io.debezium.data.geometry.Geometry", "field": "e"},
    {"type": "struct", "name": "io.debezium.data.geometry.Point", "field": "f"},
    {"type": "array", "items": {"type": "int32", "name": "io.debezium.time.Date"}, "field": "g"},
]
ROW = {"id": 1, "a": "AQ==", "b": {"scale": 1, "value": "AQ=="}, "c": 5, "d": "AQ==",
       "e": {"wkb": "AQEAAAAAAAAAAADwPwAAAAAAAABA", "srid": 4326},
       "f": {"x": 1, "y": 2.5, "srid": 1}, "g": [1, None]}  # fmt: skip
ENVELOPE = {"op": "u", "before": {"id": 1}, "after": ROW, "source": SOURCE, "ts_ms": 1}
SCHEMA = {"type": "struct", "fields": [{"type": "struct", "field": "after", "fields": COLUMNS}]}
HEADERS = [["__debezium.newkey", '{"id":2}'], ["x", None]]
RECORDS: list[Any] = [
    ENVELOPE,
    {"schema": SCHEMA, "payload": ENVELOPE},
    {"topic": "s.p.t", "key": {"id": 1}, "value": {"schema": SCHEMA, "payload": ENVELOPE}, "headers": HEADERS},
    {"key": '{"id":1}', "value": json.dumps(ENVELOPE), "headers": {"__debezium.oldkey": '{"id":2}'}},
    {**ENVELOPE, "columns": {"id": "int8", "a": "bytea"}, "key": {"id": 1}, "after": {"id": 1, "a": "AQ=="}},
    {**ENVELOPE, "columns": {"id": "int8", "a": "blob"}, "key": {"id": 1}, "after": {"id": 1, "a": "AQ=="},
     "bytes": ["a"]},
    {"op": "c", "source": {"connector": "cassandra", "keyspace": "k", "table": "t"},
     "after": {"id": {"value": 1, "set": True}, "n": None}},
    {"key": {"id": '{"$oid":"1"}'}, "value": {"op": "c", "source": {"collection": "c", "db": "d"},
     "after": '{"_id":{"$numberLong":"1"},"d":{"$date":{"$numberLong":"5"}},"b":{"$binary":{"base64":"AQ=="}}}'}},
    {"id": 1, "name": "a", "__op": "u", "__table": "t", "__source_ts_ms": 5, "__deleted": "false"},
    {"data": {"id": 1}, "before-image": {"id": 2},
     "metadata": {"record-type": "data", "operation": "update", "table-name": "t", "transaction-id": 5}},
    {"metadata": {"record-type": "control", "operation": "drop-table", "table-name": "t"}},
    {"op": "upsert", "table": "t", "key": {"id": 1}, "row": {"id": 1, "x": [1.10]}, "at": "2026-01-02T03:04:05Z"},
    {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "time": "2026-01-02T03:04:05Z", "data": ENVELOPE},
    {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "iodebeziumop": "c", "iodebeziumtable": "t",
     "data": {"schema": SCHEMA, "payload": {"before": None, "after": ROW}}},
]  # fmt: skip

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.just("e" * 3000)
    | st.sampled_from(
        [
            "",
            "\0",
            "{",
            "{}",
            "[]",
            "null",
            '"x"',
            '{"id":[]}',
            "c",
            "d",
            "t",
            "m",
            "AQ==",
            "1.0",
        ]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)
HINTS = st.builds(
    Hints, st.sampled_from(["", *FORMATS]), st.sampled_from(["", "t"]), st.sampled_from([(), ("id",), ("id", "name")])
)


@st.composite
def records(draw: st.DrawFn, of: Sequence[Any] = RECORDS) -> Any:
    """A record of some format in which up to three places hold something else, or are gone."""
    record = json.loads(json.dumps(draw(st.sampled_from(of))))
    for _ in range(draw(st.integers(0, 3))):
        places = _places(record)
        if not places:
            break
        holder, name = draw(st.sampled_from(places))
        if draw(st.booleans()) and isinstance(holder, dict):
            del holder[name]
        else:
            holder[name] = draw(ANYTHING)
    return record


def _places(found: Any) -> list[tuple[Any, Any]]:
    """Every member and element, at any depth: what holds it, and its name or number there."""
    if isinstance(found, dict):
        names: list[Any] = list(cast("dict[str, Any]", found))
    elif isinstance(found, list):
        names = list(range(len(cast("list[Any]", found))))
    else:
        return []
    holder: Any = cast("Any", found)
    return [(holder, n) for n in names] + [place for n in names for place in _places(holder[n])]


def held(record: bytes, hints: Hints) -> Sequence[ChangeDraft]:
    """Any other exception is a failure."""
    try:
        return read(record, hints).drafts
    except BadInput as error:
        told = error.failure
    assert all(told)
    return ()


@settings(max_examples=1500)
@given(records() | ANYTHING, HINTS)
def test_whatever_comes_is_held_or_named(record: Any, hints: Hints) -> None:
    for draft in held(json.dumps(record).encode(), hints):
        change = draft.change("s", Position(1), 5)
        assert decode(encode([change])) == [change]
        assert change.schema.table
        assert (change.after is None) == (change.op in ("d", "t"))
        assert len(change.key) == (0 if change.op == "t" else len(change.schema.key))


EVENTS: list[Any] = [
    {"Records": [{"eventSource": "aws:kinesis", "kinesis": {"data": "e30=", "partitionKey": "{}"}}]},
    {"Records": [{"eventSource": "aws:sqs", "body": "{}"}, {"EventSource": "aws:sns", "Sns": {"Message": "{}"}}]},
    {
        "eventSource": "aws:kafka",
        "records": {"t-0": [{"topic": "t", "key": "e30=", "value": "e30=", "headers": [{"h": [1]}]}]},
    },
    {"invocationId": "i", "records": [{"recordId": "1", "data": "e30="}]},
]


@given(records(EVENTS))
def test_whatever_an_event_holds_comes_out_or_is_no_event(event: Any) -> None:
    inside = unwrapped(json.dumps(event).encode())

    for record in inside or ():
        held(record, Hints())


@given(st.binary(max_size=200), HINTS)
def test_any_bytes(record: bytes, hints: Hints) -> None:
    held(record, hints)
