"""Rows of a query out of the bytes that the server sends for them. Pure.

Source: MySQL's and MariaDB's documentation of the text protocol: packets of up to 16 MB - 1, each row one of them (a
larger row goes on in the next), each value behind its length; at the end EOF or an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from sys import maxsize
from typing import cast

from headrace.change import Row, Value
from headrace.sources.mysql.values import TextReader

RowReader = Callable[[bytes, int], Row]
"""Reads the row that begins at a place. Raises ValueError for a value that its type does not allow."""

Cells = tuple[bytes | None, ...]
"""A row as the server's text."""

_LONGEST = 0xFFFFFF
_NULL = 251
_WIDTHS = {252: 2, 253: 3, 254: 8}
_ERROR, _END = 255, 254
_END_AT_MOST = 8
"""A row that begins with the byte of EOF is longer: its first value has a length of eight bytes."""


class Failed(Exception):
    """What the server said, by its number; 0 for a connection that is no longer one."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class ResultReader:
    """What has come of a result's rows so far: `take` them away. `size`: their bytes; `ended`: all have come."""

    def __init__(self, read: RowReader, most: int = maxsize) -> None:
        self._read, self._most = read, most
        self._rest = b""
        self._long: list[bytes] = []
        self._last: tuple[bytes, int] = (b"", 0)
        self.ended = False
        self._start()

    def _start(self) -> None:
        self.rows: list[Row] = []
        self.bad: dict[int, ValueError] = {}
        self.size = 0

    @property
    def full(self) -> bool:
        """`most` rows are here: `take` them, and feed what came with them (nothing more)."""
        return len(self.rows) >= self._most

    def take(self) -> tuple[list[Row], dict[int, ValueError]]:
        """The rows, and by their places those that could not be read, which stand as empty ones."""
        taken = self.rows, self.bad
        self._start()
        return taken

    def feed(self, block: bytes) -> None:
        """Raises Failed."""
        data = self._rest + block if self._rest else block
        read, rows, most = self._read, self.rows, self._most
        at, size = 0, len(data)
        begin: int | None = None
        while size - at >= 4 and len(rows) < most and not self.ended:
            length = data[at] | data[at + 1] << 8 | data[at + 2] << 16
            start = at + 4
            if start + length > size:
                break
            at = start + length
            if self._long or length == _LONGEST or data[start] >= _END:
                if begin is not None:
                    self._last, begin = (data, begin), None
                self._unusual(data[start:at], length)
                continue
            try:
                rows.append(read(data, start))
            except ValueError as problem:
                self.bad[len(rows)] = problem
                rows.append(())
            self.size += length
            begin = start
        if begin is not None:
            self._last = data, begin
        self._rest = data[at:]

    def _unusual(self, packet: bytes, length: int) -> None:
        """The end, an error, or a row that is longer than a packet."""
        self._long.append(packet)
        if length == _LONGEST:
            return
        row = b"".join(self._long)
        first = len(self._long) == 1
        self._long = []
        if first and packet[0] == _ERROR:
            raise Failed(int.from_bytes(packet[1:3], "little"), _message(packet))
        if first and packet[0] == _END and length <= _END_AT_MOST:
            self.ended = True
            return
        try:
            self.rows.append(self._read(row, 0))
        except ValueError as problem:
            self.bad[len(self.rows)] = problem
            self.rows.append(())
        self.size += len(row)
        self._last = row, 0

    def cells(self, first: int, count: int) -> Cells:
        """Some columns of the last row, as text."""
        data, at = self._last
        return read_cells(data, at, first + count)[first:]


def _message(packet: bytes) -> str:
    """Behind the number there may be a state of five letters."""
    text = packet[9:] if packet[3:4] == b"#" else packet[3:]
    return text.decode("utf-8", "replace")


def read_cells(data: bytes, at: int, count: int) -> Cells:
    """The first columns of the row that begins at a place."""
    found: list[bytes | None] = []
    for _ in range(count):
        cell, at = _cell(data, at)
        found.append(cell)
    return tuple(found)


def _cell(data: bytes, at: int) -> tuple[bytes | None, int]:
    length = data[at]
    at += 1
    if length == _NULL:
        return None, at
    if length > _NULL:
        width = _WIDTHS[length]
        length = int.from_bytes(data[at : at + width], "little")
        at += width
    return data[at : at + length], at + length


def read_row(data: bytes, at: int, readers: Sequence[TextReader]) -> Row:
    """A `RowReader` for any columns: what `compile_row` makes for some of them must do the same."""
    cells = read_cells(data, at, len(readers))
    return tuple([None if cell is None else read(cell) for cell, read in zip(cells, readers, strict=True)])


def compile_row(readers: Sequence[TextReader]) -> RowReader:
    """`read_row` for these columns, unrolled; what follows them in the row is not read."""
    lines = ["def read(data, at):"]
    for i in range(len(readers)):
        lines += [
            "    n = data[at]",
            f"    if n < {_NULL}: end = at + 1 + n; v{i} = read{i}(data[at + 1 : end]); at = end",
            f"    else: v{i}, at = longer(data, at, read{i})",
        ]
    lines.append(f"    return ({''.join(f'v{i}, ' for i in range(len(readers)))})")
    known: dict[str, object] = {f"read{i}": read for i, read in enumerate(readers)}
    known["longer"] = _value
    exec("\n".join(lines), known)  # noqa: S102 - the text above with numbers in it, nothing from outside
    return cast("RowReader", known["read"])


def _value(data: bytes, at: int, read: TextReader) -> tuple[Value, int]:
    cell, at = _cell(data, at)
    return None if cell is None else read(cell), at
