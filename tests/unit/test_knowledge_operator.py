"""What a batch of document changes does: ends first, then each document's last state; bad input costs itself only."""

from __future__ import annotations

import gc
import hashlib
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from headrace.access import NOBODY, OPEN, Access, Readers, Rules, SourceRules
from headrace.change import Change, Op, Position, document_schema
from headrace.codec import decode
from headrace.described import About, about_text, described_schema
from headrace.errors import BadInput, EmbeddingError
from headrace.knowledge.operator import Knowledge, Prepared
from headrace.knowledge.parsed import Parsed
from headrace.knowledge.pauses import FIRST_PAUSE_S, LONGEST_PAUSE_S
from headrace.knowledge.rows import row_template
from headrace.knowledge.stages import Stage, Stages
from headrace.knowledge.terms import bag
from headrace.models import Vectors
from headrace.stores.knowledge import DocumentDraft, Narrowing, Removal
from headrace.stores.stock import StoredDocument
from tests import documents as make
from tests.making import ITEMS, change, put, truncate
from tests.simulation.virtual_time import VirtualLoop
from tests.unit.test_chunk import tokenizer

DOCS = document_schema("docs")
ROWS = {ITEMS.topic: row_template(ITEMS.topic, "Item {{ id }}: {{ name }}")}


class Embedder:
    """Implements `headrace.models.Embedder`: a vector by length, and what was asked for."""

    id = "counting"
    dimensions = 2
    max_tokens = 256

    def __init__(self) -> None:
        self.tokenizer = tokenizer()
        self.embedded: list[str] = []

    async def embed(self, texts: Sequence[str], *, background: bool = False, query: bool = False) -> Vectors:
        self.embedded += texts
        return np.array([[len(t), background] for t in texts], np.float32)

    def count_tokens(self, text: str) -> int:
        return len(self.tokenizer.encode(text).ids)

    async def close(self) -> None:
        """Nothing is open."""


class Work:
    """Implements `headrace.stores.stock.WorkCache` over what a test put in."""

    def __init__(self) -> None:
        self.known: dict[bytes, NDArray[np.float32]] = {}
        self.there: dict[str, StoredDocument] = {}

    async def vectors(self, text_hashes: Sequence[bytes]) -> dict[bytes, NDArray[np.float32]]:
        return {h: self.known[h] for h in text_hashes if h in self.known}

    async def stored(self, document: str) -> StoredDocument | None:
        return self.there.get(document)


def operator() -> tuple[Knowledge, Embedder, Work]:
    embedder, work = Embedder(), Work()
    return Knowledge(frozenset({"docs"}), ROWS, embedder, work), embedder, work


def document(at: int, path: str, content: bytes | None) -> Change:
    after = None if content is None else (path, content)
    op = Op.DELETE if content is None else Op.UPDATE
    return Change(DOCS, op, Position(at), at, at, (path,), None, after)


async def prepare(*changes: Change) -> Prepared:
    return await operator()[0].prepare(changes, background=False)


def test_it_wants_documents_and_the_rows_it_has_templates_for() -> None:
    knowledge, _, _ = operator()

    assert [knowledge.wants(t) for t in ("docs", ITEMS.topic, "shop.public.orders", "docs.x")] == [
        True, True, False, False
    ]  # fmt: skip
    assert [knowledge.overtakes(c) for c in (put(1, 1), change(Op.DELETE, 1, 1), truncate(1))] == [False, True, True]


async def test_a_document_s_draft_says_what_and_where_from() -> None:
    content = b"\xef\xbb\xbf# Bags\n\nCabin bags are free.\n"

    (draft,) = (await prepare(document(5, "bags.md", content))).drafts

    assert (draft.id, draft.topic, draft.title) == ("docs/bags.md", "docs", "Bags")
    assert draft.stamp.position == Position(5)
    assert draft.content_hash == "sha256:" + hashlib.sha256(content).hexdigest(), "of the source's bytes, mark and all"
    (chunk,) = draft.chunks
    assert draft.text[chunk.start : chunk.end] == chunk.text
    assert chunk.length == int(chunk.counts.sum())


