"""Writes records, profiles and facts inside one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from headrace.change import START, Position, Stamp
from headrace.link import Link
from headrace.sqlfile import load
from headrace.stores.postgres.components import Record, Unified, unify
from headrace.stores.profiles import Cleared, FactDraft, ProfileChange, RecordDraft
from headrace.stores.values import DEFAULT_TENANT

SQL = load(Path(__file__).with_name("profiles.sql"))
OPERATOR = "profiles"


class PostgresProfileWriter:
    """Implements `headrace.stores.profiles.ProfileWriter` on a link whose transaction the caller holds."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def apply(self, changes: Sequence[ProfileChange]) -> None:
        for kind, run in groupby(changes, key=type):
            if kind is RecordDraft:
                await self._records([c for c in run if isinstance(c, RecordDraft)])
            elif kind is FactDraft:
                await self._facts([c for c in run if isinstance(c, FactDraft)])
            else:
                for cleared in run:
                    assert isinstance(cleared, Cleared)
                    await self._clear(cleared)

    async def _clear(self, cleared: Cleared) -> None:
        major, minor = cleared.stamp.position
        args = {"tenant": DEFAULT_TENANT, "topic": cleared.topic, "major": major, "minor": minor}
        await self._link.execute(SQL["close_topic_facts"], {**args, "at": cleared.stamp.committed_at})
        cursor = await self._link.execute(SQL["topic_records"], args)
        gone = [RecordDraft(row[0], cleared.topic, cleared.stamp, (), None) for row in await cursor.fetchall()]
        await self._records(gone)

    # ---- records and the profiles they make --------------------------------------------------------------------------

    async def _records(self, drafts: Sequence[RecordDraft]) -> None:
        newest = {d.id: d for d in drafts}
        old, present = await self._around(list(newest), sorted({i for d in newest.values() for i in d.identifiers}))
        fresh = [d for d in newest.values() if _supersedes(d, old.get(d.id))]
        if not fresh:
            return
        new = old | {d.id: Record(d.id, d.topic, d.stamp, d.identifiers, d.fields, None) for d in fresh}
        profiles = unify(new.values())
        await self._save_records(old, new, profiles, {d.id for d in fresh})
        await self._save_profiles(present, profiles, fresh)

    async def _around(
        self, records: Sequence[str], identifiers: Sequence[str]
    ) -> tuple[dict[str, Record], dict[str, Unified]]:
        """Records by id and what they are connected with, and the present profiles of all of them."""
        args = {"tenant": DEFAULT_TENANT, "records": list(records), "identifiers": list(identifiers)}
        found: dict[str, Record] = {}
        present: dict[str, Unified] = {}
        for row in await (await self._link.execute(SQL["connected"], args)).fetchall():
            record, major, minor, at, profile, ids, fields, source, topic, all_ids, all_records, all_fields = row
            stamp = Stamp(source, Position(major, minor), at)
            found[record] = Record(record, topic, stamp, tuple(ids), fields, profile)
            if profile and all_ids is not None:
                unified = Unified(profile, tuple(all_ids), tuple(all_records), dict(sorted(all_fields.items())))
                present[profile] = unified
        return found, present

    async def _save_records(
        self, old: Mapping[str, Record], new: Mapping[str, Record], profiles: Sequence[Unified], changed: set[str]
    ) -> None:
        owner = {record: p.id for p in profiles for record in p.records}
        moved = [r for r in new.values() if r.id in changed or r.profile != owner.get(r.id)]
        await self._link.execute(
            SQL["save_records"],
            _rows(
                {
                    "record": r.id,
                    "topic": r.topic,
                    **_at(r.stamp),
                    "profile": owner.get(r.id),
                    "identifiers": r.identifiers,
                    "fields": r.fields,
                }
                for r in moved
            ),
        )
        rewired = [r for r in moved if _wiring(old.get(r.id), None) != _wiring(r, owner.get(r.id))]
        if rewired:
            await self._save_identifiers(rewired, owner)

    async def _save_identifiers(self, records: Sequence[Record], owner: Mapping[str, str]) -> None:
        ids = [r.id for r in records]
        await self._link.execute(SQL["forget_identifiers"], {"tenant": DEFAULT_TENANT, "records": ids})
        pairs = [(i, r.id, owner[r.id]) for r in records if r.id in owner for i in r.identifiers]
        if pairs:
            args = {"identifiers": [p[0] for p in pairs], "records": [p[1] for p in pairs]}
            args["profiles"] = [p[2] for p in pairs]
            await self._link.execute(SQL["save_identifiers"], {"tenant": DEFAULT_TENANT, **args})

    async def _save_profiles(
        self, present: Mapping[str, Unified], profiles: Sequence[Unified], fresh: Sequence[RecordDraft]
    ) -> None:
        now = {p.id: p for p in profiles}
        newest = max((d.stamp for d in fresh), key=lambda s: s.committed_at)
        stamps = {d.id: d.stamp for d in fresh}
        ended = [p for p in present.values() if now.get(p.id) != p]
        begun = [p for p in now.values() if present.get(p.id) != p]
        causes = {p.id: _cause(p, stamps, newest) for p in begun}
        if ended:
            ends = _rows({"profile": p.id, **_at(causes.get(p.id) or _cause(p, stamps, newest))} for p in ended)
            await self._link.execute(SQL["close_profiles"], {**ends, "profiles": [p.id for p in ended]})
        if begun:
            rows = _rows(
                {
                    "profile": p.id,
                    **_at(causes[p.id]),
                    "identifiers": p.identifiers,
                    "records": p.records,
                    "fields": p.fields,
                }
                for p in begun
            )
            await self._link.execute(SQL["add_profiles"], rows)

    # ---- facts -------------------------------------------------------------------------------------------------------

    async def _facts(self, drafts: Sequence[FactDraft]) -> None:
        newest = {d.id: d for d in drafts}
        args = {"tenant": DEFAULT_TENANT, "facts": list(newest)}
        cursor = await self._link.execute(SQL["known_facts"], args)
        known = {fact: (Position(*pair), there) for fact, pair, there in await cursor.fetchall()}
        fresh = [d for d in newest.values() if _is_newer(d, *known.get(d.id, (START, False)))]
        if not fresh:
            return
        if any(d.id in known for d in fresh):
            ends = _rows({"fact": d.id, **_at(d.stamp)} for d in fresh)
            await self._link.execute(SQL["close_facts"], {**ends, "facts": [d.id for d in fresh]})
        live = [d for d in fresh if d.fields is not None]
        if live:
            rows = _rows(
                {
                    "fact": d.id,
                    "topic": d.topic,
                    **_at(d.stamp),
                    "owners": d.owners,
                    "ordering": d.order,
                    "happens": d.time,
                    "fields": d.fields,
                    "text": d.text,
                }
                for d in live
            )
            await self._link.execute(SQL["add_facts"], rows)


