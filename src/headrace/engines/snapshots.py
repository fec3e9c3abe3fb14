"""Snapshots on demand: which source a request is for, and what the log holds for it to compare with."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence

from headrace.change import Change
from headrace.errors import BadRequest, NotFound
from headrace.log import Log
from headrace.sources import SnapshotJob, Snapshotting, Source

PAGE = 8000


class LogKnown:
    """Implements `headrace.sources.Known`."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def partitions(self, topic: str) -> tuple[Sequence[int], bool]:
        extents = [t for t in await self._log.topics() if t.topic == topic]
        return [t.partition for t in extents], all(t.first == 0 for t in extents)

    async def known(self, topic: str, partition: int) -> AsyncGenerator[Sequence[Change]]:
        extents = [t for t in await self._log.topics() if t.topic == topic and t.partition == partition]
        for extent in extents:
            offset = extent.first
            while offset < extent.next:
                found = await self._log.read(topic, partition, offset, PAGE)
                if not found:
                    return
                yield [x.change for x in found]
                offset = found[-1].offset + 1


def all_jobs(sources: Iterable[Source]) -> list[SnapshotJob]:
    """Of every source that can, in the order in which they were asked for."""
    jobs = [j for s in sources if isinstance(s, Snapshotting) for j in s.snapshots]
    return sorted(jobs, key=lambda j: j.started_at)


async def ask(sources: Mapping[str, Source], tables: str, first: str | None, last: str | None) -> Sequence[SnapshotJob]:
    """`tables`: source.schema.table, the last two perhaps a pattern. Raises as `Snapshotting` does."""
    names = [n for n in sources if tables.startswith(n + ".")]
    if not names:
        raise NotFound(
            step="read a table again",
            expected="source.schema.table of one of the sources " + ", ".join(sources),
            got=tables[:200],
            remedy="Name it as /v1/status lists the topics.",
        )
    name = max(names, key=len)
    return await _snapshotting(sources[name]).snapshot_again(tables[len(name) + 1 :], first, last)


async def cancel(sources: Mapping[str, Source], id: str) -> SnapshotJob:
    """`id` as `shown_id` gives it. Raises as `Snapshotting` does."""
    name, _, number = id.rpartition("-")
    if name not in sources:
        raise NotFound(
            step="cancel a snapshot",
            expected="the id of one that waits or runs",
            got=id[:200],
            remedy="See headrace snapshot.",
        )
    return await _snapshotting(sources[name]).cancel_snapshot(number)


def shown_id(job: SnapshotJob) -> str:
    """Unique over all sources."""
    return f"{job.source}-{job.id}"


def _snapshotting(source: Source) -> Snapshotting:
    if not isinstance(source, Snapshotting):
        raise BadRequest(
            step="read a table again",
            expected="a source of tables that can be read beside its stream",
            got=f"{source.name}, which is of kind {source.kind}",
            remedy="A folder is compared with what is known of it at every start.",
        )
    return source
