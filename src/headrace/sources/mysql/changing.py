"""What a statement of the log means for the tables that are followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from headrace.sources.mysql.ddl import Effect, Kind
from headrace.sources.mysql.setup import Found
from headrace.sources.mysql.tables import Tables


@dataclass(slots=True)
class Outcome:
    """`gone`: captured tables whose rows are no longer there. `fresh`: tables that begin empty. `changed`: captured
    ones that may not be fit to be any more. `copy`: tables whose rows are to be copied."""

    gone: list[str] = field(default_factory=list[str])
    fresh: set[str] = field(default_factory=set[str])
    changed: set[str] = field(default_factory=set[str])
    copy: set[str] = field(default_factory=set[str])

    @property
    def touched(self) -> set[str]:
        return self.fresh | self.changed | self.copy


def outcome(effects: Sequence[Effect], tables: Tables) -> Outcome:
    """Pure: before the catalog is asked."""
    found = Outcome()
    followed = set(tables.captured)

    def leave(table: str) -> None:
        if table in followed:
            found.gone.append(table)
        followed.discard(table)
        for group in (found.fresh, found.changed, found.copy):
            group.discard(table)

    for effect in effects:
        table = effect.table
        match effect.kind:
            case Kind.DROP:
                leave(table)
            case Kind.DROP_DATABASE:
                for each in sorted(t for t in followed | found.touched if t.startswith(table + ".")):
                    leave(each)
            case Kind.RENAME:
                leave(table)
                if tables.wanted(effect.to):
                    found.copy.add(effect.to)
            case Kind.REPLACE:
                leave(table)
                found.fresh.add(table)
                followed.add(table)
            case Kind.CREATE:
                if table not in followed and not tables.muted(table):
                    found.fresh.add(table)
                    followed.add(table)
            case Kind.REFILL:
                if table in followed or tables.muted(table):
                    found.copy.add(table)
            case Kind.ALTER:
                if table in found.fresh:
                    continue
                (found.changed if table in followed else found.copy).add(table)
            case Kind.TRUNCATE:
                pass
    return found


@dataclass(frozen=True, slots=True)
class Settled:
    """After the catalog was asked. `truncated`: tables whose rows are gone for good. `copy`: to be copied now."""

    truncated: tuple[str, ...]
    copy: tuple[Found, ...]
    refused: tuple[Found, ...]
    accepted: tuple[str, ...]


def settle(found: Outcome, catalog: Sequence[Found], tables: Tables) -> Settled:
    """Changes `tables`; the tables to copy are in neither set until they are copied."""
    now = {t.table: t for t in catalog}
    gone = list(found.gone)
    tables.captured.difference_update(gone)
    copy: list[Found] = []
    refused: list[Found] = []
    accepted: list[str] = []
    for table in sorted(found.touched):
        there = now.get(table)
        was_refused = table in tables.refused
        if there is not None and there.refused is not None:
            if table in tables.captured:
                gone.append(table)
                tables.captured.discard(table)
            tables.refused.add(table)
            refused.append(there)
            continue
        tables.refused.discard(table)
        if was_refused:
            accepted.append(table)
        if table in found.copy:
            tables.captured.discard(table)
            if there is not None:
                copy.append(there)
            else:
                # It is another one by now, which a later statement will tell: what it was until then is nobody's.
                tables.refused.add(table)
        else:
            tables.captured.add(table)
    copied = {t.table for t in copy}
    return Settled(tuple(t for t in gone if t not in copied), tuple(copy), tuple(refused), tuple(accepted))
