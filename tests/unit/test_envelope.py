"""Envelopes: what is written reads back as the same change."""

import json

from hypothesis import given
from hypothesis import strategies as st

from headrace.change import Change, Column, Op, Position, Row, Schema, Value, document_schema, key_text
from headrace.envelope import encode_envelope
from headrace.envelopes import Hints
from headrace.envelopes.debezium import decode_envelope
from headrace.envelopes.read import read

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


@given(changes().filter(lambda c: "\0" not in key_text(c.key)))
def test_pushed_elsewhere_it_is_the_same_change_of_another_source(change: Change) -> None:
    (draft,) = read(encode_envelope(change), Hints()).drafts

    copied = draft.change("copy", change.position, change.committed_at)

    schema = Schema("copy", change.schema.table, change.schema.columns, change.schema.key)
    assert copied == Change(
        schema, change.op, change.position, change.committed_at, change.transaction, change.key, change.before,
        change.after,
    )  # fmt: skip


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
