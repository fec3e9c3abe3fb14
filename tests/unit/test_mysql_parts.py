"""Values and rows of a binary log: packed forms against what they were made of, compiled readers against plain ones."""

from __future__ import annotations

import json
import struct
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from headrace.change import Value
from headrace.errors import ConfigError
from headrace.sources.mysql import address
from headrace.sources.mysql import binlog as wire
from headrace.sources.mysql.binlog import WireColumn, inflate, read_length
from headrace.sources.mysql.charsets import Charsets
from headrace.sources.mysql.decimals import packed
from headrace.sources.mysql.jsonb import read_json
from headrace.sources.mysql.shapes import MISSING, compile_row, complete, read_cells, read_row
from headrace.sources.mysql.values import shortest, wire_type

CHARSETS = Charsets({45: "utf8mb4", 63: "binary", 8: "latin1"}, {"latin1": bytes(range(256)).decode("latin-1")})
SIZES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)


def pack_decimal(negative: bool, whole: str, fraction: str) -> bytes:
    """As the server does: groups of nine digits from the point outwards."""
    head = len(whole) % 9
    parts = [whole[:head]] if head else []
    parts += [whole[i : i + 9] for i in range(head, len(whole), 9)]
    parts += [fraction[i : i + 9] for i in range(0, len(fraction), 9)]
    data = bytearray(b"".join(int(p).to_bytes(SIZES[len(p)], "big") for p in parts))
    data[0] ^= 0x80
    return bytes(b ^ 0xFF for b in data) if negative else bytes(data)


@given(st.booleans(), st.text("0123456789", min_size=1, max_size=35), st.text("0123456789", max_size=30))
def test_decimals_read_to_the_digit(negative: bool, whole: str, fraction: str) -> None:
    size, read = packed(len(whole) + len(fraction), len(fraction))
    data = pack_decimal(negative, whole, fraction)

    assert len(data) == size
    shown = read(data)
    assert Decimal(shown) == Decimal(f"{'-' if negative else ''}{whole}{'.' + fraction if fraction else ''}")
    assert shown.removeprefix("-").partition(".") == (
        whole.lstrip("0") or "0", "." if fraction else "", fraction,
    )  # fmt: skip


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
@example(999999986991104.0)
def test_a_float_is_the_shortest_that_rounds_to_it(value: float) -> None:
    short = shortest(value)
    assert struct.pack("<f", short) == struct.pack("<f", value)
    assert digits(short) <= digits(value)


def digits(value: float) -> int:
    """Those that say something: 1e15 reads longer than 999999986991104.0, and is the shorter."""
    return len(Decimal(repr(value)).normalize().as_tuple().digits)


