"""Text of PostgreSQL's output functions to values, the same for a copied row and a streamed one. Pure.

int2, int4, int8 and oid become int, bool bool, float4 and float8 float (NaN and the infinities stay text), bytea
bytes; every other type stays text, to the digit. A domain reads as its base type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite

from headrace.change import Value

Reader = Callable[[bytes], Value]

BOOL, BYTEA, INT8, INT2, INT4, TEXT, OID = 16, 17, 20, 21, 23, 25, 26
JSON, XML, FLOAT4, FLOAT8, BPCHAR, VARCHAR, NUMERIC = 114, 142, 700, 701, 1042, 1043, 1700

SESSION: Mapping[str, str] = {
    "datestyle": "ISO,MDY",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmlbinary": "base64",
    "search_path": "pg_catalog",
}
"""What every session that reads rows must have set, or a copied value differs from the same value streamed."""


def _bool(text: bytes) -> bool:
    return text == b"t"


def _float(text: bytes) -> float | str:
    value = float(text)
    return value if isfinite(value) else text.decode()


def _bytea(text: bytes) -> bytes:
    return bytes.fromhex(text[2:].decode("ascii"))


_READERS: dict[int, Reader] = {
    BOOL: _bool,
    BYTEA: _bytea,
    INT2: int,
    INT4: int,
    INT8: int,
    OID: int,
    FLOAT4: _float,
    FLOAT8: _float,
}

_DENSE = frozenset({BYTEA, TEXT, JSON, XML, BPCHAR, VARCHAR, NUMERIC})
_SPARSE_RATIO = 6


@dataclass(frozen=True, slots=True)
class Type:
    """What the catalog says of a type. `base` is the type below a domain (itself otherwise); `size` is -1 when it
    varies: only such values can be stored out of line."""

    oid: int
    name: str
    base: int
    size: int

    @property
    def reader(self) -> Reader:
        return _READERS.get(self.base, bytes.decode)

    @property
    def expansion(self) -> int:
        """At most this many bytes are stored for each byte of text: an array of float8 `{0,0}` takes 8 for 2."""
        return 1 if self.base in _DENSE else _SPARSE_RATIO


def unknown(oid: int) -> Type:
    """A type that the catalog no longer has: its values stay text."""
    return Type(oid, "text", TEXT, -1)
