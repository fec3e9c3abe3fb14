"""What Headrace has derived, as rows that can be compared: with a fresh build, and with itself before."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg

from headrace.codec import decode
from headrace.stores.embedded_postgres import EmbeddedPostgres

Rows = Mapping[str, Sequence[tuple[Any, ...]]]

PRESENT: Mapping[str, str] = {
    "documents": "select document, source, topic, content_hash, title, text, chunks, failure::text"
    " from document_versions where closed_at is null",
    "chunks": "select v.document, c.ordinal, c.text, c.start_char, c.end_char, c.heading, c.text_hash, c.terms,"
    " c.counts, c.length, t.source, t.document, t.vector::text"
    " from document_versions v join chunks c using (version_id) join chunk_vectors t using (chunk_id)"
    " where v.closed_at is null and t.open",
    "corpus": "select chunks, tokens from corpus",
    "records": "select record, source, topic, profile, identifiers, fields::text from profile_records"
    " where profile is not null",
    "identifiers": "select identifier, record, profile from profile_identifiers",
    "profiles": "select profile, identifiers, records, fields::text from profile_versions where closed_at is null",
    "facts": "select fact, source, topic, owners, ordering::text, happens_at, fields::text, text from fact_versions"
    " where closed_at is null",
}
"""What must be the same in a fresh build: everything of the present but the positions and times of its changes."""

ALL: Mapping[str, str] = {
    **{t: f"select t::text from {t} t" for t in (
        "chunks", "chunk_vectors", "corpus", "topic_fences", "profile_records", "profile_identifiers",
        "profile_versions", "fact_versions", "log_batches", "log_partitions",
    )},
    # Fences, versions that were never valid, are not among them: an end that overtakes may leave one.
    "document_versions": "select v::text from document_versions v"
    " where closed_at is null or (opened_major, opened_minor) < (closed_major, closed_minor)",
    "operator_progress": "select operator, source, major, minor, committed_at, changes, bytes from operator_progress"
    " where operator in ('knowledge', 'profiles')",
    "dead_letters": "select letter_id, operator, topic, key, major, minor, step, expected, got, remedy, resolved_at"
    " from dead_letters",
}  # fmt: skip
"""Everything, history, positions and row numbers too; of a dead letter not how often it was tried."""

_WRONG: Mapping[str, str] = {
    "chunks that are open without their version, or the other way round": "select v.document, c.ordinal"
    " from document_versions v join chunks c using (version_id) join chunk_vectors t using (chunk_id)"
    " where t.open <> (v.closed_at is null)",
    "versions without all their chunks": "select v.document, v.chunks from document_versions v"
    " where v.chunks <> (select count(*) from chunks c where c.version_id = v.version_id)",
    "versions of one document that overlap": "select a.document, a.version_id, b.version_id from document_versions a"
    " join document_versions b on a.tenant = b.tenant and a.document = b.document and a.version_id < b.version_id"
    " where not a.overtaken and not b.overtaken and ("
    "   (a.closed_at is null and (b.opened_major, b.opened_minor) >= (a.opened_major, a.opened_minor))"
    "   or ((b.opened_major, b.opened_minor) >= (a.opened_major, a.opened_minor)"
    "       and (b.opened_major, b.opened_minor) < (a.closed_major, a.closed_minor)))",
    "facts of one row that overlap": "select a.fact from fact_versions a"
    " join fact_versions b on a.fact = b.fact and a.version_id < b.version_id"
    " where (b.opened_major, b.opened_minor)"
    "   < (coalesce(a.closed_major, 9223372036854775807), coalesce(a.closed_minor, 0))"
    "   and (b.opened_major, b.opened_minor) >= (a.opened_major, a.opened_minor)",
    "counts of the index that are not the chunks'": "select c.chunks, c.tokens, n.chunks, n.tokens from corpus c,"
    " (select count(*) as chunks, coalesce(sum(c.length), 0) as tokens from chunks c"
    " join chunk_vectors t using (chunk_id) where t.open) n where (c.chunks, c.tokens) <> (n.chunks, n.tokens)",
    "gaps or overlaps between offsets": "select topic_id, partition, base_offset, upto from ("
    " select topic_id, partition, base_offset, lag(base_offset + count) over (partition by topic_id, partition"
    " order by base_offset) as upto from log_batches) b where upto is not null and upto <> base_offset",
}


def rows(dsn: str, queries: Mapping[str, str]) -> Rows:
    """Every query's rows, sorted."""
    with psycopg.connect(dsn) as connection:
        return {
            name: sorted(connection.execute(cast("LiteralString", query)).fetchall(), key=repr)
            for name, query in queries.items()
        }


def stored(data: Path, queries: Mapping[str, str]) -> tuple[Rows, str]:
    """`rows` and `wrong` of the store in the data folder of a Headrace that has ended."""

    async def read() -> tuple[Rows, str]:
        server = await EmbeddedPostgres.start(data / "postgres")
        try:
            dsn = server.dsn("headrace")
            return await asyncio.to_thread(rows, dsn, queries), await asyncio.to_thread(wrong, dsn)
        finally:
            await server.stop()

    return asyncio.run(read())


def checksums(found: Rows) -> dict[str, str]:
    return {name: hashlib.sha256(repr(lines).encode()).hexdigest()[:16] for name, lines in found.items()}


def differences(got: Rows, wanted: Rows) -> str:
    """What is not the same, shortened for people; empty when all is."""
    told: list[str] = []
    for name, lines in wanted.items():
        have, want = {repr(r) for r in got[name]}, {repr(r) for r in lines}
        extra = [r for r in got[name] if repr(r) not in want]
        lost = [r for r in lines if repr(r) not in have]
        told += [f"{name}: too much: {str(r)[:300]}" for r in extra[:5]]
        told += [f"{name}: missing: {str(r)[:300]}" for r in lost[:5]]
        if len(got[name]) != len(lines):
            told.append(f"{name}: {len(got[name])} rows, not {len(lines)}")
    return "\n".join(told)


def wrong(dsn: str) -> str:
    """What a store must never hold: halves, overlaps, gaps, a change twice; empty when all is well."""
    told = [f"{name}: {r[:3]}" for name, r in rows(dsn, _WRONG).items() if r]
    return "\n".join(told + _logged_twice(dsn))


def _logged_twice(dsn: str) -> list[str]:
    """No change stands in a source's log twice."""
    told: list[str] = []
    seen: set[tuple[str, str, object, object]] = set()
    with psycopg.connect(dsn) as connection:
        query = "select source, number, payload from log_batches order by source, number, ordinal"
        for source, number, payload in connection.execute(query):
            for change in decode(payload):
                one = (source, change.schema.topic, change.position, change.key)
                if one in seen:
                    told.append(f"twice in the log: {one} in append {number}")
                seen.add(one)
    return told
