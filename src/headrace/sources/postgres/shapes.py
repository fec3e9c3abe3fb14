"""How the rows of each table are read: one shape per relation as the stream describes it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from sys import maxsize
from typing import cast

from headrace.change import Column, Row, Schema, Value
from headrace.sources.postgres.lines import LineReader, compile_line
from headrace.sources.postgres.pgoutput import Relation, RowReader, TupleReader, compile_row, compile_tuple
from headrace.sources.postgres.values import Reader, Type, unknown

_TOAST_THRESHOLD = 2000
"""A row of at most about 2 kB (TOAST_TUPLE_THRESHOLD, 2032 with 8 kB pages) is stored whole."""
_ROW_HEADER = 32
_ALIGNMENT = 8
_POINTER = 20
"""No value of at most this many bytes is stored out of line: a pointer to it would be no smaller."""


@dataclass(frozen=True, slots=True)
class Shape:
    """`key_at`: where the key's columns stand in a row. `keyed`: they are a key; otherwise the whole row stands for it.
    `whole`: old rows come complete, so nothing need be kept.

    A row whose message is at most `small` bytes has no value out of line. `large` lists the columns whose values can
    be, each with the bytes of text from which on that is possible.
    """

    relation: Relation
    schema: Schema
    readers: tuple[Reader, ...]
    read: TupleReader
    read_row: RowReader
    read_line: LineReader
    key_at: tuple[int, ...]
    key: Callable[[Row], Row]
    keyed: bool
    whole: bool
    small: int
    large: tuple[tuple[int, int], ...]

    def only_key(self, key: Row) -> Row:
        """A row of which nothing but the key is known."""
        row: list[Value] = [None] * len(self.relation.columns)
        for i, value in zip(self.key_at, key, strict=True):
            row[i] = value
        return tuple(row)


class Shapes:
    """Makes shapes of relations; equal schemas are one object. `types` grows as types are met."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._types: dict[int, Type] = {}
        self._primary_keys: dict[int, tuple[str, ...]] = {}
        self._hidden: set[int] = set()
        self._schemas: dict[Schema, Schema] = {}

    def know(self, oid: int, primary_key: tuple[str, ...], *, hidden: bool) -> None:
        """What the stream does not say of a table: its primary key and whether a row's message does not tell
        if it may be stored out of line."""
        self._primary_keys[oid] = primary_key
        (self._hidden.add if hidden else self._hidden.discard)(oid)

    def missing(self, relations: Iterable[Relation]) -> set[int]:
        """Types that are to be looked up before these relations can be read."""
        return {column.type for relation in relations for column in relation.columns} - self._types.keys()

    def learn(self, asked: Iterable[int], found: Mapping[int, Type]) -> None:
        """The answer to `missing`: a type that was not found reads as text."""
        for oid in asked:
            self._types[oid] = found.get(oid) or unknown(oid)

    def of(self, relation: Relation) -> Shape:
        """Every type of the relation must be known."""
        types = [self._types[column.type] for column in relation.columns]
        whole = relation.identity == "f"
        key_at = self._key(relation)
        schema = Schema(
            self._source,
            relation.table,
            tuple(Column(c.name, t.name) for c, t in zip(relation.columns, types, strict=True)),
            tuple(relation.columns[i].name for i in key_at),
        )
        readers = tuple(t.reader for t in types)
        read = compile_tuple(readers)
        large = tuple((i, _POINTER // t.expansion) for i, t in enumerate(types) if t.size == -1)
        return Shape(
            relation,
            self._schemas.setdefault(schema, schema),
            readers,
            read,
            compile_row(readers, read),
            compile_line(readers),
            key_at,
            _picker(key_at),
            not whole or bool(self._primary_keys.get(relation.oid)),
            whole,
            maxsize if whole or not large else self._small(relation, types),
            () if whole else large,
        )

    def _key(self, relation: Relation) -> tuple[int, ...]:
        """FULL marks every column as identity: there the primary key is what the catalog said, if it still fits."""
        if relation.identity == "f":
            places = {c.name: i for i, c in enumerate(relation.columns)}
            primary = self._primary_keys.get(relation.oid, ())
            if primary and all(name in places for name in primary):
                return tuple(places[name] for name in primary)
        return tuple(i for i, c in enumerate(relation.columns) if c.identity)

    def _small(self, relation: Relation, types: Sequence[Type]) -> int:
        if relation.oid in self._hidden:
            return 0
        fixed = sum(max(t.size, 0) + _ALIGNMENT for t in types)
        room = _TOAST_THRESHOLD - _ROW_HEADER - fixed
        return max(0, room // max(t.expansion for t in types if t.size == -1))


def _picker(places: tuple[int, ...]) -> Callable[[Row], Row]:
    """Takes some columns out of a row, as a tuple also when it is one."""
    if not places:
        return lambda _: ()
    first, last = places[0], places[-1]
    if last - first == len(places) - 1:
        return cast("Callable[[Row], Row]", itemgetter(slice(first, last + 1)))
    return cast("Callable[[Row], Row]", itemgetter(*places))
