"""Envelopes: what is written reads back as the same change, and Debezium's own are understood."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.change import Change, Column, Op, Position, Row, Schema, Value, document_schema
from headrace.envelope import decode_envelope, encode_envelope
from headrace.errors import BadInput

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES: dict[str, st.SearchStrategy[Value]] = {
    "int8": st.integers(-(2**63), 2**63 - 1),
    "bool": st.booleans(),
    "float8": st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(["NaN", "Infinity", "-Infinity"]),
    "bytea": st.binary(max_size=40),
    "numeric": st.decimals(allow_nan=False, allow_infinity=False).map(str),
    "jsonb": st.sampled_from(['{"a": 9007199254740993}', "null", "[1.10]"]),
    "text": TEXT,
}


@st.composite
def changes(draw: st.DrawFn) -> Change:
    names = draw(st.lists(TEXT.filter(bool), min_size=1, max_size=5, unique=True))
    types = [draw(st.sampled_from(sorted(VALUES))) for _ in names]
    key = tuple(names[: draw(st.integers(1, len(names)))])
    schema = Schema(draw(TEXT), "public.t", tuple(map(Column, names, types)), key)

    def row() -> Row:
        return tuple(draw(st.none() | VALUES[t]) for t in types)

    op = draw(st.sampled_from(list(Op)))
    position = Position(draw(st.integers(1, 2**62)), draw(st.integers(0, 2**40)))
    before = row() if op in (Op.DELETE, Op.UPDATE) and draw(st.booleans()) else None
    after = row() if op not in (Op.DELETE, Op.TRUNCATE) else None
    values = () if op is Op.TRUNCATE else row()[: len(key)]
    return Change(schema, op, position, draw(st.integers(0, 2**52)), draw(st.integers(0, 2**32)), values, before, after)


@given(changes())
def test_what_is_written_reads_back_the_same(change: Change) -> None:
    assert decode_envelope(encode_envelope(change)) == change


def test_a_document_reads_back_the_same() -> None:
    schema = document_schema("policies")
    written = Change(schema, Op.UPDATE, Position(7), 5, 0, ("a/b.md",), None, ("a/b.md", b"\xff# Hi"))

    assert decode_envelope(encode_envelope(written)) == written


def test_the_form_is_debeziums() -> None:
    schema = Schema("shop", "public.orders", (Column("id", "int4"), Column("raw", "bytea")), ("id",))
    change = Change(schema, Op.UPDATE, Position(24120096, 3), 1795259104405783, 761, (3,), None, (3, b"\x00\xff"))

    envelope = json.loads(encode_envelope(change))

    assert envelope["op"] == "u"
    assert envelope["before"] is None
    assert envelope["after"] == {"id": 3, "raw": "AP8="}
    assert envelope["key"] == {"id": 3}
    assert envelope["ts_ms"] == 1795259104405
    source = envelope["source"]
    assert source["connector"] == "postgresql"
    assert (source["name"], source["schema"], source["table"]) == ("shop", "public", "orders")
    assert (source["ts_ms"], source["ts_us"], source["txId"]) == (1795259104405, 1795259104405783, 761)
    assert (source["lsn"], source["sequence"], source["snapshot"]) == (24120096, '["24120096","3"]', "false")


def plain(**more: object) -> dict[str, Any]:
    """An envelope as Debezium's PostgreSQL connector writes it without schema."""
    source = {
        "version": "3.6.3.Final", "connector": "postgresql", "name": "shop", "ts_ms": 1795259104405, "db": "postgres",
        "snapshot": "false", "sequence": '["24120096","24120152"]', "ts_us": 1795259104405783, "schema": "public",
        "table": "orders", "txId": 761, "lsn": 24120152, "xmin": None,
    }  # fmt: skip
    return {"before": None, "after": None, "source": source, "op": "u", "ts_ms": 1795259104438, **more}


def test_a_plain_debezium_envelope_is_understood() -> None:
    value = plain(after={"id": 3, "name": "é", "ratio": 0.5, "ok": True, "tags": ["x", 1], "none": None})

    change = decode_envelope(json.dumps(value).encode(), b'{"id": 3}')

    assert change is not None
    assert change.schema.topic == "shop.public.orders"
    assert change.schema.key == ("id",)
    assert change.key == (3,)
    assert change.position == Position(24120152)
    assert change.committed_at == 1795259104405783
    assert change.schema.record(change.after or ()) == {
        "id": 3, "name": "é", "ratio": 0.5, "ok": True, "tags": '["x",1]', "none": None,
    }  # fmt: skip
    assert [c.type for c in change.schema.columns] == ["int8", "text", "float8", "bool", "json", "text"]


def test_a_schema_gives_the_types() -> None:
    fields = [
        {"type": "int32", "field": "id"},
        {"type": "bytes", "field": "raw"},
        {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": "4"}, "field": "n"},
        {"type": "struct", "name": "io.debezium.data.VariableScaleDecimal", "field": "v"},
        {"type": "int32", "name": "io.debezium.time.Date", "field": "d"},
        {"type": "int64", "name": "io.debezium.time.MicroTimestamp", "field": "at"},
        {"type": "string", "name": "io.debezium.data.Json", "field": "j"},
        {"type": "double", "field": "f"},
    ]
    schema = {"type": "struct", "fields": [{"type": "struct", "field": "after", "fields": fields}]}
    row = {
        "id": 1, "raw": "AP8=", "n": "e4g=", "v": {"scale": 2, "value": "/w=="}, "d": 20455,
        "at": 1767323045678901, "j": '{"a": 1}', "f": 2,
    }  # fmt: skip

    change = decode_envelope(json.dumps({"schema": schema, "payload": plain(op="c", after=row)}).encode())

    assert change is not None
    assert change.after == (
        1,
        b"\x00\xff",
        "3.1624",
        "-0.01",
        "2026-01-02",
        "2026-01-02 03:04:05.678901",
        '{"a": 1}',
        2.0,
    )
    assert [c.type for c in change.schema.columns] == [
        "int4", "bytea", "numeric", "numeric", "date", "timestamp", "jsonb", "float8",
    ]  # fmt: skip


def test_a_delete_and_a_truncate() -> None:
    delete = decode_envelope(json.dumps(plain(op="d", before={"id": 3, "name": None})).encode(), b'{"id": 3}')
    truncate = decode_envelope(json.dumps(plain(op="t")).encode())

    assert delete is not None
    assert (delete.op, delete.key, delete.before, delete.after) == (Op.DELETE, (3,), (3, None), None)
    assert truncate is not None
    assert (truncate.op, truncate.key, truncate.after) == (Op.TRUNCATE, (), None)


@pytest.mark.parametrize("value", [None, b"", b"null", b'{"op":"m","source":{},"message":{"prefix":"p"}}'])
def test_what_changes_no_row_is_nothing(value: bytes | None) -> None:
    assert decode_envelope(value, b'{"id":1}') is None


@pytest.mark.parametrize(
    "value", [b"{", b"[]", b'{"op":"x"}', b'{"op":"c"}', b'{"op":"c","source":{"lsn":[]},"after":{}}', b'{"payload":3}']
)
def test_what_is_none_is_named(value: bytes) -> None:
    with pytest.raises(BadInput) as caught:
        decode_envelope(value)

    assert caught.value.step == "read a change envelope"
