"""Packs postings: new chunks into a segment, small segments into larger ones, the dead left out.

A log-structured merge: searching reads one row for each term and segment, so segments must be few, and merging must
not rewrite everything each time, so only segments of similar size are merged.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from psycopg import AsyncConnection, AsyncServerCursor

from headrace.sqlfile import load
from headrace.stores.postgres.lexical import Ids, Postings, Recent
from headrace.stores.values import DEFAULT_TENANT

SQL = load(Path(__file__).with_name("compact.sql"))
PACK_AT = 256
"""So many unpacked chunks make a segment; fewer are read one by one at every search."""
PACK_MOST = 5_000
PART = 4_000
"""Rows of a merge at once."""
FAN_IN = 4
DEAD_SHARE = 0.1
TENANT = {"tenant": DEFAULT_TENANT}

PackedRow = tuple[int, bytes, bytes, bytes]


async def compact(connection: AsyncConnection[Any]) -> bool:
    """Does what is due, one step in one transaction; whether anything was due."""
    row = await (await connection.execute(SQL["recent_count"], TENANT)).fetchone()
    if row and row[0] >= PACK_AT:
        await _pack(connection)
        return True
    segments = await (await connection.execute(SQL["segments"], TENANT)).fetchall()
    dead = [r[0] for r in await (await connection.execute(SQL["dead"], TENANT)).fetchall()]
    everything = len(dead) > max(PACK_AT, DEAD_SHARE * sum(n for _, n in segments))
    chosen = [s for s, _ in segments] if everything else similar(segments)
    if chosen:
        chunks = sum(n for s, n in segments if s in chosen) - (len(dead) if everything else 0)
        await _merge(connection, chosen, dead, max(chunks, 1), bury=everything)
        return True
    return False


def similar(segments: Sequence[tuple[int, int]]) -> list[int]:
    """The smallest segments that are due to be merged: FAN_IN or more, each within FAN_IN times of the next smaller.

    `segments`: (segment, chunks), ascending by chunks.
    """
    run: list[int] = []
    smallest = 0
    for segment, chunks in segments:
        if run and chunks > smallest * FAN_IN:
            if len(run) >= FAN_IN:
                break
            run = []
        if not run:
            smallest = max(chunks, 1)
        run.append(segment)
    return run if len(run) >= FAN_IN else []


async def _pack(connection: AsyncConnection[Any]) -> None:
    async with connection.transaction():
        async with connection.cursor(binary=True) as cursor:  # what the server sent is let go of before it is written
            await cursor.execute(SQL["take_recent"], {**TENANT, "limit": PACK_MOST})
            rows = await cursor.fetchall()
        recent = [Recent(i, np.frombuffer(t, "<i8"), np.frombuffer(c, "<u2"), n) for i, t, c, n in rows]
        if recent:
            segment = await _segment(connection, len(recent))
            await _write(connection, segment, await asyncio.to_thread(Postings.of, recent))


async def _merge(
    connection: AsyncConnection[Any], segments: list[int], dead: list[int], chunks: int, *, bury: bool
) -> None:
    """In parts of some terms each: all that segments hold would take many times their room. `chunks`: about so many
    are left, by which it is judged what is merged next."""
    buried, left = np.array(dead, np.int64), False
    async with connection.transaction():
        segment = await _segment(connection, chunks)
        async with connection.cursor("merged", binary=True) as cursor:
            await cursor.execute(SQL["segment_postings"], {**TENANT, "segments": segments})
            async for rows in _by_term(cursor):
                postings = await asyncio.to_thread(_of_rows, rows, buried)
                left = left or len(postings.ids) > 0
                await _write(connection, segment, postings)
        gone = segments if left else [*segments, segment]  # all of them may be dead
        await connection.execute(SQL["drop_segments"], {**TENANT, "segments": gone})
        if bury:
            await connection.execute(SQL["bury"], {**TENANT, "ids": dead})


async def _by_term(cursor: AsyncServerCursor[Any]) -> AsyncIterator[list[PackedRow]]:
    """Rows that come in the order of their terms, some at a time, those of a term together."""
    held: list[PackedRow] = []
    while rows := await cursor.fetchmany(PART):
        held += rows
        last = held[-1][0]
        whole = [row for row in held if row[0] != last]
        if whole:
            yield whole
            held = held[len(whole) :]
    if held:
        yield held


async def _segment(connection: AsyncConnection[Any], chunks: int) -> int:
    row = await (await connection.execute(SQL["add_segment"], {**TENANT, "chunks": chunks})).fetchone()
    assert row is not None
    return row[0]


async def _write(connection: AsyncConnection[Any], segment: int, postings: Postings) -> None:
    rows = await asyncio.to_thread(packed, postings)
    async with connection.cursor() as cursor, cursor.copy(SQL["copy_postings"]) as copy:
        copy.set_types(["text", "int8", "int8", "bytea", "bytea", "bytea"])
        for term, ids, counts, lengths in rows:
            await copy.write_row((DEFAULT_TENANT, term, segment, ids, counts, lengths))


def packed(postings: Postings) -> list[PackedRow]:
    """One row for each term, chunk ids ascending."""
    order = np.lexsort((postings.ids, postings.terms))
    terms, ids = postings.terms[order], postings.ids[order]
    counts, lengths = postings.counts[order], postings.lengths[order]
    distinct, starts = np.unique(terms, return_index=True)
    ends = [*starts.tolist(), len(terms)][1:]
    return [
        (t, ids[a:b].astype("<i8").tobytes(), counts[a:b].astype("<u2").tobytes(), lengths[a:b].astype("<u2").tobytes())
        for t, a, b in zip(distinct.tolist(), starts.tolist(), ends, strict=True)
    ]


def _of_rows(rows: Sequence[PackedRow], dead: Ids) -> Postings:
    ids = [np.frombuffer(r[1], "<i8") for r in rows]
    joined = Postings(
        np.repeat(np.array([r[0] for r in rows], np.int64), [len(i) for i in ids]),
        np.concatenate(ids) if ids else np.empty(0, np.int64),
        np.concatenate([np.frombuffer(r[2], "<u2") for r in rows]) if rows else np.empty(0, np.uint16),
        np.concatenate([np.frombuffer(r[3], "<u2") for r in rows]) if rows else np.empty(0, np.uint16),
    )
    return joined.where(~np.isin(joined.ids, dead))