async def test_a_row_s_draft_is_its_rendered_text() -> None:
    (draft,) = (await prepare(put(5, 7, "a bag"))).drafts

    assert (draft.id, draft.title, draft.text) == ("shop/public.items/7", "items 7", "Item 7: a bag")


steps = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from(["put", "put", "delete", "truncate"])), min_size=1, max_size=12
)


@settings(deadline=None)
@given(steps)
async def test_a_batch_amounts_to_its_changes_one_by_one(batch: list[tuple[int, str]]) -> None:
    made: dict[str, Callable[[int, int], Change]] = {
        "put": lambda at, key: put(at, key, f"at {at}"),
        "delete": lambda at, key: change(Op.DELETE, at, key),
        "truncate": lambda at, _: truncate(at),
    }
    changes = [made[kind](at, key) for at, (key, kind) in enumerate(batch, start=1)]
    state: dict[str, str] = {"shop/public.items/1": "before", "shop/public.items/2": "before"}
    expected = dict(state)
    for c in changes:
        id = f"shop/public.items/{c.key[0]}" if c.key else ""
        if c.op is Op.TRUNCATE:
            expected.clear()
        elif c.op is Op.DELETE:
            expected.pop(id, None)
        else:
            assert c.after is not None
            expected[id] = f"Item {c.key[0]}: {c.after[1]}"

    prepared = await prepare(*changes)

    for removal in prepared.removals:
        for id in [removal.id] if removal.id else list(state):
            state.pop(id, None)
    state |= {d.id: d.text for d in prepared.drafts}
    assert state == expected
    ids = [d.id for d in prepared.drafts]
    assert len(ids) == len(set(ids))


async def test_what_cannot_be_read_is_a_failed_version_and_a_dead_letter() -> None:
    bad = document(5, "photo.md", b"\xff\xd8")
    nul = put(7, 1, "a\0b")

    prepared = await prepare(bad, document(6, "good.md", b"fine"), nul, put(8, 2, "fine"))

    failed = {d.id: d.failure for d in prepared.drafts if d.failure}
    assert set(failed) == {"docs/photo.md", "shop/public.items/1"}
    assert all(not d.chunks for d in prepared.drafts if d.failure)
    assert {d.id for d in prepared.drafts if not d.failure} == {"docs/good.md", "shop/public.items/2"}
    assert {(x.operator, x.topic, x.key) for x in prepared.letters} == {
        ("knowledge", "docs", "photo.md"),
        ("knowledge", ITEMS.topic, "1"),
    }
    assert [decode(x.change or b"") for x in prepared.letters] == [[bad], [nul]]
    assert set(prepared.settled) == {("docs", "good.md"), (ITEMS.topic, "2")}


async def test_input_that_was_put_right_in_the_same_batch_is_no_dead_letter() -> None:
    prepared = await prepare(document(5, "a.md", b"\xff"), document(6, "a.md", b"fine"), document(7, "b.md", None))

    assert prepared.letters == []
    assert set(prepared.settled) == {("docs", "a.md"), ("docs", "b.md")}


async def test_a_vector_that_was_ever_made_is_not_made_again() -> None:
    knowledge, embedder, work = operator()
    first = await knowledge.prepare([document(1, "a.txt", b"one"), document(2, "b.txt", b"two")], background=True)
    assert embedder.embedded == ["one", "two"]
    work.known = {c.text_hash: c.vector for d in first.drafts for c in d.chunks}

    again = await knowledge.prepare([document(3, "a.txt", b"one"), document(4, "b.txt", b"three")], background=False)

    assert embedder.embedded[2:] == ["three"]
    assert vectors(again.drafts)[0].tolist() == vectors(first.drafts)[0].tolist()


