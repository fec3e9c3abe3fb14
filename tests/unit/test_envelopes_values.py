"""Values of change records: nothing loses a digit, and every logical type reads as PostgreSQL writes it."""

import base64
import json
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace.change import Value
from headrace.envelopes.connect import row_fields
from headrace.envelopes.raw import cell
from headrace.envelopes.times import date_text, time_text, timestamp_text
from headrace.errors import BadInput

EPOCH = datetime(1970, 1, 1)


@given(st.integers())
@example(2**53 + 1)
@example(2**63)
@example(-(2**63))
def test_a_whole_number_keeps_every_digit(number: int) -> None:
    kind, value = cell(str(number).encode())

    assert int(str(value)) == number
    assert (kind, type(value)) == (("int8", int) if -(2**63) <= number < 2**63 else ("numeric", str))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4))
@example(Decimal("12.3400"))
@example(Decimal("0.1000000000000000055511151231257827"))
def test_a_fraction_keeps_every_digit(number: Decimal) -> None:
    literal = f"{number:f}"

    kind, value = cell(literal.encode())

    assert kind in ("float8", "numeric")
    assert str(value) == literal or (kind == "float8" and repr(value) == literal)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_one_again(number: float) -> None:
    assert cell(json.dumps(number).encode()) == ("float8", number)


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ("null", ("text", None)),
        ("true", ("bool", True)),
        ('"\\u00e9"', ("text", "é")),
        ('{"a": 1.10, "b": [1,  2]}', ("json", '{"a": 1.10, "b": [1,  2]}')),
        ("[1.0, null]", ("json", "[1.0, null]")),
        ("1.5E3", ("float8", 1500.0)),
        ("1e400", ("numeric", "1e400")),
    ],
)
def test_json_shows_the_type(raw: str, read: tuple[str, Value]) -> None:
    assert cell(raw.encode()) == read


@given(st.integers(-719_162, 2_932_896))
def test_days_are_dates(days: int) -> None:
    assert date_text(days) == (EPOCH + timedelta(days=days)).date().isoformat()


@given(st.datetimes(EPOCH.replace(year=1), EPOCH.replace(year=9998)))
def test_microseconds_are_timestamps(moment: datetime) -> None:
    count = (moment - EPOCH) // timedelta(microseconds=1)

    text = timestamp_text(count, 1_000_000)

    assert datetime.fromisoformat(text) == moment
    assert not text.endswith(".0")


def test_times_beyond_a_calendar() -> None:
    assert date_text(-735_160) == "0044-03-15 BC"
    assert date_text(106_751_991) == "294247-01-10"
    assert timestamp_text(9223372036825200000, 1_000_000) == "infinity"
    assert timestamp_text(-62_135_596_800_500, 1000) == "0001-12-31 23:59:59.5 BC"
    assert timestamp_text(1_767_323_045_678_901_234, 10**9) == "2026-01-02 03:04:05.678901234"
    assert time_text(86_400_000_000, 1_000_000) == "24:00:00"
    assert time_text(-3_020_399_000_000, 1_000_000) == "-838:59:59"


def field(kind: str, name: str = "", **parameters: str) -> dict[str, object]:
    return {"type": kind, "field": "x", **({"name": name} if name else {}), "parameters": parameters}


def read(described: dict[str, object], value: object) -> tuple[str, Value]:
    schema = {"type": "struct", "fields": [{"type": "struct", "field": "after", "fields": [described]}]}
    return row_fields(json.dumps(schema).encode())["x"].cell(json.dumps(value).encode())


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def listed(items: dict[str, object]) -> dict[str, object]:
    return {"type": "array", "field": "x", "items": items}


WKB = "0101000000000000000000F03F0000000000000040"
EWKB = "0101000020E6100000000000000000F03F0000000000000040"
T, D, C = "io.debezium.time.", "io.debezium.data.", "org.apache.kafka.connect.data."