COLUMNS: list[tuple[WireColumn, st.SearchStrategy[tuple[bytes, Value]]]] = [
    (WireColumn(wire.TINY, 0), st.integers(-128, 127).map(lambda n: (struct.pack("<b", n), n))),
    (WireColumn(wire.LONG, 0, unsigned=True), st.integers(0, 2**32 - 1).map(lambda n: (struct.pack("<I", n), n))),
    (WireColumn(wire.LONGLONG, 0, unsigned=True), st.integers(0, 2**64 - 1).map(lambda n: (struct.pack("<Q", n), n))),
    (WireColumn(wire.INT24, 0), st.integers(-(2**23), 2**23 - 1).map(
        lambda n: (n.to_bytes(3, "little", signed=True), n))),
    (WireColumn(wire.VARCHAR, 40, collation=45), st.text(max_size=9).map(
        lambda t: (bytes([len(t.encode())]) + t.encode(), t))),
    (WireColumn(wire.VARCHAR, 400, collation=8), st.text(st.characters(max_codepoint=255), max_size=300).map(
        lambda t: (len(t).to_bytes(2, "little") + t.encode("latin-1"), t))),
    (WireColumn(wire.BLOB, 2, collation=63), st.binary(max_size=300).map(
        lambda b: (len(b).to_bytes(2, "little") + b, b))),
    (WireColumn(wire.YEAR, 0), st.integers(1, 255).map(lambda n: (bytes([n]), 1900 + n))),
]  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # on a machine with much else to do
@given(st.lists(st.integers(0, len(COLUMNS) - 1), min_size=1, max_size=20), st.data())
def test_a_compiled_reader_reads_as_the_plain_one(kinds: list[int], data: st.DataObject) -> None:
    # given a row of any columns, some of them null, behind other bytes
    types = [wire_type(COLUMNS[k][0], CHARSETS) for k in kinds]
    cells = [data.draw(st.none() | COLUMNS[k][1]) for k in kinds]
    nulls = sum(1 << i for i, c in enumerate(cells) if c is None)
    row = nulls.to_bytes((len(kinds) + 7) // 8, "little") + b"".join(c[0] for c in cells if c)
    shown = data.draw(st.lists(st.integers(0, len(kinds) - 1), unique=True).map(sorted))

    expected = tuple(cell and cell[1] for cell in (cells[i] for i in shown))
    assert compile_row(types, shown)(b"xyz" + row + b"rest", 3) == (expected, 3 + len(row))
    assert read_row(types, shown, b"xyz" + row + b"rest", 3) == (expected, 3 + len(row))


def test_a_row_of_some_columns_is_completed_from_the_old_one() -> None:
    types = [wire_type(WireColumn(wire.TINY, 0), CHARSETS) for _ in range(10)]
    old, _ = read_cells(types, b"\xff\x03", bytes(2) + bytes(range(10)), 0)
    new, at = read_cells(types, b"\x02\x02", b"\x02\x07", 0)

    assert at == 2
    assert new == (MISSING, 7, *[MISSING] * 7, None)
    assert complete(new, old) == [0, 7, 2, 3, 4, 5, 6, 7, 8, None]


Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def small(value: Json) -> bytes:
    """A value as MySQL packs it into JSON, in the small form: its kind first."""
    if value is None or isinstance(value, bool):
        return b"\x04" + bytes([0 if value is None else 1 if value else 2])
    if isinstance(value, int):
        return b"\x09" + struct.pack("<q", value)
    if isinstance(value, float):
        return b"\x0b" + struct.pack("<d", value)
    if isinstance(value, str):
        raw = value.encode()
        size = bytes([len(raw)]) if len(raw) < 128 else bytes([len(raw) & 0x7F | 0x80, len(raw) >> 7])
        return b"\x0c" + size + raw
    keys = [key.encode() for key in value] if isinstance(value, dict) else []
    items = [small(item) for item in (value.values() if isinstance(value, dict) else value)]
    at = 4 + 4 * len(keys) + 3 * len(items)
    head, body = b"", b"".join(keys)
    for key in keys:
        head += struct.pack("<HH", at, len(key))
        at += len(key)
    for item in items:
        inline = item[0] == 4
        head += item[:1] + (item[1:] + b"\0" if inline else struct.pack("<H", at))
        if not inline:
            body += item[1:]
            at += len(item) - 1
    whole = struct.pack("<HH", len(items), 4 + len(head) + len(body)) + head + body
    return (b"\x00" if isinstance(value, dict) else b"\x02") + whole


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=200)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSONS)
def test_binary_json_reads_as_the_value_that_it_was(value: Json) -> None:
    assert json.loads(read_json(small(value))) == value


def test_binary_json_is_written_as_the_server_does() -> None:
    assert read_json(small({"a": [1, 2.0, None, 'x\n"ä'], "b": {}})) == '{"a": [1, 2.0, null, "x\\n\\"ä"], "b": {}}'
    assert read_json(b"") == "null"
    with pytest.raises(ValueError):
        read_json(b"\x0e")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1e14, "100000000000000.0"), (1e15, "1e15"), (1234567890123456.7, "1234567890123456.8"), (1e-5, "0.00001"),
     (1.5e-7, "0.00000015"), (1e-15, "0.000000000000001"), (1e-16, "1e-16"), (-1.5e-20, "-1.5e-20"),
     (12345678901234567.0, "1.2345678901234568e16"), (0.0, "0.0"), (-0.0, "-0.0"), (100.0, "100.0"),
     (5e-324, "5e-324")],
)  # fmt: skip
def test_numbers_in_json_as_mysql_9_7_shows_them(value: float, shown: str) -> None:
    assert read_json(small(value)) == shown


def test_lengths_and_compressed_parts() -> None:
    assert [read_length(d, 0) for d in (b"\x05", b"\xfc\x01\x02", b"\xfd\x01\x02\x03")] == [
        (5, 1), (0x0201, 3), (0x030201, 4),
    ]  # fmt: skip
    with pytest.raises(wire.ProtocolError):
        inflate(b"\x10abc")


def test_an_address_without_its_secrets() -> None:
    found = address.parse("mysql://me:ge%40heim@db:3307/my%20shop?ssl=required&connect_timeout=3")
    assert (found.user, found.password, found.host, found.port) == ("me", "ge@heim", "db", 3307)
    assert (found.database, found.ssl, found.connect_timeout) == ("my shop", "required", 3)
    assert found.shown == "mysql://me@db:3307/my%20shop?connect_timeout=3&ssl=required"
    assert "heim" not in repr(found)
    assert address.parse("mariadb://db/?ssl_ca=/ca.pem").ssl == "verify-identity"
    with pytest.raises(ConfigError):
        address.parse("mysql:///shop")