async def test_equal_texts_in_a_batch_are_embedded_once() -> None:
    knowledge, embedder, _ = operator()

    prepared = await knowledge.prepare([document(n, f"{n}/same.txt", b"one") for n in range(5)], background=True)

    assert len(embedder.embedded) == 1
    assert len(prepared.drafts) == 5


async def test_a_file_s_name_is_searched_for_and_not_embedded() -> None:
    knowledge, embedder, _ = operator()
    html = b"<html><head><title>Fees of 2024</title></head><body><p>None.</p></body></html>"

    before, after, titled = (
        await knowledge.prepare(
            [document(1, "a/refund.txt", b"one"), document(2, "a/return.txt", b"one"), document(3, "x.html", html)],
            background=True,
        )
    ).drafts

    assert embedder.embedded == ["one", "Fees of 2024\nNone."], "a rename makes no vector anew"
    assert before.chunks[0].text_hash == after.chunks[0].text_hash
    assert bag("refund").terms.tolist()[0] in before.chunks[0].terms
    assert titled.title == "Fees of 2024"


def vectors(drafts: Sequence[DocumentDraft]) -> list[NDArray[np.float32]]:
    return [c.vector for d in drafts for c in d.chunks]


# ---- what whoever gave a document says of it -------------------------------------------------------------------------


def described(at: int, path: str, content: bytes, about: About) -> Change:
    after = (path, content, about_text(about))
    return Change(described_schema("docs"), Op.UPDATE, Position(at), at, at, (path,), None, after)


async def test_a_said_title_and_time_stand_in_the_place_of_the_document_s_own() -> None:
    content = b"---\ntitle: Own\ndate: 2020-01-01\n---\nText."

    own, said = (await prepare(described(1, "a.md", content, About()))).drafts[0], About(title="Said", time=5)
    other = (await prepare(described(1, "a.md", content, said))).drafts[0]

    assert (own.title, own.dated) == ("Own", 1_577_836_800_000_000)
    assert (other.title, other.dated, other.text) == ("Said", 5, own.text)
    assert other.chunks[0].text_hash != own.chunks[0].text_hash


async def test_a_renamed_document_reads_as_before() -> None:
    before = (await prepare(described(1, "tide tables.txt", b"High at noon.", About()))).drafts[0]
    renamed = described(2, "x.txt", b"High at noon.", About(named="tide tables.txt"))
    after = (await prepare(renamed)).drafts[0]

    assert (after.id, after.title) == ("docs/x.txt", before.title)
    assert [c.text_hash for c in after.chunks] == [c.text_hash for c in before.chunks]


# ---- whom it is for --------------------------------------------------------------------------------------------------


class Unreadable:
    """Implements `headrace.knowledge.operator.Parser` where nothing may be read."""

    async def parse(self, path: str, content: bytes, media: str) -> Parsed:
        raise AssertionError(f"{path} was read: {len(content)} bytes of {media}")


def stored(draft: DocumentDraft, **other: Any) -> StoredDocument:
    """As the store has a draft."""
    fields: dict[str, Any] = {name: getattr(draft, name) for name in StoredDocument.__slots__ if name != "failed"}
    fields["failed"] = draft.failure is not None
    return StoredDocument(**(fields | other))


