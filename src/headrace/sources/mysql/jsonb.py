"""MySQL's binary JSON as the text that the server shows. Pure.

Source: the header comment of MySQL's `sql/json_binary.h` for the form; `Json_wrapper::to_string` for the text: a space
after each `,` and `:`, members in their stored order.
"""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from struct import Struct

from headrace.sources.mysql.decimals import packed

_double = Struct("<d").unpack_from

_SMALL_OBJECT, _LARGE_OBJECT, _SMALL_ARRAY, _LARGE_ARRAY, _LITERAL = 0, 1, 2, 3, 4
_INTEGERS = {5: (2, True), 6: (2, False), 7: (4, True), 8: (4, False), 9: (8, True), 10: (8, False)}
_DOUBLE, _STRING, _OPAQUE = 11, 12, 15
_MOST_DIGITS, _MOST_ZEROS = 15, 14
_LITERALS = {0: "null", 1: "true", 2: "false"}
_DATE, _TIME, _DATETIME, _TIMESTAMP, _DECIMAL = 10, 11, 12, 7, 246


def read_json(data: bytes) -> str:
    """Raises ValueError."""
    if not data:
        return "null"  # what an update leaves of a column that was given a default of nothing
    try:
        return _value(data, data[0], 1)
    except (IndexError, KeyError) as problem:
        raise ValueError(f"JSON that cannot be read: {problem}") from None


def _value(data: bytes, kind: int, at: int) -> str:
    if kind in (_SMALL_OBJECT, _LARGE_OBJECT):
        return _object(data, at, 4 if kind == _LARGE_OBJECT else 2)
    if kind in (_SMALL_ARRAY, _LARGE_ARRAY):
        return _array(data, at, 4 if kind == _LARGE_ARRAY else 2)
    if kind == _LITERAL:
        return _LITERALS[data[at]]
    if kind in _INTEGERS:
        size, signed = _INTEGERS[kind]
        return str(int.from_bytes(data[at : at + size], "little", signed=signed))
    if kind == _DOUBLE:
        return _number(_double(data, at)[0])
    if kind == _STRING:
        size, at = _length(data, at)
        return _quoted(data[at : at + size].decode())
    if kind == _OPAQUE:
        size, start = _length(data, at + 1)
        return _opaque(data[at], data[start : start + size])
    raise ValueError(f"JSON with a value of kind {kind}")


def _object(data: bytes, at: int, size: int) -> str:
    count = _offset(data, at, size)
    keys = at + 2 * size
    entries = keys + count * (size + 2)
    members: list[str] = []
    for i in range(count):
        key_at = keys + i * (size + 2)
        start = at + _offset(data, key_at, size)
        length = _offset(data, key_at + size, 2)
        key = _quoted(data[start : start + length].decode())
        members.append(f"{key}: {_entry(data, at, entries + i * (size + 1), size)}")
    return "{" + ", ".join(members) + "}"


def _array(data: bytes, at: int, size: int) -> str:
    count = _offset(data, at, size)
    entries = at + 2 * size
    return "[" + ", ".join([_entry(data, at, entries + i * (size + 1), size) for i in range(count)]) + "]"


def _entry(data: bytes, base: int, at: int, size: int) -> str:
    """A value that stands in its entry when it is small enough, otherwise where the entry says."""
    kind = data[at]
    inline = kind == _LITERAL or (kind in _INTEGERS and _INTEGERS[kind][0] <= size)
    return _value(data, kind, at + 1 if inline else base + _offset(data, at + 1, size))


def _offset(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Seven bits a byte, low ones first, until one without its top bit."""
    size = shift = 0
    while True:
        byte = data[at]
        at += 1
        size |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return size, at
        shift += 7


def _number(value: float) -> str:
    """As the server's `my_gcvt` writes it: shortest; with an exponent where the point would be far from the digits."""
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    shown = "".join(map(str, digits))
    point = len(shown) + int(exponent)
    minus = "-" if sign else ""
    if not value:
        return minus + "0.0"
    if point < -_MOST_ZEROS or (point > _MOST_DIGITS and len(shown) <= point):
        fraction = f".{shown[1:]}" if shown[1:] else ""
        return f"{minus}{shown[0]}{fraction}e{point - 1}"
    if point <= 0:
        return f"{minus}0.{'0' * -point}{shown}"
    return f"{minus}{shown[:point].ljust(point, '0')}.{shown[point:] or '0'}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _opaque(kind: int, data: bytes) -> str:
    if kind == _DECIMAL:
        return _decimal(data)
    if kind in (_DATE, _TIME, _DATETIME, _TIMESTAMP):
        return f'"{_moment(kind, int.from_bytes(data[:8], "little", signed=True))}"'
    return f'"base64:type{kind}:{base64.b64encode(data).decode()}"'


def _moment(kind: int, value: int) -> str:
    sign, value = ("-", -value) if value < 0 else ("", value)
    micros, whole = value & 0xFFFFFF, value >> 24
    if kind == _TIME:
        return f"{sign}{whole >> 12 & 0x3FF:02d}:{whole >> 6 & 63:02d}:{whole & 63:02d}.{micros:06d}"
    day, clock = whole >> 17, whole & 0x1FFFF
    months = day >> 5
    shown = f"{months // 13:04d}-{months % 13:02d}-{day & 31:02d}"
    if kind == _DATE:
        return shown
    return f"{shown} {clock >> 12:02d}:{clock >> 6 & 63:02d}:{clock & 63:02d}.{micros:06d}"


def _decimal(data: bytes) -> str:
    """Precision, scale, and digits as in a row."""
    size, read = packed(data[0], data[1])
    return read(data[2 : 2 + size])