@pytest.mark.parametrize(
    ("described", "value", "expected"),
    [
        (field("int16"), 7, ("int2", 7)),
        (field("int32"), 7, ("int4", 7)),
        (field("int64"), 2**62 + 1, ("int8", 2**62 + 1)),
        (field("double"), 2, ("float8", 2.0)),
        (field("float"), "NaN", ("float4", "NaN")),
        (field("double"), None, ("float8", None)),
        (field("boolean"), False, ("bool", False)),
        (field("string"), "a", ("text", "a")),
        (field("bytes"), b64(b"\x00\xff"), ("bytea", b"\x00\xff")),
        (field("array"), [1, 2], ("json", "[1, 2]")),
        (field("int32", T + "Date"), 20455, ("date", "2026-01-02")),
        (field("int32", C + "Date"), -1, ("date", "1969-12-31")),
        (field("int32", T + "Time"), 11_045_500, ("time", "03:04:05.5")),
        (field("int64", T + "MicroTime"), 11_045_500_000, ("time", "03:04:05.5")),
        (field("int64", T + "NanoTime"), 11_045_000_000_001, ("time", "03:04:05.000000001")),
        (field("int64", T + "Timestamp"), 1_767_323_045_678, ("timestamp", "2026-01-02 03:04:05.678")),
        (field("int64", C + "Timestamp"), 1_767_323_045_000, ("timestamp", "2026-01-02 03:04:05")),
        (field("int64", T + "MicroTimestamp"), 1_767_323_045_678_901, ("timestamp", "2026-01-02 03:04:05.678901")),
        (field("string", T + "ZonedTimestamp"), "2026-01-02T01:04:05Z", ("timestamptz", "2026-01-02T01:04:05Z")),
        (field("int32", T + "Year"), 2026, ("int4", 2026)),
        (field("int64", T + "MicroDuration"), 93_600_000_000, ("interval", "26:00:00")),
        (field("string", T + "Interval"), "P1Y", ("interval", "P1Y")),
        (field("bytes", C + "Decimal", scale="4"), b64((123_400).to_bytes(3, "big")), ("numeric", "12.3400")),
        (field("bytes", C + "Decimal", scale="0"), b64((-1).to_bytes(1, "big", signed=True)), ("numeric", "-1")),
        (field("bytes", C + "Decimal", scale="2"), "12.50", ("numeric", "12.50")),
        (field("struct", D + "VariableScaleDecimal"), {"scale": 3, "value": b64(b"\x01")}, ("numeric", "0.001")),
        (field("struct", D + "VariableScaleDecimal"), {"scale": -2, "value": b64(b"\x05")}, ("numeric", "500")),
        (field("string", D + "Json"), '{"a": 1.10}', ("jsonb", '{"a": 1.10}')),
        (field("string", D + "Uuid"), "6f0f0b4e-0000-4000-8000-000000000001", ("uuid",
         "6f0f0b4e-0000-4000-8000-000000000001")),
        (field("string", D + "Enum", allowed="a,b"), "b", ("enum", "b")),
        (field("bytes", D + "Bits", length="10"), b64(b"\x05\x02"), ("bit", "1000000101")),
        (field("bytes", D + "Bits", length="10"), b64(b"\x05"), ("bit", "0000000101")),
        (field("bytes", D + "Bits", length="2147483647"), b64(b"\x05" + b"\x01" * 8),
         ("bit", "00000001" * 8 + "00000101")),
        # MySQL's own, in every mode that its connector has
        (field("int64"), -1, ("int8", -1)),  # BIGINT UNSIGNED, long: beyond 2**63 it has wrapped there
        (field("bytes", C + "Decimal", scale="0"), b64((2**64 - 1).to_bytes(9, "big")), ("numeric", str(2**64 - 1))),
        (field("double"), 12.5, ("float8", 12.5)),
        (field("string"), "12.50", ("text", "12.50")),
        (field("float"), 0.1, ("float4", 0.1)),
        (field("string"), "AP8=", ("text", "AP8=")),  # binary.handling.mode=base64: nothing says that it is one
        (field("string"), "00ff", ("text", "00ff")),
        (field("string", D + "EnumSet", allowed="a,b,c"), "a,c", ("set", "a,c")),
        (field("int32", T + "Year"), 0, ("int4", 0)),
        (field("int32", C + "Time"), 11_045_500, ("time", "03:04:05.5")),
        (field("int64", T + "MicroTime"), -3_020_399_000_000, ("time", "-838:59:59")),
        (field("string", T + "IsoDate"), "2026-01-02Z", ("date", "2026-01-02Z")),
        (field("string", T + "IsoTimestamp"), "2026-01-02T03:04:05Z", ("timestamp", "2026-01-02T03:04:05Z")),
        (field("struct", D + "geometry.Point"), {"x": 1.0, "y": 2.5, "wkb": "", "srid": None}, ("point", "(1,2.5)")),
        (field("struct", D + "geometry.Point"), {"x": 1, "y": 2.5, "srid": 4326}, ("point", "SRID=4326;POINT(1 2.5)")),
        (field("struct", D + "geometry.Geometry"), {"wkb": b64(bytes.fromhex(WKB)), "srid": None}, ("geometry", WKB)),
        (field("struct", D + "geometry.Geometry"), {"wkb": b64(bytes.fromhex(WKB)), "srid": 4326}, ("geometry", EWKB)),
        (field("struct", D + "geometry.Geography"), {"wkb": b64(bytes.fromhex(EWKB)), "srid": 4326}, ("geography",
         EWKB)),
        # arrays of what JSON does not show
        (listed(field("int32", T + "Date")), [20455, None], ("json", '["2026-01-02", null]')),
        (listed(field("bytes", C + "Decimal", scale="2")), [b64(b"\x04\xe2"), None], ("json", "[12.50, null]")),
        (listed(field("bytes")), [b64(b"\xff")], ("json", '["/w=="]')),
        (listed(listed(field("int64", T + "MicroTime"))), [[0]], ("json", '[["00:00:00"]]')),
        (listed(field("string")), ["a", None], ("json", '["a", null]')),
        (listed(field("int32", T + "Date")), None, ("json", None)),
        (field("map"), {"a": "1"}, ("json", '{"a": "1"}')),
    ],
)  # fmt: skip
def test_a_schema_gives_the_type(described: dict[str, object], value: object, expected: tuple[str, Value]) -> None:
    assert read(described, value) == expected


