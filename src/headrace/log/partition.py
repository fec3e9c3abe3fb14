"""Which partition a key belongs to."""

from __future__ import annotations

import zlib

from headrace.change import Row, key_text


def partition_of(key: Row, partitions: int) -> int:
    """A key's partition, the same in every process and version. A truncate (no key) goes to the first."""
    if partitions == 1 or not key:
        return 0
    return zlib.crc32(key_text(key).encode("utf-8", "surrogateescape")) % partitions
