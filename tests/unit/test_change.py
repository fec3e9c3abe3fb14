"""Positions, ids and keys as text."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.change import (
    BINLOG_FIRST,
    Column,
    Position,
    Schema,
    Stamp,
    Style,
    document_id,
    document_schema,
    format_position,
    key_text,
    parse_position,
    stamp_json,
)
from headrace.errors import BadRequest

positions = st.builds(Position, st.integers(0, 2**63 - 1), st.integers(0, 10**18 - 1))
keys = st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=3).map(tuple)
ROWS = Schema("airline", "public.flights", (Column("a", "text"), Column("b", "text")), ("a", "b"))


@given(positions, st.sampled_from([Style.LSN, Style.NUMBER]))
def test_a_position_reads_back(position: Position, style: Style) -> None:
    assert parse_position(format_position(position, style)) == position


@given(st.integers(0, 2**63 - 1), st.integers(0, 10**17))
def test_a_place_in_a_binary_log_reads_back(major: int, sequence: int) -> None:
    position = Position(major, BINLOG_FIRST + sequence if sequence else 0)
    assert parse_position(format_position(position, Style.BINLOG)) == position


def test_a_time_at_the_end_of_a_binary_log_is_not_shown() -> None:
    at = Position(3 << 40 | 1234, 1_763_732_100_000_000)
    assert format_position(at, Style.BINLOG) == "binlog.000003:1234"
    assert format_position(Position(at.major, BINLOG_FIRST + 2), Style.BINLOG) == "binlog.000003:1234:2"
    assert parse_position("mariadb-bin.000003:1234:2") == Position(at.major, BINLOG_FIRST + 2)
    assert at < Position(at.major, BINLOG_FIRST + 1)


@given(positions, positions)
def test_positions_are_ordered_by_major_then_minor(one: Position, other: Position) -> None:
    assert (one < other) == (one.major < other.major or (one.major == other.major and one.minor < other.minor))


def test_positions_are_written_as_their_source_writes_them() -> None:
    assert format_position(Position(0x16B3748), Style.LSN) == "0/16B3748"
    assert format_position(Position((0xAB << 32) | 0x1F, 3), Style.LSN) == "AB/1F:3"
    assert format_position(Position(1_763_732_100_000_000), Style.NUMBER) == "1763732100000000"
    assert parse_position("0/16b3748") == Position(0x16B3748)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1/2/3",
        "x",
        "-1",
        "1:",
        ":1",
        "0/123456789",
        " 1",
        "1\n",
        "٣",
        "1:٣",
        "FFFFFFFF/FFFFFFFF",
        "9" * 19,
        "b.000003",
        "b.3:4",
        "b.000003:1234:",
        f"b.000003:{1 << 40}",
        "b.9999999:0",
    ],
)
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_position(text)


@given(keys, keys)
def test_different_keys_have_different_texts(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    if len(one) == len(other):
        assert (key_text(one) == key_text(other)) == (one == other)


@given(keys)
def test_a_row_s_id_has_its_source_table_and_key(key: tuple[str, ...]) -> None:
    source, table, rest = document_id(ROWS, key).split("/")

    assert (source, table) == ("airline", "public.flights")
    assert tuple(unquote(part) for part in rest.split(",")) == key


def test_a_document_s_id_is_its_path() -> None:
    assert document_id(document_schema("policies"), ("a b/ü%2F,.md",)) == "policies/a b/ü%2F,.md"
    assert document_id(ROWS, ("HAT001", 7)) == "airline/public.flights/HAT001,7"
    assert key_text((None, True, b"\x01\xff", 1.5)) == ",t,\\x01ff,1.5"


def test_a_stamp_is_shown_with_its_source_s_position_and_time() -> None:
    assert stamp_json(Stamp("airline", Position(0x16B3748, 2), 1_763_732_100_123_456), Style.LSN) == {
        "source": "airline",
        "position": "0/16B3748:2",
        "committed_at": "2025-11-21T13:35:00.123456Z",
    }