def _supersedes(draft: RecordDraft, record: Record | None) -> bool:
    """Newer, or a later try at the change whose failure took the record away."""
    if record is None:
        return draft.fields is not None
    again = record.fields is None and draft.fields is not None and draft.stamp.position == record.stamp.position
    return draft.stamp.position > record.stamp.position or again


def _is_newer(draft: FactDraft, known: Position, there: bool) -> bool:
    again = not there and draft.fields is not None and draft.stamp.position == known
    return draft.stamp.position > known or again


def _wiring(record: Record | None, profile: str | None) -> tuple[tuple[str, ...], str | None]:
    """What stands in the table of identifiers for a record: nothing while it belongs to no profile."""
    profile = profile or (record.profile if record else None)
    return (record.identifiers, profile) if record and profile and record.fields is not None else ((), None)


def _cause(profile: Unified, stamps: Mapping[str, Stamp], otherwise: Stamp) -> Stamp:
    """The newest of the batch's changes that made this version; a split-off part takes the batch's newest."""
    own = [stamps[r] for r in profile.records if r in stamps]
    return max(own, key=lambda s: s.committed_at) if own else otherwise


def _at(stamp: Stamp) -> dict[str, str | int]:
    return {
        "source": stamp.source,
        "major": stamp.position.major,
        "minor": stamp.position.minor,
        "at": stamp.committed_at,
    }


def _rows(rows: Iterable[Mapping[str, object]]) -> dict[str, Any]:
    """Rows as one JSON parameter: many arrays cost more to send than the rows cost to write."""
    return {"tenant": DEFAULT_TENANT, "rows": msgspec.json.encode(list(rows)).decode()}
