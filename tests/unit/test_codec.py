"""Batches of changes as bytes."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.change import Change, Column, Op, Position, Schema, Value
from headrace.codec import decode, encode, packed

text = st.text(st.characters(codec="utf-8"), max_size=20)
values: st.SearchStrategy[Value] = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), text, st.binary(max_size=20)
)
rows = st.lists(values, max_size=4).map(tuple)
schemas = st.builds(
    Schema,
    text,
    text,
    st.lists(st.builds(Column, text, text), max_size=3).map(tuple),
    st.lists(text, max_size=2).map(tuple),
)
numbers = st.integers(0, 2**63 - 1)
changes = st.builds(
    Change,
    schemas,
    st.sampled_from(Op),
    st.builds(Position, numbers, numbers),
    numbers,
    numbers,
    rows,
    st.none() | rows,
    st.none() | rows,
)


@given(st.lists(changes, max_size=5))
def test_changes_read_back_with_their_types(batch: list[Change]) -> None:
    again = decode(encode(batch))

    assert again == batch
    for one, other in zip(batch, again, strict=True):
        for before, after in ((one.key, other.key), (one.after or (), other.after or ())):
            assert [type(v) for v in before] == [type(v) for v in after]
        assert isinstance(other.position, Position)


@given(changes)
def test_a_schema_stands_once_however_many_rows_follow_it(change: Change) -> None:
    one, many = len(encode([change])), len(encode([change] * 50))
    schema = len(msgspec.msgpack.encode([(c.name, c.type) for c in change.schema.columns]))

    assert many <= one + 49 * (one - schema) + 64


@given(st.lists(changes, min_size=1, max_size=3), st.integers(1, 400))
def test_packed_batches_read_back_too(batch: list[Change], times: int) -> None:
    payload = encode(batch * times)

    assert decode(packed(payload)) == batch * times
    assert len(packed(payload)) <= len(payload)


def test_what_does_not_get_smaller_stays_as_it_is() -> None:
    schema = Schema("files", "", (Column("path", "text"), Column("content", "bytea")), ("path",))
    noise = random.Random(1).randbytes(300_000)
    payload = encode([Change(schema, Op.CREATE, Position(1, 0), 0, 0, ("a.zip",), None, ("a.zip", noise))])

    assert packed(payload) is payload


def test_what_it_did_not_write_is_refused() -> None:
    for payload in (b"", b"\x00", b"nonsense", b"x\x9cnonsense", msgspec.msgpack.encode([[], [1]])):
        with pytest.raises(msgspec.DecodeError):
            decode(payload)