@given(st.integers(), st.integers(1, 40))
def test_decimals_as_bytes_are_exact(unscaled: int, scale: int) -> None:
    data = unscaled.to_bytes(unscaled.bit_length() // 8 + 1, "big", signed=True)
    digits = str(abs(unscaled)).rjust(scale + 1, "0")

    found = read(field("bytes", C + "Decimal", scale=str(scale)), b64(data))

    assert found == ("numeric", f"{'-' if unscaled < 0 else ''}{digits[:-scale]}.{digits[-scale:]}")


def test_a_decimal_of_more_digits_than_python_reads_as_text() -> None:
    data = (10**5000 - 1).to_bytes(2077, "big")

    assert read(field("bytes", C + "Decimal", scale="2"), b64(data)) == ("numeric", f"{'9' * 4998}.99")


@pytest.mark.parametrize("scale", ["1000000000", "-1000000000"])
def test_a_scale_that_would_take_all_memory_is_refused(scale: str) -> None:
    with pytest.raises(BadInput):
        read(field("bytes", C + "Decimal", scale=scale), b64(b"\x01"))
    with pytest.raises(BadInput):
        read(field("struct", D + "VariableScaleDecimal"), {"scale": int(scale), "value": b64(b"\x01")})


def test_a_decimal_of_a_thousand_digits() -> None:
    unscaled = int("7" * 1000)
    data = unscaled.to_bytes(unscaled.bit_length() // 8 + 1, "big", signed=True)

    assert read(field("bytes", C + "Decimal", scale="500"), b64(data)) == ("numeric", f"{'7' * 500}.{'7' * 500}")


@pytest.mark.parametrize(
    ("described", "value"),
    [
        (field("struct", D + "geometry.Geometry"), {"srid": 1}),
        (field("struct", D + "geometry.Geometry"), {"wkb": "AQ=="}),
        (field("struct", D + "geometry.Point"), {"x": 1}),
        (listed(field("int32", T + "Date")), 7),
        (field("bytes"), "*"),
        (field("bytes", C + "Decimal", scale="two"), "AQ=="),
        (field("double"), [1]),
    ],
)
def test_a_value_that_is_none_is_named(described: dict[str, object], value: object) -> None:
    with pytest.raises((BadInput, ValueError)):
        read(described, value)
