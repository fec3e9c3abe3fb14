"""`headrace verify`: the index against the log, the log against what can be asked, and what differs put right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from headrace.errors import BadRequest, SourceError
from headrace.knowledge.operator import KNOWLEDGE, Knowledge
from headrace.knowledge.report import SHOWN, Difference, Kind, Progress, Report, Telling
from headrace.knowledge.restoring import Restoring
from headrace.knowledge.standing import WAIT_MS, Standing
from headrace.knowledge.verifying import MOST, Found, Verification
from headrace.log import Log
from headrace.operators import Progress as Reached
from headrace.sources import Comparable, Snapshotting, Source
from headrace.stores import Store
from headrace.stores.stock import StoredDocument

Tell = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Ask:
    """`repair`: put right what differs, then look again. `source`: also hold it against the sources that can be asked.
    `shown`: so many documents are named."""

    repair: bool = False
    source: bool = True
    shown: int = SHOWN


class NoWork:
    """Implements `headrace.stores.stock.WorkCache`: what stands in the store is what is in doubt."""

    async def vectors(self, text_hashes: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        del text_hashes
        return {}

    async def stored(self, document: str) -> StoredDocument | None:
        del document
        return None


class Verifier:
    """One verification at a time. `knowledge` takes no vectors from the store; `turn` is its operator's, one batch is
    applied at a time; `live` says whether sources are being read."""

    def __init__(
        self,
        knowledge: Knowledge,
        log: Log,
        store: Store,
        sources: Mapping[str, Source],
        reached: Reached,
        turn: asyncio.Lock,
        live: Callable[[], bool],
        most: int = MOST,
    ) -> None:
        self._knowledge = knowledge
        self._log = log
        self._store = store
        self._sources = sources
        self._reached = reached
        self._turn = turn
        self._live = live
        self._most = most
        self.running: Progress | None = None
        """How far the one is that runs."""
        self.last: Report | None = None

    async def run(self, ask: Ask, tell: Tell) -> Report:
        """Raises BadRequest while another one runs."""
        self.check_free()
        self.running = Progress("starting", 0, None, 0.0, None)
        try:
            self.last = await self._run(ask, Telling(lambda p: self._told(p, tell)))
            return self.last
        finally:
            self.running = None

    def check_free(self) -> None:
        """Raises BadRequest while one runs."""
        if self.running is not None:
            raise BadRequest(
                step="verify the index",
                expected="one verification at a time",
                got="one that runs already",
                remedy="See GET /v1/verify for how far it is.",
            )

    def _told(self, progress: Progress, tell: Tell) -> None:
        self.running = progress
        tell(progress)

    async def _run(self, ask: Ask, telling: Telling) -> Report:
        began = monotonic()
        found, beside = await self._look(ask, telling)
        repaired = 0
        if ask.repair and (found.differences or found.index or beside):
            restoring = Restoring(self._knowledge, self._log, self._store, self._turn, telling)
            repaired = await restoring.run(found) + await self._read_again(beside)
            found, beside = await self._look(ask, telling)
        every = [*found.differences.values(), *beside]
        every.sort(key=lambda d: d.document)
        tallies = [found.tallies[s] for s in sorted(found.tallies)]
        shown = every[: ask.shown]
        return Report(tallies, shown, len(every) - len(shown), found.index, repaired, monotonic() - began)

    async def _look(self, ask: Ask, telling: Telling) -> tuple[Found, list[Difference]]:
        """What differs from the log, and what from the sources beside that."""
        async with self._store.snapshot() as snapshot:
            found = await Verification(self._knowledge, self._log, list(self._sources), telling, self._most).run(
                snapshot
            )
        beside: list[Difference] = []
        for source in self._sources.values() if ask.source else ():
            beside += await self._beside(source, found, telling)
        return found, beside

    async def _beside(self, source: Source, found: Found, telling: Telling) -> list[Difference]:
        tally = found.tally(source.name)
        if not isinstance(source, Comparable):
            if tally.documents and isinstance(source, Snapshotting):
                tally.notes.append("its tables are held against the database by `headrace snapshot`")
            return []
        live = self._live()
        try:
            compared = await Standing(self._store, self._reached, telling, live=live).compare(source)
        except SourceError as error:
            tally.notes.append(f"it could not be asked: {error}")
            return []
        tally.compared = compared.documents
        if compared.changing:
            tally.notes.append(f"{compared.changing} documents changed whenever they were looked at, and are left out")
        beside = [d for d in compared.differences if d.document not in found.differences]
        if beside and not live:
            tally.notes.append("Headrace is not running: what was changed since it stopped has not been captured yet")
        for d in beside:
            tally.missing += d.kind is Kind.MISSING
            tally.different += d.kind is Kind.DIFFERENT
            tally.ghost += d.kind is Kind.GHOST
            tally.documents += d.kind is Kind.MISSING
        return beside

    async def _read_again(self, differences: Sequence[Difference]) -> int:
        """Lets the sources read again what the log does not have as it stands there; how many will come."""
        if not self._live():
            return 0
        count = 0
        asked: list[Comparable] = []
        for d in differences:
            source = self._sources[d.source]
            if isinstance(source, Comparable) and await source.retry(d.topic, d.document.removeprefix(d.source + "/")):
                count += 1
                asked.append(source)
        for source in {s.name: s for s in asked}.values():
            await self._reached.wait({source.name: {KNOWLEDGE: await source.head()}}, WAIT_MS)
        return count
