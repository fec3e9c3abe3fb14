"""Connected components of records over shared identifiers: pure, and the same in whatever order changes came."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from headrace.change import Stamp
from headrace.stores.values import JSON, Object


@dataclass(frozen=True, slots=True)
class Record:
    """A record as stored; `fields` None: deleted."""

    id: str
    topic: str
    stamp: Stamp
    identifiers: tuple[str, ...]
    fields: Object | None
    profile: str | None


@dataclass(frozen=True, slots=True)
class Unified:
    """A profile made of records: its content, without time."""

    id: str
    identifiers: tuple[str, ...]
    records: tuple[str, ...]
    fields: Object


def unify(records: Iterable[Record]) -> list[Unified]:
    """One profile for each component of live records that share identifiers, ordered by id."""
    live = {r.id: r for r in records if r.fields is not None}
    parent = {id: id for id in live}

    def root(id: str) -> str:
        while parent[id] != id:
            parent[id] = parent[parent[id]]
            id = parent[id]
        return id

    first: dict[str, str] = {}
    for record in live.values():
        for identifier in record.identifiers:
            other = first.setdefault(identifier, record.id)
            parent[root(record.id)] = root(other)
    groups: dict[str, list[Record]] = {}
    for record in live.values():
        groups.setdefault(root(record.id), []).append(record)
    return sorted((_profile(g) for g in groups.values()), key=lambda p: p.id)


def profile_id(first_record: str) -> str:
    """A profile is named after the first of its records, so that a fresh build gives the same names."""
    return "p_" + hashlib.sha256(first_record.encode()).hexdigest()[:20]


def _profile(records: Sequence[Record]) -> Unified:
    ids = sorted(r.id for r in records)
    identifiers = sorted({i for r in records for i in r.identifiers})
    return Unified(profile_id(ids[0]), tuple(identifiers), tuple(ids), survivors(records))


def survivors(records: Sequence[Record]) -> Mapping[str, JSON]:
    """For each field the value of the record that was committed last and has one; by id where times are equal."""
    fields: dict[str, JSON] = {}
    for record in sorted(records, key=lambda r: (r.stamp.committed_at, r.id)):
        fields |= {name: value for name, value in (record.fields or {}).items() if value is not None}
    return dict(sorted(fields.items()))
