"""Rows out of what a server sends for a query."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.sources.mysql.result import Failed, ResultReader, compile_row, read_cells, read_row

LONGEST = 0xFFFFFF
END = b"\xfe\0\0\x02\0"

cells = st.none() | st.binary(max_size=6) | st.binary(max_size=4).map(lambda b: b * 100) | st.just(b"x" * 70_000)
rows_of_three = st.lists(st.tuples(cells, cells, cells), max_size=12)


def cell(value: bytes | None) -> bytes:
    if value is None:
        return b"\xfb"
    size = len(value)
    if size < 251:
        return bytes([size]) + value
    if size < 1 << 16:
        return b"\xfc" + size.to_bytes(2, "little") + value
    if size < 1 << 24:
        return b"\xfd" + size.to_bytes(3, "little") + value
    return b"\xfe" + size.to_bytes(8, "little") + value


def packets(*payloads: bytes) -> bytes:
    """Each in parts of at most 16 MB - 1, the last of them shorter."""
    sent: list[bytes] = []
    for payload in payloads:
        at = 0
        while True:
            part = payload[at : at + LONGEST]
            sent.append(len(part).to_bytes(3, "little") + b"\x07" + part)
            at += LONGEST
            if len(part) < LONGEST:
                break
    return b"".join(sent)


def row(values: Sequence[bytes | None]) -> bytes:
    return b"".join(cell(v) for v in values)


def as_it_is(value: bytes) -> bytes:
    return value


def odd(value: bytes) -> int:
    if len(value) % 2 == 0:
        raise ValueError("even")
    return len(value)


@given(rows_of_three, st.integers(1, 200), st.integers(0, 3))
def test_rows_are_the_same_however_they_come(rows: list[tuple[bytes | None, ...]], size: int, taken: int) -> None:
    sent = packets(*(row(r) for r in rows), END)
    reader = ResultReader(compile_row([as_it_is, as_it_is]))
    size = max(size, len(sent) // 50)
    got: list[tuple[object, ...]] = []
    for n, at in enumerate(range(0, len(sent), size)):
        reader.feed(sent[at : at + size])
        if taken and n % taken == 0 and reader.rows:
            last = reader.cells(2, 1)
            got += reader.take()[0]
            assert last == (rows[len(got) - 1][2],)
    if reader.rows:
        assert reader.cells(0, 3) == rows[-1]
    got += reader.take()[0]

    assert reader.ended
    assert got == [r[:2] for r in rows]


@given(rows_of_three, st.integers(1, 5), st.integers(1, 100_000))
def test_no_more_rows_at_a_time_than_wanted(rows: list[tuple[bytes | None, ...]], most: int, size: int) -> None:
    sent = packets(*(row(r) for r in rows), END)
    size = max(size, len(sent) // 50)
    reader = ResultReader(compile_row([as_it_is, as_it_is, as_it_is]), most)
    got: list[list[tuple[object, ...]]] = []
    for at in range(0, len(sent), size):
        reader.feed(sent[at : at + size])
        while reader.full:
            last = reader.cells(0, 3)
            got.append(list(reader.take()[0]))
            assert got[-1][-1] == last
            reader.feed(b"")
    got.append(list(reader.take()[0]))
    assert reader.ended
    assert [r for part in got for r in part] == rows
    assert all(len(part) == most for part in got[:-1])
    assert len(got[-1]) < most


@given(st.lists(cells, min_size=1, max_size=5), st.binary(max_size=9))
def test_the_compiled_reader_is_the_plain_one(values: list[bytes | None], before: bytes) -> None:
    data, readers = before + row(values), [as_it_is] * len(values)
    assert compile_row(readers)(data, len(before)) == read_row(data, len(before), readers) == tuple(values)
    assert read_cells(data, len(before), len(values)) == tuple(values)


def test_what_a_type_does_not_allow_is_told_by_its_place() -> None:
    reader = ResultReader(compile_row([odd]))
    reader.feed(packets(row([b"a"]), row([b"ab"]), row([b"abc"]), END))
    rows, bad = reader.take()
    assert rows == [(1,), (), (3,)]
    assert {place: str(problem) for place, problem in bad.items()} == {1: "even"}
    assert reader.take() == ([], {})


@pytest.mark.parametrize("size", [LONGEST - 5, LONGEST - 4, LONGEST - 3, LONGEST, 2 * LONGEST + 7])
def test_a_row_longer_than_a_packet(size: int) -> None:
    long = b"y" * size
    sent = packets(row([b"1", None]), row([long, b"2"]), row([b"3", b""]), END)
    reader = ResultReader(compile_row([as_it_is, as_it_is]))
    for at in range(0, len(sent), 1 << 20):
        reader.feed(sent[at : at + (1 << 20)])
    assert reader.rows == [(b"1", None), (long, b"2"), (b"3", b"")]
    assert reader.ended
    assert reader.cells(0, 2) == (b"3", b"")


def test_a_row_that_begins_like_the_end_is_a_row() -> None:
    value = b"z" * (1 << 24)
    reader = ResultReader(compile_row([as_it_is]))
    reader.feed(packets(row([value])))
    assert (reader.rows, reader.ended) == ([(value,)], False)
    assert reader.cells(0, 1) == (value,)


@pytest.mark.parametrize(
    ("packet", "code", "text"),
    [
        (b"\xff\x25\x05#70100Query execution was interrupted", 1317, "Query execution was interrupted"),
        (b"\xff\x48\x04no state", 1096, "no state"),
    ],
)
def test_an_error_in_the_middle(packet: bytes, code: int, text: str) -> None:
    reader = ResultReader(compile_row([as_it_is]))
    with pytest.raises(Failed) as failed:
        reader.feed(packets(row([b"1"]), packet))
    assert (failed.value.code, failed.value.text) == (code, text)
    assert reader.rows == [(b"1",)]
