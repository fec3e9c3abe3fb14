"""Which column of a table's new shape is which of its old one: kept values stay with their column. Pure.

A column's large values are kept under a label: its first name. The stream tells columns by name and in order, and a
rename looks like a drop and an add. What the catalog numbers is certain: all columns, where it shows those that the
stream does; otherwise (it is ahead) the first ones of the old shape, as far as it still has them. For the rest, names
count where their order allows it: a rename keeps a column's place, and an added one comes last.

To take a dropped column for a renamed one does no harm: a value that is left out of an update was sent before, after
the column was added, and has replaced what was kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from headrace.sources.postgres.pgoutput import Relation, RelationColumn
from headrace.sources.postgres.values import TEXT, VARCHAR

_TEXT_ARRAY, _VARCHAR_ARRAY = 1009, 1015
_SAME_BYTES = {VARCHAR: TEXT, _VARCHAR_ARRAY: _TEXT_ARRAY}
"""Between these no value is written again."""


class Labelled(msgspec.Struct, frozen=True, array_like=True):
    """A column as last seen. `number` is 0 where the catalog did not tell."""

    name: str
    type: int
    label: str
    number: int


class Columns(msgspec.Struct, frozen=True, array_like=True):
    """A table's columns in order. `oid`: a table that was dropped and made again is another one. `made` counts labels
    after the first ones: none is given out twice, or it could show values of before."""

    oid: int
    columns: list[Labelled]
    made: int = 0

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(c.label for c in self.columns)

    def fits(self, relation: Relation) -> bool:
        return [(c.name, c.type) for c in self.columns] == [(c.name, c.type) for c in relation.columns]


Catalog = Sequence[tuple[str, int]]
"""The columns that are published now, in order: name and number."""


def _numbers(relation: Relation, catalog: Catalog) -> dict[str, int]:
    """The numbers of the relation's columns, when the catalog shows these columns."""
    return dict(catalog) if [name for name, _ in catalog] == [c.name for c in relation.columns] else {}


def first(relation: Relation, catalog: Catalog) -> Columns:
    known = _numbers(relation, catalog)
    return Columns(relation.oid, [Labelled(c.name, c.type, c.name, known.get(c.name, 0)) for c in relation.columns])


def carried(old: Columns, relation: Relation, catalog: Catalog) -> Columns:
    """The relation's columns, each with the label of the column that it was."""
    if old.oid != relation.oid:
        return first(relation, catalog)
    known = _numbers(relation, catalog)
    pairs = _by_number(old.columns, known) if known and all(c.number for c in old.columns) else None
    if pairs is None:
        names = [c.name for c in relation.columns]
        sure = min(_still_there(old.columns, catalog), len(names))
        rest = _by_order([c.name for c in old.columns[sure:]], names[sure:])
        pairs = {**{name: i for i, name in enumerate(names[:sure])}, **{n: i + sure for n, i in rest.items()}}
    kept = {new: old.columns[at] for new, at in pairs.items()}
    labels = set(old.labels)
    made, columns = old.made, list[Labelled]()
    for column in relation.columns:
        was = kept.get(column.name)
        if was is None or not _same_bytes(was, column):
            made += 1
            label = f"{column.name}~{made}"
            while label in labels:  # a first name may look like this
                label += "~"
            labels.add(label)
        else:
            label = was.label
        columns.append(Labelled(column.name, column.type, label, known.get(column.name, 0)))
    return Columns(relation.oid, columns, made)


def _same_bytes(was: Labelled, now: RelationColumn) -> bool:
    """Another type means other values, which are not sent when the type changes."""
    return _SAME_BYTES.get(was.type, was.type) == _SAME_BYTES.get(now.type, now.type)


def _by_number(old: Sequence[Labelled], known: Mapping[str, int]) -> dict[str, int]:
    at = {column.number: i for i, column in enumerate(old)}
    return {name: at[number] for name, number in known.items() if number in at}


def _still_there(old: Sequence[Labelled], catalog: Catalog) -> int:
    """How many of the first old columns exist now, and so did all the time."""
    now = {number for _, number in catalog}
    return next((i for i, column in enumerate(old) if column.number not in now), len(old))


def _by_order(old: Sequence[str], new: Sequence[str]) -> dict[str, int]:
    """New name -> place among the old ones."""
    common = [name for name in new if name in old]
    if common != [name for name in old if name in new]:
        return {}
    pairs: dict[str, int] = {}
    gone: list[int] = []
    come: list[str] = []
    ahead = iter(common)
    anchor = next(ahead, None)
    i = j = 0
    while anchor is not None:
        while old[i] != anchor:
            gone.append(i)
            i += 1
        while new[j] != anchor:
            come.append(new[j])
            j += 1
        if len(gone) == len(come):
            pairs.update(zip(come, gone, strict=True))
        pairs[anchor] = i
        gone, come = [], []
        i, j = i + 1, j + 1
        anchor = next(ahead, None)
    gone, come = list(range(i, len(old))), list(new[j:])
    if len(gone) == 1 or len(gone) == len(come):
        pairs.update(zip(come, gone, strict=False))
    return pairs
