"""What a document should be against what the store holds of it: pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from headrace.stores.audit import HeldChunk, HeldDocument
from headrace.stores.knowledge import ChunkDraft, DocumentDraft
from headrace.stores.values import Counts, Terms

SHOWN = 4
"""So many things are named of one document."""


def compare(draft: DocumentDraft, held: HeldDocument) -> tuple[str, ...]:
    """What differs, in words; nothing for equal ones. A draft's vectors are not looked at."""
    return _few([*_version(draft, held), *_content(draft, held)])


def earlier(draft: DocumentDraft, held: HeldDocument) -> tuple[str, ...]:
    """What is wrong with a document that other steps made than those of the draft: whether it is of the right change,
    and fits together in itself; what it tells is made anew in any case."""
    return _few([*_version(draft, held), *faults(held)])


def gist_faults(held: HeldDocument, text_hash: bytes, words: bytes) -> tuple[str, ...]:
    """Of the entry by which a summary is found: what of it is not as the summary makes it."""
    if held.summary is None or held.gist is None:
        both = (held.summary is None) == (held.gist is None)
        return () if both else ("its summary cannot be found" if held.gist is None else "it is found by no summary",)
    same = (_sha256(held.summary), text_hash, words) == (held.gist.text, held.gist.text_hash, held.gist.words)
    return () if same else ("its summary is found by other words than its own",)


def faults(held: HeldDocument) -> tuple[str, ...]:
    """What does not fit together in itself."""
    return _few([*held.faults, *(f"chunk {c.ordinal}: {f}" for c in held.chunks for f in c.faults)])


def _version(draft: DocumentDraft, held: HeldDocument) -> Iterator[str]:
    if held.stamp.position != draft.stamp.position:
        age = "an older" if held.stamp.position < draft.stamp.position else "a newer"
        yield f"it is of {age} change than the last one of the log"
    for what, should, got in (
        ("topic", draft.topic, held.topic),
        ("time of the commit", draft.stamp.committed_at, held.stamp.committed_at),
    ):
        if should != got:
            yield f"its {what} is {got}, not {should}"
    if draft.access.source != held.access.source:  # names of people: not told
        yield "it is for others than the configuration says"


def _content(draft: DocumentDraft, held: HeldDocument) -> Iterator[str]:
    if draft.access.own != held.access.own:
        yield "it is for others than its change says"
    if draft.content_hash != held.content_hash:
        yield f"its content's hash is {held.content_hash}, not {draft.content_hash}"
    if draft.failure is not None or held.failed:
        if draft.failure is None:
            yield "it could not be read when it was indexed, and can be now"
        elif not held.failed:
            yield f"it is served though it cannot be read: {draft.failure.got}"
        elif held.chunks:
            yield "it could not be read and has chunks all the same"
        else:
            yield from held.faults
        return
    if _sha256(draft.text) != held.text:
        yield "its text is another"
    for what, should, got in (
        ("title", draft.title, held.title),
        ("type of content", draft.media, held.media),
        ("stated date", draft.dated, held.dated),
    ):
        if should != got:
            yield f"its {what} is {got}, not {should}"
    if len(draft.chunks) != len(held.chunks):
        yield f"it has {len(held.chunks)} chunks, not {len(draft.chunks)}"
    yield from held.faults
    yield from _chunks(draft.chunks, held.chunks)


def _chunks(drafts: Sequence[ChunkDraft], held: Sequence[HeldChunk]) -> Iterator[str]:
    for draft, chunk in zip_longest(drafts, held):
        if draft is None:
            yield f"chunk {chunk.ordinal} should not be there"
        elif chunk is None:
            yield f"chunk {draft.ordinal} is missing"
        else:
            yield from (f"chunk {draft.ordinal}: {what}" for what in _chunk(draft, chunk))


def _chunk(draft: ChunkDraft, held: HeldChunk) -> Iterator[str]:
    place = None if draft.place is None else draft.place.to_object()
    for what, should, got in (
        ("number", draft.ordinal, held.ordinal),
        ("text", _sha256(draft.text), held.text),
        ("place in the text", (draft.start, draft.end), (held.start, held.end)),
        ("heading", draft.heading, held.heading),
        ("hash", draft.text_hash, held.text_hash),
        ("words", words(draft), held.words),
        ("length", draft.length, held.length),
        ("place", place, held.place),
    ):
        if should != got:
            yield f"its {what} is another"
    yield from held.faults


def words(draft: ChunkDraft) -> bytes:
    """As `HeldChunk.words`."""
    return words_hash(draft.terms, draft.counts)


def words_hash(terms: Terms, counts: Counts) -> bytes:
    return hashlib.sha256(terms.astype("<i8").tobytes() + counts.astype("<u2").tobytes()).digest()


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _few(found: Sequence[str]) -> tuple[str, ...]:
    more = len(found) - SHOWN
    return (*found[:SHOWN], f"and {more} more") if more > 0 else tuple(found)
