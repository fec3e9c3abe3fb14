"""Lines of COPY's text format to rows. Pure.

Source: PostgreSQL documentation, COPY, "Text Format".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from headrace.change import Row, Value
from headrace.sources.postgres.values import Reader

LineReader = Callable[[bytes], Row]
"""Reads one line, its line break included. Raises ValueError, or what a column's reader raises."""

_NULL = b"\\N"
_ESCAPES = {
    ord("b"): b"\b",
    ord("f"): b"\f",
    ord("n"): b"\n",
    ord("r"): b"\r",
    ord("t"): b"\t",
    ord("v"): b"\v",
}


def read_line(line: bytes, readers: Sequence[Reader]) -> Row:
    """A `LineReader` for any columns: what `compile_line` makes for some of them must do the same."""
    return tuple([read_field(f, read) for read, f in zip(readers, fields(line, len(readers)), strict=True)])


def fields(line: bytes, count: int) -> list[bytes]:
    """The fields as they are written; a line of no columns is empty, as is one of a single empty column."""
    return line[:-1].split(b"\t") if count else []


def read_field(field: bytes, read: Reader) -> Value:
    return None if field == _NULL else read(unescape(field) if b"\\" in field else field)


def compile_line(readers: Sequence[Reader]) -> LineReader:
    """`read_line` for these columns, unrolled: with no list and no call per column it takes less than half the time."""
    if not readers:
        return lambda line: read_line(line, ())
    names = [f"f{i}" for i in range(len(readers))]
    code = (
        "def read(line):\n"
        f"    {', '.join(names)}, = line[:-1].split(b'\\t')\n"
        "    if b'\\\\' in line:\n"
        f"        return ({''.join(f'read_field({n}, read{i}), ' for i, n in enumerate(names))})\n"
        f"    return ({''.join(f'read{i}({n}), ' for i, n in enumerate(names))})\n"
    )
    known: dict[str, object] = {f"read{i}": read for i, read in enumerate(readers)}
    known.update(read_field=read_field)
    exec(code, known)  # noqa: S102 - the text above with numbers in it, nothing from outside
    return cast("LineReader", known["read"])


def unescape(field: bytes) -> bytes:
    """A field as it was before it was written."""
    if b"\\" not in field:
        return field
    head, *rest = field.split(b"\\")
    out = [head]
    literal = False
    for part in rest:
        if literal:
            out.append(part)
            literal = False
        elif not part:
            out.append(b"\\")
            literal = True
        else:
            out.append(_ESCAPES.get(part[0], part[:1]) + part[1:])
    return b"".join(out)
