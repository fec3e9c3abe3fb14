"""Comparing documents, adding up postings, and what a log leaves: pure parts of a verification."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.change import Change, Op, Position, Style, document_id
from headrace.knowledge.comparing import compare, faults, words
from headrace.knowledge.replaying import Reach, TooMany, replay
from headrace.log.memory import Memory, MemoryLog
from headrace.stores.audit import HeldChunk, HeldDocument
from headrace.stores.knowledge import DocumentDraft
from headrace.stores.postgres.compact import packed
from headrace.stores.postgres.fingerprints import Expected, Found, of_chunks
from headrace.stores.postgres.lexical import Postings, Recent, unpack
from tests.contract.stored import draft
from tests.making import change, put, truncate


def held(made: DocumentDraft) -> HeldDocument:
    """What a store holds of a draft when all is well."""
    chunks = [
        HeldChunk(
            n, c.ordinal, sha(c.text), c.start, c.end, c.heading, c.text_hash, words(c), c.length, None, ()
        )
        for n, c in enumerate(made.chunks)
    ]  # fmt: skip
    return HeldDocument(
        made.id, made.topic, made.stamp, made.content_hash, made.title, sha(made.text), made.failure is not None,
        made.media, made.dated, len(chunks), chunks, metadata=made.metadata,
    )  # fmt: skip


def sha(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


TEXTS = st.lists(st.text("abc ", min_size=1), min_size=1, max_size=5)
OTHER: dict[str, Any] = {
    "ordinal": 99, "text": b"x", "start": -1, "end": 9999, "heading": "other", "text_hash": b"x", "words": b"x",
    "length": 999, "place": {"page": 7}, "faults": ("it has no vector",),
}  # fmt: skip
OTHERS: dict[str, Any] = {
    "topic": "other", "content_hash": "x", "title": "other", "text": b"x", "failed": True, "media": "x", "dated": 1,
    "metadata": {"on": True},
    "faults": ("it says that it has 9 chunks, and has 1",),
}  # fmt: skip


@given(TEXTS)
def test_what_is_held_as_it_was_drafted_does_not_differ(texts: list[str]) -> None:
    made = draft("a", 3, *texts)
    assert compare(made, held(made)) == ()
    assert faults(held(made)) == ()


@given(TEXTS, st.sampled_from(sorted(OTHER)), st.data())
def test_any_other_value_of_a_chunk_is_named(texts: list[str], field: str, data: st.DataObject) -> None:
    made = draft("a", 3, *texts)
    there = held(made)
    n = data.draw(st.integers(0, len(texts) - 1))
    chunks = [replace(c, **{field: OTHER[field]}) if c.ordinal == n else c for c in there.chunks]
    [what] = compare(made, replace(there, chunks=chunks))
    assert what.startswith(f"chunk {n}: ")


@given(TEXTS, st.sampled_from(sorted(OTHERS)))
def test_any_other_value_of_a_document_is_named(texts: list[str], field: str) -> None:
    made = draft("a", 3, *texts)
    assert len(compare(made, replace(held(made), **{field: OTHERS[field]}))) == 1


@given(TEXTS, st.integers(-2, 2).filter(bool))
def test_chunks_too_many_or_too_few_and_other_versions_are_named(texts: list[str], at: int) -> None:
    made = draft("a", 3, *texts)
    there = held(made)
    fewer = compare(made, replace(there, chunks=there.chunks[:-1]))
    assert f"chunk {len(texts) - 1} is missing" in fewer
    more = compare(draft("a", 3, *texts[:-1]), there)
    assert f"chunk {len(texts) - 1} should not be there" in more
    moved = there.stamp._replace(position=Position(3 + at))
    [what] = compare(made, replace(there, stamp=moved))
    assert ("an older" if at < 0 else "a newer") in what


CHUNKS = st.lists(st.dictionaries(st.integers(-(2**63), 2**63 - 1), st.integers(1, 65535), max_size=6), max_size=8)


def recent(chunks: list[dict[int, int]]) -> list[Recent]:
    return [
        Recent(
            n + 1, np.array(sorted(c), np.int64), np.array([c[t] for t in sorted(c)], np.uint16), sum(c.values())
        )
        for n, c in enumerate(chunks)
    ]  # fmt: skip


def rows(chunks: list[Recent]) -> list[tuple[int, bytes, bytes, bytes]]:
    """As the store packs them."""
    pieces = [(t, c.id, n, min(c.length, 0xFFFF)) for c in chunks for t, n in zip(c.terms, c.counts, strict=True)]
    made = Postings(
        np.array([p[0] for p in pieces], np.int64), np.array([p[1] for p in pieces], np.int64),
        np.array([p[2] for p in pieces], np.uint16), np.array([p[3] for p in pieces], np.uint16),
    )  # fmt: skip
    return packed(made) if pieces else []


def added(expected: list[Recent], packed: list[Recent], loose: list[Recent], dead: list[int]) -> Found:
    ids = np.array([c.id for c in expected], np.int64)
    found = Found(Expected(ids, of_chunks(expected)), np.array(dead, np.int64))
    for term, *posting in rows(packed):
        found.add(term, unpack(*posting))
    found.add_recent(loose)
    return found


@given(CHUNKS, st.data())
def test_postings_add_up_however_they_are_packed_and_whatever_is_dead(
    chunks: list[dict[int, int]], data: st.DataObject
) -> None:
    every = recent(chunks)
    loose = [c for c in every if data.draw(st.booleans())]
    dead = [c for c in every if c not in loose and data.draw(st.booleans())]
    alive = [c for c in every if c not in dead]
    found = added(alive, [c for c in every if c not in loose], loose, [c.id for c in dead])
    assert found.amiss.tolist() == []
    assert found.strays == []


@given(CHUNKS.filter(lambda chunks: any(chunks)), st.data())
def test_postings_that_are_lost_doubled_or_another_chunks_do_not_add_up(
    chunks: list[dict[int, int]], data: st.DataObject
) -> None:
    every = recent(chunks)
    one = data.draw(st.sampled_from([c for c in every if len(c.terms)]))
    rest = [c for c in every if c is not one]
    assert added(every, rest, [], []).amiss.tolist() == [one.id]
    assert added(every, every, [one], []).amiss.tolist() == [one.id]
    assert added(every, every, [], [one.id]).amiss.tolist() == [one.id]
    fewer = replace(one, counts=one.counts + np.uint16(1))
    assert added(every, [*rest, fewer], [], []).amiss.tolist() == [one.id]
    assert added(rest, every, [], []).strays == [one.id]


KEYS = st.integers(0, 4)
STEPS = st.lists(st.tuples(st.sampled_from("cccdt"), KEYS), max_size=30)


def history(steps: list[tuple[str, int]]) -> list[Change]:
    made: list[Change] = []
    for at, (op, key) in enumerate(steps, 1):
        made.append(truncate(at) if op == "t" else change(Op.DELETE, at, key) if op == "d" else put(at, key))
    return made


def left(changes: list[Change]) -> dict[str, Change]:
    """The model: what changes leave, by document."""
    alive: dict[str, Change] = {}
    for one in changes:
        if one.op is Op.TRUNCATE:
            alive.clear()
        elif one.op is Op.DELETE:
            alive.pop(document_id(one.schema, one.key), None)
        else:
            alive[document_id(one.schema, one.key)] = one
    return alive


@given(STEPS, st.integers(0, 31), st.integers(0, 5), st.integers(1, 3))
def test_a_replay_leaves_what_the_changes_leave(
    steps: list[tuple[str, int]], upto: int, ahead: int, parts: int
) -> None:
    async def run() -> None:
        log = await MemoryLog.connect("", partitions=parts, memory=Memory())
        await log.open("shop", Style.NUMBER)
        changes = history(steps)
        for one in changes:
            await log.append("shop", [one])
        extents = await log.topics()
        reach = Reach(Position(upto), Position(upto + ahead))
        last = await replay(log, extents, reach, lambda _: True, 1000)
        found = {
            id: (await log.read("shop.public.items", partition, offset, 1))[0].change
            for id, (partition, offset) in last.alive.items()
        }
        applied = [c for c in changes if c.position.major <= upto]
        assert found == left(applied)
        coming = [c for c in changes if upto < c.position.major <= upto + ahead]
        assert last.leaving == {document_id(c.schema, c.key) for c in coming if c.op is Op.DELETE}
        assert last.all_leaving == any(c.op is Op.TRUNCATE for c in coming)
        assert not last.forgotten
        if len(found) > 1:
            with pytest.raises(TooMany):
                await replay(log, extents, reach, lambda _: True, 1)

    asyncio.run(run())
