"""Keys in statements: literals that mean exactly one value, and comparisons in the order of an index. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from struct import Struct
from typing import Literal

from headrace.change import Value
from headrace.sources.mysql.setup import quoted_name

_float32 = Struct("<f")
_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "bit"})
_FLOATS = frozenset({"float", "double"})
_CHOICES = frozenset({"enum", "set"})
_CASTS = {
    "date": "DATE", "datetime": "DATETIME(6)", "timestamp": "DATETIME(6)", "time": "TIME(6)", "uuid": "UUID",
    "inet6": "INET6", "inet4": "INET4",
}  # fmt: skip
_BYTES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """A column of the primary key, with its type as the schema names it."""

    name: str
    type: str

    @property
    def base(self) -> str:
        return self.type.removesuffix(" unsigned")

    @property
    def is_text(self) -> bool:
        known = _INTEGERS | _FLOATS | _BYTES | _CASTS.keys() | {"decimal", "year"}
        return self.base not in known

    @property
    def quoted(self) -> str:
        return quoted_name(self.name)

    @property
    def ordered(self) -> str:
        """What is selected to go on behind a row: ENUM and SET are in the order of their numbers, not of their text."""
        if self.base in _CHOICES or self.base == "bit":
            return f"{self.quoted} + 0"
        return f"{self.quoted} * 1e0" if self.base == "float" else self.quoted

    def cell(self, cell: bytes) -> str:
        """What `ordered` gave, as a literal."""
        if self.base in _INTEGERS or self.base in _CHOICES or self.base == "decimal":
            return cell.decode("ascii")
        if self.base in _FLOATS:
            return self._float(float(cell))
        if self.base in _BYTES:
            return f"x'{cell.hex()}'"
        if self.base in _CASTS or self.base == "year":
            return f"'{cell.decode('ascii')}'"
        return f"_utf8mb4 x'{cell.hex()}'"

    def value(self, value: Value) -> str:
        """A value as changes have it, as a literal to be compared for equality."""
        if isinstance(value, bytes):
            return f"x'{value.hex()}'"
        if isinstance(value, float):
            return self._float(value)
        if self.base == "year":
            return f"'{value:04d}'"
        text = str(value)
        return f"_utf8mb4 x'{text.encode().hex()}'" if self.base in _CHOICES else self.cell(text.encode())

    def bound(self, text: str) -> str:
        """A bound as a person writes it (as a document's id has it). Raises ValueError."""
        if self.base in _CHOICES:
            raise ValueError(f"{self.name} is of type {self.base}, whose order is not that of its text")
        if self.base in _INTEGERS or self.base == "year":
            return f"'{int(text):04d}'" if self.base == "year" else str(int(text))
        if self.base == "decimal":
            try:
                return f"{Decimal(text):f}"
            except InvalidOperation:
                raise ValueError(f"{text!r} is not a number") from None
        if self.base in _FLOATS:
            return self._float(float(text))
        if self.base in _BYTES:
            if not text.startswith("\\x"):
                raise ValueError(f"{text!r} is not written as \\x and hexadecimal digits")
            return f"x'{bytes.fromhex(text[2:]).hex()}'"
        return self.typed(f"_utf8mb4 x'{text.encode().hex()}'")

    def typed(self, literal: str) -> str:
        """Of the column's type also where no column stands beside it."""
        cast = _CASTS.get(self.base)
        return literal if cast is None else f"CAST({literal} AS {cast})"

    def _float(self, value: float) -> str:
        """A FLOAT is compared as the double that it is, not as the one that it reads like."""
        if self.base == "float":
            (value,) = _float32.unpack(_float32.pack(value))
        text = repr(value)
        return text if "e" in text else f"{text}e0"


def compare(columns: Sequence[str], operator: Literal[">", ">=", "<="], literals: Sequence[str]) -> str:
    """Columns (or expressions) against values, as rows compare; there may be fewer values. Written so that an index on
    the columns serves it, which a comparison of rows is not."""
    column, literal = columns[0], literals[0]
    if len(literals) == 1:
        return f"{column} {operator} {literal}"
    strict = operator[0]
    rest = compare(columns[1:], operator, literals[1:])
    return f"{column} {strict}= {literal} AND ({column} {strict} {literal} OR ({rest}))"


def one_of(columns: Sequence[KeyColumn], keys: Sequence[Sequence[Value]], *, wide: bool = False) -> str:
    """A condition for the rows of some keys; it may hold for others that only a collation calls equal. Not with IN for
    rows: MariaDB finds nothing by it where character sets differ. `wide`: also for text that a column's character set
    has not; no index serves it then."""
    names = [f"CONVERT({c.quoted} USING utf8mb4)" if wide and c.is_text else c.quoted for c in columns]
    if len(columns) == 1:
        return f"{names[0]} IN ({', '.join(columns[0].value(v) for (v,) in keys)})"
    each = (" AND ".join(f"{n} = {c.value(v)}" for n, c, v in zip(names, columns, key, strict=True)) for key in keys)
    return " OR ".join(f"({row})" for row in each)
