"""Values of columns, the same whether the server wrote them as text (a copied row) or into its log. Pure.

Integers, BIT and YEAR become int; FLOAT and DOUBLE float; bytes stay bytes; every other type is the text that the
server shows: DECIMAL to the digit, dates also where they are zero, TIMESTAMP in UTC.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from uuid import UUID

from headrace.change import Value
from headrace.sources.mysql import binlog as wire
from headrace.sources.mysql.binlog import WireColumn
from headrace.sources.mysql.charsets import BINARY, Charsets
from headrace.sources.mysql.decimals import packed
from headrace.sources.mysql.jsonb import read_json

TextReader = Callable[[bytes], Value]
"""A value as the server's text says it."""

Reader = Callable[[bytes, int], tuple[Value, int]]
"""A value as it stands in a row of the log, and where it ends. Raises ValueError."""

_float32 = Struct("<f")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHARED = {"uuid", "inet6", "inet4"}
"""Types of MariaDB that the log shows as BINARY: the catalog must tell."""

_INTEGERS = {"tinyint": 1, "smallint": 2, "mediumint": 3, "int": 4, "bigint": 8}
_BINARY_NAMES = {"char": "binary", "varchar": "varbinary"}
_GEOMETRY = {
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
    "geomcollection",
}
_BYTES = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "geometry"}
_TEXT = {
    "char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "json",
    "date", "datetime", "timestamp", "time", *_SHARED,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TextType:
    """A column by the catalog. `expression` selects it, `{}` standing for its name; `read` takes what comes."""

    name: str
    expression: str
    read: TextReader


def text_type(data_type: str, column_type: str) -> TextType | None:
    """By the catalog's DATA_TYPE and COLUMN_TYPE; None for a type that is not known here."""
    kind = "geometry" if data_type in _GEOMETRY else data_type
    unsigned = " unsigned" if "unsigned" in column_type else ""
    if kind in _INTEGERS:
        return TextType(kind + unsigned, "{}", int)
    if kind == "decimal":
        return TextType(kind + unsigned, "{}", _decimal_text)
    if kind == "float":
        # As text the server gives six digits of it; as a DOUBLE all.
        return TextType(kind + unsigned, "{} * 1e0", _float_text)
    if kind == "double":
        return TextType(kind + unsigned, "{}", _double_text)
    if kind == "bit":
        return TextType(kind, "{} + 0", int)
    if kind == "year":
        return TextType(kind, "{}", int)
    if kind in _BYTES:
        return TextType(kind, "{}", _bytes)
    if kind in _TEXT:
        return TextType(kind, "{}", bytes.decode)
    return None


def _bytes(text: bytes) -> bytes:
    return text


def _decimal_text(text: bytes) -> str:
    """Without what ZEROFILL puts in front."""
    if text[:1] != b"0" or len(text) == 1:
        return text.decode()
    whole, point, fraction = text.decode().partition(".")
    return (whole.lstrip("0") or "0") + point + fraction


def _float_text(text: bytes) -> float:
    return shortest(float(text))


def _double_text(text: bytes) -> float:
    return float(text)


def shortest(value: float) -> float:
    """Of all doubles that round to the same FLOAT the one that reads shortest: 0.1, not 0.10000000149011612."""
    return _shortest(value) if value else value  # a cache takes -0.0 for 0.0


@lru_cache(maxsize=4096)
def _shortest(value: float) -> float:
    packed = _float32.pack(value)
    for digits in range(1, 9):
        short = float(f"{value:.{digits}g}")
        try:
            if _float32.pack(short) == packed:
                return short
        except OverflowError:
            continue
    return float(f"{value:.9g}")


# ---- in the log ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WireType:
    """A column of a table map: its name for people, as `text_type` gives it, and how it is read. `code` is the reading
    as a line of Python for a row's compiled reader, where that is quicker than calling `read`; `bytes` reads what
    cannot fail."""

    name: str
    read: Reader
    code: str = ""
    bytes: Reader | None = None

    @property
    def raw(self) -> WireType:
        """The same without making text of its bytes."""
        return self if self.bytes is None else WireType(self.name, self.bytes)


class Unreadable(ValueError):
    """A column of a type or character set that cannot be carried."""


def wire_type(column: WireColumn, charsets: Charsets, catalog: str = "") -> WireType:
    """`catalog`: the type of the column of that name in the catalog, for types that the log does not tell apart.

    Raises Unreadable.
    """
    kind, meta = column.type, column.meta
    if kind in _FIXED:
        name, signed, unsigned = _FIXED[kind]
        form = unsigned if column.unsigned else signed
        return WireType(name + (" unsigned" if column.unsigned else ""), _fixed(form), _fixed_code(form))
    if kind in (wire.VARCHAR, wire.VAR_STRING, wire.STRING, wire.BLOB):
        return _string(column, charsets, catalog)
    if kind in (wire.ENUM, wire.SET):
        return _choice(column, charsets)
    unsigned = " unsigned" if column.unsigned else ""
    match kind:
        case wire.INT24:
            return WireType("mediumint" + unsigned, _int24(column.unsigned))
        case wire.FLOAT:
            return WireType("float" + unsigned, _read_float)
        case wire.DECIMAL:
            return WireType("decimal" + unsigned, _decimal(meta >> 8, meta & 0xFF))
        case wire.BIT:
            return WireType("bit", _bit((meta + 7) // 8))
        case wire.YEAR:
            return WireType("year", _read_year)
        case wire.DATE | wire.NEWDATE:
            return WireType("date", _read_date)
        case wire.DATETIME:
            return WireType("datetime", _datetime(meta))
        case wire.TIMESTAMP:
            return WireType("timestamp", _timestamp(meta))
        case wire.TIME:
            return WireType("time", _time(meta))
        case wire.GEOMETRY:
            return WireType("geometry", _bytes_of(meta))
        case wire.JSON:
            return WireType("json", _json(meta), "", _bytes_of(meta))
        case _:
            raise Unreadable(f"the type {_OLD.get(kind, str(kind))}")


_OLD = {
    wire.TIMESTAMP_OLD: "TIMESTAMP of before MySQL 5.6 (ALTER TABLE ... FORCE renews it)",
    wire.DATETIME_OLD: "DATETIME of before MySQL 5.6 (ALTER TABLE ... FORCE renews it)",
    wire.TIME_OLD: "TIME of before MySQL 5.6 (ALTER TABLE ... FORCE renews it)",
    140: "BLOB COMPRESSED",
    141: "VARCHAR COMPRESSED",
    wire.VECTOR: "VECTOR",
}

_FIXED: dict[int, tuple[str, Struct, Struct]] = {
    wire.TINY: ("tinyint", Struct("<b"), Struct("<B")),
    wire.SHORT: ("smallint", Struct("<h"), Struct("<H")),
    wire.LONG: ("int", Struct("<i"), Struct("<I")),
    wire.LONGLONG: ("bigint", Struct("<q"), Struct("<Q")),
    wire.DOUBLE: ("double", Struct("<d"), Struct("<d")),
}
FORMS: dict[str, Struct] = {s.format: s for _, a, b in _FIXED.values() for s in (a, b)}
"""The forms that `WireType.code` calls by their last letter."""


def _fixed(form: Struct) -> Reader:
    size, unpack = form.size, form.unpack_from

    def read(data: bytes, at: int) -> tuple[Value, int]:
        return unpack(data, at)[0], at + size

    return read


def _fixed_code(form: Struct) -> str:
    return f"v{{i}} = unpack_{form.format[-1]}(data, at)[0]; at += {form.size}"


def _int24(unsigned: bool) -> Reader:
    def read(data: bytes, at: int) -> tuple[Value, int]:
        return int.from_bytes(data[at : at + 3], "little", signed=not unsigned), at + 3

    return read


def _read_float(data: bytes, at: int) -> tuple[Value, int]:
    return shortest(_float32.unpack_from(data, at)[0]), at + 4


def _read_year(data: bytes, at: int) -> tuple[Value, int]:
    return (1900 + data[at] if data[at] else 0), at + 1


def _bit(size: int) -> Reader:
    def read(data: bytes, at: int) -> tuple[Value, int]:
        return int.from_bytes(data[at : at + size], "big"), at + size

    return read


def _bytes_of(size: int) -> Reader:
    """Bytes behind a length of `size` bytes."""

    def read(data: bytes, at: int) -> tuple[Value, int]:
        start = at + size
        end = start + int.from_bytes(data[at:start], "little")
        return data[start:end], end

    return read


def _fixed_bytes(size: int) -> Reader:
    def read(data: bytes, at: int) -> tuple[Value, int]:
        return data[at : at + size], at + size

    return read


def _json(size: int) -> Reader:
    def read(data: bytes, at: int) -> tuple[Value, int]:
        start = at + size
        end = start + int.from_bytes(data[at:start], "little")
        return read_json(data[start:end]), end

    return read


_UTF8_CODE = (
    "start = at + {size}; at = start + {length}; v{{i}} = data[start:at].decode()",
    {1: "data[at]", 2: "(data[at] | data[at + 1] << 8)"},
)
_BLOBS = {1: "tiny", 2: "", 3: "medium", 4: "long"}


def _string(column: WireColumn, charsets: Charsets, catalog: str) -> WireType:
    charset = charsets.name(column.collation)
    try:
        decode = charsets.decoder(charset)
    except ValueError as problem:
        raise Unreadable(str(problem)) from None
    if column.type == wire.BLOB:
        size = column.meta
        name = _BLOBS[size] + ("blob" if charset == BINARY else "text")
    else:
        size = 1 if column.meta < 256 else 2
        name = "char" if column.type == wire.STRING else "varchar"
        name = _BINARY_NAMES[name] if charset == BINARY else name
    if name == "binary":
        return _padded(column.meta, size, catalog)
    if decode is None:
        return WireType(name, _bytes_of(size))
    template, lengths = _UTF8_CODE
    code = template.format(size=size, length=lengths[size]) if decode is bytes.decode and size in lengths else ""
    return WireType(name, _text_of(size, decode), code, _bytes_of(size))


def _text_of(size: int, decode: Callable[[bytes], str]) -> Reader:
    def read(data: bytes, at: int) -> tuple[Value, int]:
        start = at + size
        end = start + int.from_bytes(data[at:start], "little")
        return decode(data[start:end]), end

    return read


def _padded(width: int, size: int, catalog: str) -> WireType:
    """BINARY and what looks like it: zeros at its end are not written."""
    shows: dict[str, Callable[[bytes], Value]] = {
        "uuid": lambda b: str(UUID(bytes=b)),
        "inet6": _inet6,
        "inet4": lambda b: str(IPv4Address(b)),
    }
    widths = {"uuid": 16, "inet6": 16, "inet4": 4}
    show = shows[catalog] if widths.get(catalog) == width else _bytes

    def read(data: bytes, at: int) -> tuple[Value, int]:
        start = at + size
        end = start + int.from_bytes(data[at:start], "little")
        return show(data[start:end].ljust(width, b"\0")), end

    return WireType("binary" if show is _bytes else catalog, read)


def _inet6(data: bytes) -> str:
    """As the server shows it: an address that maps or holds an IPv4 one ends as that."""
    address = IPv6Address(data)
    high, low = data[:12], data[12:]
    if high == b"\0" * 10 + b"\xff\xff":
        return f"::ffff:{IPv4Address(low)}"
    if high == b"\0" * 12 and low[:2] != b"\0\0":
        return f"::{IPv4Address(low)}"
    return str(address)


def _choice(column: WireColumn, charsets: Charsets) -> WireType:
    try:
        decode = charsets.decoder(charsets.name(column.collation))
    except ValueError as problem:
        raise Unreadable(str(problem)) from None
    members = [m.decode() if decode is None else decode(m) for m in column.members]
    size = column.meta & 0xFF

    def read_enum(data: bytes, at: int) -> tuple[Value, int]:
        number = int.from_bytes(data[at : at + size], "little")
        return (members[number - 1] if number else ""), at + size

    def read_set(data: bytes, at: int) -> tuple[Value, int]:
        bits = int.from_bytes(data[at : at + size], "little")
        return ",".join([m for i, m in enumerate(members) if bits >> i & 1]), at + size

    raw = _fixed_bytes(size)
    return WireType("enum", read_enum, "", raw) if column.type == wire.ENUM else WireType("set", read_set, "", raw)


# ---- decimals and times ----------------------------------------------------------------------------------------------


def _decimal(precision: int, scale: int) -> Reader:
    size, show = packed(precision, scale)

    def read(data: bytes, at: int) -> tuple[Value, int]:
        return show(data[at : at + size]), at + size

    return read


def _read_date(data: bytes, at: int) -> tuple[Value, int]:
    packed = data[at] | data[at + 1] << 8 | data[at + 2] << 16
    return _day(packed), at + 3


@lru_cache(maxsize=8192)
def _day(packed: int) -> str:
    return f"{packed >> 9:04d}-{packed >> 5 & 15:02d}-{packed & 31:02d}"


def _fraction(digits: int) -> Callable[[bytes, int], str]:
    """Reads the part behind the point: two digits a byte, big end first."""
    size = (digits + 1) // 2
    shown, end = f".%0{2 * size}d", digits + 1

    def read(data: bytes, at: int) -> str:
        return (shown % int.from_bytes(data[at : at + size], "big"))[:end]

    return read if digits else lambda _data, _at: ""


def _datetime(digits: int) -> Reader:
    size, fraction = 5 + (digits + 1) // 2, _fraction(digits)

    def read(data: bytes, at: int) -> tuple[Value, int]:
        packed = int.from_bytes(data[at : at + 5], "big") - 0x8000000000
        day, clock = packed >> 17, packed & 0x1FFFF
        months = day >> 5
        shown = (
            f"{months // 13:04d}-{months % 13:02d}-{day & 31:02d} "
            f"{clock >> 12:02d}:{clock >> 6 & 63:02d}:{clock & 63:02d}"
        )
        return shown + fraction(data, at + 5), at + size

    return read


@lru_cache(maxsize=8192)
def _moment(seconds: int) -> str:
    if not seconds:
        return "0000-00-00 00:00:00"
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%d %H:%M:%S")


def _timestamp(digits: int) -> Reader:
    size, behind = 4 + (digits + 1) // 2, _fraction(digits)

    def read(data: bytes, at: int) -> tuple[Value, int]:
        fraction = behind(data, at + 4)
        seconds = int.from_bytes(data[at : at + 4], "big")
        if not seconds and fraction.strip(".0"):
            return "1970-01-01 00:00:00" + fraction, at + size
        return _moment(seconds) + fraction, at + size

    return read


def _time(digits: int) -> Reader:
    fraction_size = (digits + 1) // 2
    size = 3 + fraction_size
    offset = 0x800000 << 8 * fraction_size
    unit = 10 ** (2 * fraction_size)

    def read(data: bytes, at: int) -> tuple[Value, int]:
        packed = int.from_bytes(data[at : at + size], "big") - offset
        sign = "-" if packed < 0 else ""
        packed = abs(packed)
        clock, part = packed >> 8 * fraction_size, packed & (1 << 8 * fraction_size) - 1
        shown = f"{sign}{clock >> 12:02d}:{clock >> 6 & 63:02d}:{clock & 63:02d}"
        if digits:
            shown += "." + f"{part % unit:0{2 * fraction_size}d}"[:digits]
        return shown, at + size

    return read