async def test_a_document_whose_readers_alone_changed_is_neither_read_nor_embedded_again() -> None:
    embedder, work = Embedder(), Work()
    pdf = make.pdf(["High at noon, low at six."])
    reading = Knowledge(frozenset({"docs"}), ROWS, embedder, work)
    (first,) = (await reading.prepare([described(3, "a.pdf", pdf, About())], background=False)).drafts
    work.there = {first.id: stored(first)}
    work.known = {c.text_hash: c.vector for c in first.chunks}
    embedder.embedded.clear()
    hr = Readers(None, ("hr",))
    again = described(9, "a.pdf", pdf, About(readers=hr, same_since=3))

    knowledge = Knowledge(frozenset({"docs"}), ROWS, embedder, work, Unreadable())
    (draft,) = (await knowledge.prepare([again], background=False)).drafts

    assert embedder.embedded == []
    assert draft.access == Access(own=hr)
    assert draft.stamp.position == Position(9)
    assert replace(draft, stamp=first.stamp, access=OPEN, chunks=()) == replace(first, chunks=())
    assert [c.text_hash for c in draft.chunks] == [c.text_hash for c in first.chunks]

    # But of what is there of another change, other steps, or failed, nothing is taken.
    for other in (
        {"stamp": first.stamp._replace(position=Position(2))}, {"stamp": first.stamp._replace(position=Position(10))},
        {"made": "others"}, {"failed": True}, {"layout": b"damaged"},
    ):  # fmt: skip
        work.there = {first.id: stored(first, **other)}
        with pytest.raises(AssertionError, match="was read"):
            await knowledge.prepare([again], background=False)


async def test_a_source_and_a_document_both_say_whom_it_is_for() -> None:
    hr, ada = Readers(None, ("hr",)), Readers("ada")
    rules = SourceRules({"docs": Rules(None, (("hr/**", hr),)), "shop": Rules(hr)})
    rows = {ITEMS.topic: row_template(ITEMS.topic, "{{ id }}", owner="name")}
    knowledge = Knowledge(frozenset({"docs"}), rows, Embedder(), Work(), access=rules)

    async def access(change: Change) -> Access:
        (draft,) = (await knowledge.prepare([change], background=False)).drafts
        return draft.access

    assert await access(document(1, "a.md", b"a")) == OPEN
    assert await access(document(1, "hr/a.md", b"a")) == Access(hr)
    assert await access(document(1, "hr/bad.md", b"\xff\xfe\xff")) == Access(hr)
    assert await access(described(1, "hr/a.md", b"a", About(readers=ada))) == Access(hr, ada)
    assert await access(put(1, 7, "ada")) == Access(hr, ada)
    assert await access(change(Op.UPDATE, 1, 7, None)) == Access(hr, NOBODY)
    assert await access(put(1, 7, "a\nb")) == Access(hr, NOBODY), "what cannot be understood"


class Applied:
    """Stands for a transaction: what was asked of it."""

    def __init__(self) -> None:
        self.removed: list[Removal] = []
        self.narrowed: list[Narrowing] = []

    @property
    def knowledge(self) -> Applied:
        return self

    async def remove(self, removals: Sequence[Removal], *, overtaking: bool) -> None:
        assert overtaking
        self.removed += removals

    async def narrow(self, narrowings: Sequence[Narrowing]) -> None:
        self.narrowed += narrowings


async def test_what_says_whom_it_is_for_overtakes_as_ends_do() -> None:
    rows = {ITEMS.topic: row_template(ITEMS.topic, "{{ id }}", owner="name")}
    knowledge = Knowledge(frozenset({"docs"}), rows, Embedder(), Work())
    said = described(2, "a.md", b"a", About(readers=Readers("ada")))
    others = [put(3, 7, "bo"), change(Op.UPDATE, 4, 8, "cy"), change(Op.DELETE, 5, 9)]
    silent = [described(1, "b.md", b"b", About()), document(1, "c.md", b"c")]
    assert [knowledge.overtakes(c) for c in (said, *others, *silent)] == [True] * 4 + [False] * 2

    applied = Applied()
    await knowledge.overtake([said, *others], cast("Any", applied))

    assert [r.id for r in applied.removed] == ["shop/public.items/9"]
    assert [(n.id, n.readers.owner, n.fresh) for n in applied.narrowed] == [
        ("docs/a.md", "ada", False), ("shop/public.items/7", "bo", True), ("shop/public.items/8", "cy", False)
    ]  # fmt: skip


# ---- on the way ------------------------------------------------------------------------------------------------------


