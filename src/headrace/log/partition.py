"""Which partitions changes belong to, and how a source's order comes back from them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

from headrace.change import Change, Op, Row, key_text, runs


def partition_of(key: Row, partitions: int) -> int:
    """A key's partition, the same in every process and version. A truncate (no key) goes to the first."""
    if partitions == 1 or not key:
        return 0
    return zlib.crc32(key_text(key).encode("utf-8", "surrogateescape")) % partitions


def split(changes: Sequence[Change], partitions: Mapping[str, int]) -> list[tuple[str, int, list[Change]]]:
    """Changes by topic and partition, each in order; a truncate stands in every partition of its topic."""
    parts: dict[tuple[str, int], list[Change]] = {}
    for schema, run in runs(changes):
        topic, count = schema.topic, partitions[schema.topic]
        if count == 1:
            parts.setdefault((topic, 0), []).extend(run)
            continue
        for change in run:
            for n in range(count) if change.op is Op.TRUNCATE else (partition_of(change.key, count),):
                parts.setdefault((topic, n), []).append(change)
    return [(topic, n, group) for (topic, n), group in parts.items()]


def once(changes: Sequence[Change]) -> list[Change]:
    """A source's changes by position, as those see them who read all partitions: a truncate once."""
    return [c for i, c in enumerate(changes) if not (i and c.op is Op.TRUNCATE and changes[i - 1] == c)]
