"""Envelopes: what is written reads back as the same change."""

import json

from hypothesis import given
from hypothesis import strategies as st

from headrace.change import (
    BINLOG_FIRST,
    BINLOG_OFFSET_BITS,
    Change,
    Column,
    Op,
    Position,
    Row,
    Schema,
    Style,
    Value,
    document_schema,
    key_text,
)
from headrace.envelope import Origin, encode_envelope
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
    "varbinary": st.binary(max_size=40),
    "geometry": st.binary(max_size=40),  # MySQL's
    "geometry (PostGIS)": TEXT,  # of the same name
    "float": st.floats(allow_nan=False, width=32).filter(lambda f: f not in (float("inf"), float("-inf"))),
    "bigint unsigned": st.integers(0, 2**64 - 1),
}
POSTGRES = Origin("postgresql", Style.LSN, "shop")
ORIGINS = [POSTGRES, Origin("mariadb", Style.BINLOG, log="bin"), Origin("push", Style.NUMBER), Origin("", Style.NUMBER)]


@st.composite
def changes(draw: st.DrawFn) -> Change:
    names = draw(st.lists(TEXT.filter(bool), min_size=1, max_size=5, unique=True))
    types = [draw(st.sampled_from(sorted(VALUES))) for _ in names]
    key = tuple(names[: draw(st.integers(1, len(names)))])
    columns = tuple(Column(n, t.partition(" (")[0]) for n, t in zip(names, types, strict=True))
    schema = Schema(draw(TEXT), "public.t", columns, key)

    def row() -> Row:
        return tuple(draw(st.none() | VALUES[t]) for t in types)

    op = draw(st.sampled_from(list(Op)))
    position = Position(draw(st.integers(1, 2**62)), draw(st.integers(0, 2**40)))
    before = row() if op in (Op.DELETE, Op.UPDATE) and draw(st.booleans()) else None
    after = row() if op not in (Op.DELETE, Op.TRUNCATE) else None
    values = () if op is Op.TRUNCATE else row()[: len(key)]
    return Change(schema, op, position, draw(st.integers(0, 2**52)), draw(st.integers(0, 2**32)), values, before, after)


@given(changes(), st.sampled_from(ORIGINS))
def test_what_is_written_reads_back_the_same(change: Change, origin: Origin) -> None:
    assert decode_envelope(encode_envelope(change, origin)) == change


@given(changes().filter(lambda c: "\0" not in key_text(c.key)), st.sampled_from(ORIGINS))
def test_pushed_elsewhere_it_is_the_same_change_of_another_source(change: Change, origin: Origin) -> None:
    (draft,) = read(encode_envelope(change, origin), Hints()).drafts

    copied = draft.change("copy", change.position, change.committed_at)

    schema = Schema("copy", change.schema.table, change.schema.columns, change.schema.key)
    assert copied == Change(
        schema, change.op, change.position, change.committed_at, change.transaction, change.key, change.before,
        change.after,
    )  # fmt: skip


def test_a_document_reads_back_the_same() -> None:
    schema = document_schema("policies")
    written = Change(schema, Op.UPDATE, Position(7), 5, 0, ("a/b.md",), None, ("a/b.md", b"\xff# Hi"))

    origin = Origin("file", Style.NUMBER)
    assert decode_envelope(encode_envelope(written, origin)) == written
    source = json.loads(encode_envelope(written, origin))["source"]
    assert (source["connector"], source["name"], "lsn" in source) == ("file", "policies", False)


def test_the_form_is_debeziums() -> None:
    schema = Schema("shop", "public.orders", (Column("id", "int4"), Column("raw", "bytea")), ("id",))
    change = Change(schema, Op.UPDATE, Position(24120096, 3), 1795259104405783, 761, (3,), None, (3, b"\x00\xff"))

    envelope = json.loads(encode_envelope(change, POSTGRES))

    assert envelope["op"] == "u"
    assert envelope["before"] is None
    assert envelope["after"] == {"id": 3, "raw": "AP8="}
    assert envelope["key"] == {"id": 3}
    assert envelope["ts_ms"] == 1795259104405
    source = envelope["source"]
    assert source["connector"] == "postgresql"
    assert (source["name"], source["db"], source["schema"], source["table"]) == ("shop", "shop", "public", "orders")
    assert (source["ts_ms"], source["ts_us"], source["txId"]) == (1795259104405, 1795259104405783, 761)
    assert (source["lsn"], source["sequence"], source["snapshot"]) == (24120096, '["24120096","3"]', "false")


def test_a_change_of_mysql_says_its_place_in_the_log() -> None:
    columns = (
        Column("id", "int"),
        Column("raw", "varbinary"),
        Column("ratio", "double"),
        Column("big", "bigint unsigned"),
    )
    schema = Schema("shop", "inventory.orders", columns, ("id",))
    position = Position(3 << BINLOG_OFFSET_BITS | 1234, BINLOG_FIRST + 2)
    change = Change(schema, Op.CREATE, position, 1795259104405783, 9, (7,), None, (7, b"\x00\xff", 1.0, 2**64 - 1))

    line = encode_envelope(change, Origin("mariadb", Style.BINLOG, log="bin"))

    envelope = json.loads(line)
    source = envelope["source"]
    assert (source["connector"], source["db"], source["table"]) == ("mariadb", "inventory", "orders")
    assert (source["file"], source["pos"], source["row"]) == ("bin.000003", 1234, 1)
    assert not {"lsn", "schema"} & source.keys()
    assert envelope["bytes"] == ["raw"]
    assert decode_envelope(line) == change
