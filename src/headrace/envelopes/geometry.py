"""Geometries as Debezium's structs hold them (io.debezium.data.geometry), in the forms of PostgreSQL and PostGIS."""

from __future__ import annotations

from headrace.change import Value
from headrace.envelopes import bad
from headrace.envelopes.raw import NULL, Raw, cell, decoded, is_object, members, shown, text, whole

_HEAD, _HAS_SRID = 5, 0x2000_0000
"""Of well-known binary: its byte order and kind; the kind's flag for a reference system behind it."""


def geometry(raw: Raw) -> Value:
    """In hexadecimal with the reference system inside; PostgreSQL's connector has it there. Raises BadInput."""
    if not is_object(raw):
        return cell(raw)[1]
    parts = members(raw, "a geometry")
    if "wkb" not in parts:
        raise bad("a geometry with `wkb`", shown(raw))
    return _extended(decoded(text(parts["wkb"])), whole(parts.get("srid", NULL)) or 0).hex().upper()


def point(raw: Raw) -> Value:
    """`(1,2)`; where it names a reference system `SRID=4326;POINT(1 2)`. Raises BadInput."""
    if not is_object(raw):
        return cell(raw)[1]
    parts = members(raw, "a point")
    if not {"x", "y"} <= parts.keys():
        raise bad("a point with `x` and `y`", shown(raw))
    x, y = (repr(float(parts[n])).removesuffix(".0") for n in ("x", "y"))
    srid = whole(parts.get("srid", NULL)) or 0
    return f"SRID={srid};POINT({x} {y})" if srid else f"({x},{y})"


def _extended(wkb: bytes, srid: int) -> bytes:
    if len(wkb) < _HEAD or wkb[0] > 1:
        raise bad("well-known binary", repr(wkb[:_HEAD]))
    order = "little" if wkb[0] else "big"
    kind = int.from_bytes(wkb[1:_HEAD], order)
    if not srid or kind & _HAS_SRID:
        return wkb
    return wkb[:1] + (kind | _HAS_SRID).to_bytes(4, order) + srid.to_bytes(4, order, signed=True) + wkb[_HEAD:]