async def test_stages_are_told_until_the_next_batch_is_applied() -> None:
    stages = Stages()
    knowledge = Knowledge(frozenset({"docs"}), ROWS, Embedder(), Work(), stages=stages)
    good, bad = document(3, "a.md", b"# A"), document(4, "b.md", b"\xff\xfe\xff")

    await knowledge.prepare([good, bad], background=False)

    assert stages.of("docs/a.md", Position(3)) is Stage.EMBEDDED
    assert stages.of("docs/b.md", Position(4)) is Stage.RECEIVED
    assert stages.of("docs/a.md", Position(2)) is Stage.RECEIVED
    assert stages.counts(lambda _: Position(2)) == {Stage.EMBEDDED: 1}
    assert not stages.counts(lambda _: Position(3))
    stages.applied([good])
    assert stages.of("docs/a.md", Position(3)) is Stage.EMBEDDED, "it is being committed"
    stages.applied([])
    assert stages.of("docs/a.md", Position(3)) is Stage.RECEIVED


class Content:
    """Stands for what a reader holds."""


class Refusing:
    """Implements `headrace.knowledge.operator.Parser`: holds something while it refuses a document."""

    def __init__(self) -> None:
        self.held: weakref.ref[Content] | None = None

    async def parse(self, path: str, content: bytes, media: str) -> Parsed:
        held = Content()
        self.held = weakref.ref(held)
        raise BadInput(step=f"parse {path}", expected="one that is whole", got=f"{len(content)} bytes", remedy=media)


async def test_a_refused_document_is_not_kept_by_its_error() -> None:
    """Garbage is collected seldom: in a circle it would stay for long, and documents are large."""
    refusing = Refusing()
    knowledge = Knowledge(frozenset({"docs"}), ROWS, Embedder(), Work(), refusing)

    gc.disable()
    try:
        prepared = await knowledge.prepare([document(1, "a.pdf", b"%PDF-1.7")], background=False)
        assert prepared.letters
        assert refusing.held is not None
        assert refusing.held() is None
    finally:
        gc.enable()


class Failing(Embedder):
    """Fails so often, then embeds."""

    def __init__(self, times: int, error: Exception) -> None:
        super().__init__()
        self.times = times
        self.error = error

    async def embed(self, texts: Sequence[str], *, background: bool = False, query: bool = False) -> Vectors:
        if self.times:
            self.times -= 1
            raise self.error
        return await super().embed(texts, background=background, query=query)


def test_texts_wait_as_long_as_a_service_cannot_embed_them_and_nothing_else_is_waited_for() -> None:
    loop = VirtualLoop()
    down = EmbeddingError(step="embed", expected="an answer", got="none", remedy="It is tried again.")
    embedder = Failing(9, down)
    made = Knowledge(frozenset({"docs"}), ROWS, embedder, Work())

    prepared = loop.run_until_complete(made.prepare([document(1, "a.md", b"word")], background=False))
    waited, refused = loop.time(), Failing(9, BadInput(step="embed", expected="words", got="none", remedy="Write."))
    other = Knowledge(frozenset({"docs"}), ROWS, refused, Work())
    with pytest.raises(BadInput):
        loop.run_until_complete(other.prepare([document(1, "a.md", b"word")], background=False))
    loop.close()

    assert [d.failure for d in prepared.drafts] == [None]
    assert prepared.letters == []
    assert waited == sum(min(FIRST_PAUSE_S * 2**n, LONGEST_PAUSE_S) for n in range(9))
    assert refused.times == 8, "what is wrong with a text is told at once"


def test_a_service_that_says_when_it_is_worth_trying_is_tried_then() -> None:
    loop = VirtualLoop()
    down = EmbeddingError(step="embed", expected="an answer", got="none", remedy="It is tried again.")
    down.after_s = 12.5
    made = Knowledge(frozenset({"docs"}), ROWS, Failing(1, down), Work())

    loop.run_until_complete(made.prepare([document(1, "a.md", b"word")], background=True))

    assert loop.time() == 12.5
    loop.close()
