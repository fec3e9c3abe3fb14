"""Parquet: rows, a batch at a time."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import pyarrow as pa
from pyarrow import parquet

from headrace.knowledge.formats.columns import tabled
from headrace.knowledge.parsed import File, Parsed

_BATCH = 1000


def parse(file: File) -> Parsed:
    try:
        opened = parquet.ParquetFile(io.BytesIO(file.content))
        return tabled(file, opened.schema_arrow.names, _rows(file, opened))
    except (pa.ArrowException, OSError, ValueError) as error:
        got = " ".join(str(error).split())[:200]
        raise file.refused("a Parquet file that is whole", f"a damaged one ({got})", "Write it again.") from None


def _rows(file: File, opened: parquet.ParquetFile) -> Iterator[Sequence[object]]:
    for batch in opened.iter_batches(batch_size=_BATCH):
        file.meter.tick()
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
