"""The wire of logical replication: bytes made by hand and by Hypothesis, without a server."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.change import START, Op, Position, Row
from headrace.sources.postgres import pgoutput as wire
from headrace.sources.postgres.assemble import Assembler
from headrace.sources.postgres.pgoutput import UNCHANGED, Cell, ProtocolError, RelationColumn
from headrace.sources.postgres.shapes import Shape, Shapes
from headrace.sources.postgres.spool import Spool
from headrace.sources.postgres.values import BOOL, BYTEA, FLOAT8, INT4, INT8, TEXT, Type
from headrace.sources.postgres.watermarks import Mark

INT4_TYPE, TEXT_TYPE = Type(INT4, "int4", INT4, 4), Type(TEXT, "text", TEXT, -1)
TABLE = 16384


def begin(lsn: int, at: int = 0, transaction: int = 7) -> bytes:
    return b"B" + pack(">QqI", lsn, at, transaction)


def commit(lsn: int, end: int) -> bytes:
    return b"C" + pack(">BQQq", 0, lsn, end, 0)


def relation(*columns: tuple[str, int, bool], identity: str = "d", name: str = "t") -> bytes:
    parts = [pack(">B", key) + column.encode() + b"\0" + pack(">Ii", type_oid, -1) for column, type_oid, key in columns]
    head = b"R" + pack(">I", TABLE) + b"public\0" + name.encode() + b"\0" + identity.encode()
    return head + pack(">h", len(columns)) + b"".join(parts)


def row(*cells: str | bytes | wire.Unchanged | None) -> bytes:
    out = pack(">h", len(cells))
    for cell in cells:
        if cell is None:
            out += b"n"
        elif isinstance(cell, wire.Unchanged):
            out += b"u"
        else:
            text = cell.encode() if isinstance(cell, str) else cell
            out += b"t" + pack(">i", len(text)) + text
    return out


def insert(*cells: str | bytes | None) -> bytes:
    return b"I" + pack(">I", TABLE) + b"N" + row(*cells)


def update(*cells: str | wire.Unchanged | None, key: bytes = b"") -> bytes:
    return b"U" + pack(">I", TABLE) + key + b"N" + row(*cells)


def delete(*cells: str | None) -> bytes:
    return b"D" + pack(">I", TABLE) + b"K" + row(*cells)


def shapes() -> Shapes:
    known = Shapes("pg")
    known.learn([INT4, TEXT], {INT4: INT4_TYPE, TEXT: TEXT_TYPE})
    return known


def assembler(
    *messages: bytes, given: Position = START, frontier: int = 0, rows: int = 100, size: int = 1 << 20
) -> Assembler:
    made = Assembler(shapes(), given, frontier, set(), rows, size)
    made.feed(relation(("id", INT4, True), ("v", TEXT, False)))
    made.resume()
    for message in messages:
        made.feed(message)
    return made


def positions(made: Assembler) -> list[tuple[int, int]]:
    taken = made.take()
    return [] if taken is None else [(c.position.major, c.position.minor) for c in taken.changes]


def test_the_messages_around_rows() -> None:
    at = 1795259104405783 - wire.EPOCH_US

    assert wire.read_begin(begin(0x16B3748, at, 761)) == wire.Begin(0x16B3748, 1795259104405783, 761)
    assert wire.read_commit(b"C" + pack(">BQQq", 0, 1, 2, at)) == wire.Commit(1, 2, 1795259104405783)
    assert wire.read_relation(relation(("id", INT4, True), ("é", TEXT, False), identity="f")) == wire.Relation(
        TABLE, "public", "t", "f", (RelationColumn("id", INT4, True), RelationColumn("é", TEXT, False))
    )
    assert wire.read_truncate(b"T" + pack(">IBII", 2, 3, 5, 6)) == wire.Truncate((5, 6))
    message = b"M" + pack(">BQ", 1, 9) + b"outbox\0" + pack(">I", 2) + b"hi"
    assert wire.read_message(message) == wire.Message(True, 9, "outbox", b"hi")


def test_the_messages_of_transactions_in_progress() -> None:
    streamed = b"R" + pack(">I", 99) + relation(("id", INT4, True))[1:]

    assert wire.read_relation(streamed, streamed=True).columns == (RelationColumn("id", INT4, True),)
    assert wire.read_truncate(b"T" + pack(">IIBI", 99, 1, 0, 5), streamed=True) == wire.Truncate((5,))
    assert wire.read_stream_start(b"S" + pack(">IB", 99, 1)) == wire.StreamStart(99, True)
    assert wire.read_stream_commit(b"c" + pack(">IBQQq", 99, 0, 1, 2, 3)) == wire.StreamCommit(
        99, 1, 2, 3 + wire.EPOCH_US
    )
    assert wire.read_stream_abort(b"A" + pack(">II", 99, 100)) == wire.StreamAbort(99, 100)
    message = b"M" + pack(">IBQ", 99, 0, 9) + b"p\0" + pack(">I", 0)
    assert wire.read_message(message, streamed=True) == wire.Message(False, 9, "p", b"")


CELLS = st.none() | st.just(UNCHANGED) | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(st.lists(CELLS, max_size=12), st.binary(max_size=5), st.binary(max_size=5))
def test_a_compiled_reader_reads_as_the_plain_one(cells: list[Cell], before: bytes, after: bytes) -> None:
    data = before + row(*[c for c in cells if not isinstance(c, int | float)]) + after
    readers = [bytes.decode] * len(cells)

    found = wire.compile_tuple(readers)(data, len(before))

    assert found == wire.read_tuple(data, len(before), readers)
    assert found == (tuple(cells), len(data) - len(after), UNCHANGED in cells)


@pytest.mark.parametrize("data", [row("1"), row("1", "2", "3"), pack(">h", 2) + b"x" + b"n"])
def test_a_row_of_another_shape_is_an_error(data: bytes) -> None:
    readers = [bytes.decode] * 2

    with pytest.raises(ProtocolError):
        wire.compile_tuple(readers)(data, 0)
    with pytest.raises(ProtocolError):
        wire.read_tuple(data, 0, readers)


@pytest.mark.parametrize(
    ("type_oid", "text", "value"),
    [
        (INT8, b"-9223372036854775808", -(2**63)),
        (BOOL, b"t", True),
        (BOOL, b"f", False),
        (FLOAT8, b"0.1", 0.1),
        (FLOAT8, b"1e+300", 1e300),
        (FLOAT8, b"NaN", "NaN"),
        (FLOAT8, b"-Infinity", "-Infinity"),
        (BYTEA, b"\\x00ff", b"\x00\xff"),
        (BYTEA, b"\\x", b""),
        (TEXT, "é".encode(), "é"),
        (1700, b"1.500", "1.500"),
        (3802, b'{"a": 1}', '{"a": 1}'),
    ],
)
def test_values_of_text(type_oid: int, text: bytes, value: object) -> None:
    found = Type(type_oid, "t", type_oid, -1).reader(text)

    assert found == value
    assert type(found) is type(value)


def test_changes_of_whole_transactions_with_their_positions() -> None:
    made = assembler(
        begin(100, 5, 7), insert("1", "a"), update("1", "b"), commit(100, 148), begin(148), delete("1", None)
    )

    taken = made.take()
    assert taken is not None
    assert [(c.op, c.position, c.key, c.after) for c in taken.changes] == [
        (Op.CREATE, (100, 1), (1,), (1, "a")),
        (Op.UPDATE, (100, 2), (1,), (1, "b")),
    ]
    assert {(c.committed_at, c.transaction) for c in taken.changes} == {(5 + wire.EPOCH_US, 7)}
    assert (made.frontier, made.between) == (148, False)
    assert made.take() is None

    made.feed(commit(148, 196))
    taken = made.take()
    assert taken is not None
    assert [(c.op, c.position, c.before) for c in taken.changes] == [(Op.DELETE, (148, 1), (1, None))]
    assert taken.changes[0].position > Position(148)
    assert (made.frontier, made.between) == (196, True)


def test_a_changed_key_takes_two_positions() -> None:
    made = assembler(begin(100), update("2", UNCHANGED, key=b"K" + row("1", None)), insert("3", "x"), commit(100, 148))

    taken = made.take()
    assert taken is not None
    assert [(c.op, c.key, c.position.minor) for c in taken.changes] == [
        (Op.DELETE, (1,), 1), (Op.CREATE, (2,), 2), (Op.CREATE, (3,), 3),
    ]  # fmt: skip
    assert [(n.place, n.old_key, n.incomplete) for n in taken.notes] == [(1, (1,), True)]


@given(st.lists(st.integers(0, 5), max_size=12), st.integers(1, 6), st.integers(0, 14), st.integers(0, 6))
def test_any_cut_and_any_restart_gives_each_change_once(
    sizes: list[int], rows: int, transaction: int, minor: int
) -> None:
    # given transactions of some sizes, and a log that already ends somewhere
    given_to = Position(100 * transaction, minor)
    messages: list[bytes] = []
    everything: list[Position] = []
    for i, size in enumerate(sizes, start=1):
        messages += [begin(100 * i), *(insert(str(n), "x") for n in range(size)), commit(100 * i, 100 * i + 50)]
        everything += [Position(100 * i, n) for n in range(1, size + 1)]

    # when they are fed and taken as they come
    made = assembler(given=given_to, rows=rows)
    found: list[Position] = []
    for message in messages:
        made.feed(message)
        while (taken := made.take()) is not None:
            found += [c.position for c in taken.changes]
            assert made.frontier <= (found[-1].major if not taken.whole else found[-1].major + 50)
            assert taken.changes

    # then exactly what is behind the end comes, in order
    assert found == [p for p in everything if p > given_to]


def test_a_part_is_bounded_by_bytes_too() -> None:
    made = assembler(begin(100), insert("1", "x" * 50), size=60)

    assert positions(made) == [(100, 1)]
    made.feed(insert("2", "y"))
    assert positions(made) == []


def message(content: str, prefix: str = "headrace") -> bytes:
    body = content.encode()
    return b"M\x01" + pack(">Q", 7) + prefix.encode() + b"\0" + pack(">I", len(body)) + body


def test_the_stream_stands_at_a_watermark_until_it_was_dealt_with() -> None:
    # given a transaction, then a watermark in one of its own; messages of others, and ours without content, are none
    made = assembler(frontier=50)
    for one in (begin(100), insert("1", "a"), message("x", "other"), message(""), commit(100, 148), begin(300)):
        made.feed(one)

    # when it comes
    paused = made.feed(message("run:1"))

    # then everything before it is given first, and its place is behind that
    assert paused
    assert not made.ready
    assert made.mark == Mark("run:1", 300, 0, wire.EPOCH_US)
    assert made.frontier == 148
    assert positions(made) == [(100, 1)]
    made.mark = None
    assert made.ready
    made.feed(commit(300, 348))
    assert made.frontier == 348


def test_a_type_that_is_not_known_pauses() -> None:
    known = shapes()
    made = Assembler(known, START, 0, set(), 100, 1 << 20)

    assert made.feed(relation(("id", 999, True)))
    assert made.pending is not None
    known.learn([999], {999: Type(999, "score", INT4, 4)})
    made.resume()
    for message in (begin(1), insert("5"), commit(1, 2)):
        made.feed(message)

    taken = made.take()
    assert taken is not None
    assert taken.changes[0].after == (5,)
    assert taken.changes[0].schema.columns[0].type == "score"


def test_a_row_that_cannot_be_read_is_rejected_and_the_rest_goes_on() -> None:
    made = assembler(begin(100), insert(b"1", b"\xff\xfe"), insert("2", "b"), commit(100, 148))

    taken = made.take()
    assert taken is not None
    assert [c.position for c in taken.changes] == [(100, 2)]
    assert [(r.topic, r.position) for r in taken.rejected] == [("pg.public.t", (100, 1))]
    assert "UTF-8" in taken.rejected[0].error.expected


def streamed(transaction: int, *messages: bytes, first: bool = False) -> list[bytes]:
    """A part of a transaction in progress; each message names the (sub)transaction that it belongs to."""
    parts = [m[:1] + pack(">I", transaction) + m[1:] for m in messages]
    return [b"S" + pack(">IB", transaction, first), *parts, b"E"]


def stream_commit(transaction: int, lsn: int, end: int) -> bytes:
    return b"c" + pack(">IBQQq", transaction, 0, lsn, end, 0)


def stream_abort(transaction: int, subtransaction: int) -> bytes:
    return b"A" + pack(">II", transaction, subtransaction)


async def replayed(made: Assembler) -> list[tuple[Row, Row | None]]:
    """All that a transaction in parts gives, key and row, as it is taken."""
    found: list[tuple[Row, Row | None]] = []
    while made.replaying is not None:
        await made.replay()
        if made.pending is not None:
            made.resume()
        while (taken := made.take()) is not None:
            found += [(c.key, c.after) for c in taken.changes]
    return found


async def test_a_transaction_in_parts_is_given_at_its_commit_without_what_was_undone() -> None:
    made = assembler(rows=2)
    columns = relation(("id", INT4, True), ("v", TEXT, False))
    sub = [m[:1] + pack(">I", 8) + m[1:] for m in (columns, insert("2", "undone"))]
    for message in (
        *streamed(7, columns, insert("1", "a"), first=True),
        *streamed(9, columns, insert("9", "gone")),
        *(b"S" + pack(">IB", 7, 0), *sub, b"E"),
        stream_abort(7, 8),
        stream_abort(9, 9),
        begin(100), insert("5", "short"), commit(100, 148),
        *streamed(7, columns, insert("3", "c"), insert("4", "d")),
    ):  # fmt: skip
        made.feed(message)
    taken = made.take()
    assert taken is not None
    assert [c.key for c in taken.changes] == [(5,)]
    assert made.between

    assert made.feed(stream_commit(7, 200, 248))
    assert not made.ready
    assert await replayed(made) == [((1,), (1, "a")), ((3,), (3, "c")), ((4,), (4, "d"))]
    assert (made.frontier, made.between, made.ready) == (248, True, True)


@pytest.mark.parametrize("newer", ["outside", "inside"])
async def test_the_shape_that_was_told_last_counts_whenever_its_transaction_commits(newer: str) -> None:
    made = assembler()
    wide = relation(("id", INT4, True), ("v", TEXT, False), ("w", TEXT, False))
    narrow = relation(("id", INT4, True), ("v", TEXT, False))
    inside, outside = (wide, narrow) if newer == "outside" else (narrow, wide)

    def tell_outside() -> None:
        made.feed(begin(100))
        made.feed(outside)
        made.resume()
        made.feed(commit(100, 148))

    # given a shape told in a transaction in progress, and another told outside before or after that
    if newer == "inside":
        tell_outside()
    cells = ["1", "a", "x"][: 3 if inside is wide else 2]
    for message in streamed(7, inside, insert(*cells)):
        made.feed(message)
    if newer == "outside":
        tell_outside()
    made.feed(stream_commit(7, 200, 248))
    found = await replayed(made)

    # then each row is read as it was sent, and the next one by the shape of the later telling
    assert len(found[0][1] or ()) == len(cells)
    made.feed(begin(300))
    made.feed(insert("2", "b"))
    made.feed(commit(300, 348))
    taken = made.take()
    assert taken is not None
    assert [c.after for c in taken.changes] == [(2, "b")]


@given(st.lists(st.tuples(st.integers(1, 3), st.binary(max_size=40)), max_size=30), st.integers(1, 400))
async def test_what_is_held_comes_back_in_order_from_memory_and_files(
    messages: list[tuple[int, bytes]], limit: int
) -> None:
    spool = Spool(memory_bytes=limit)
    spool.start(1)
    for subtransaction, message in messages:
        spool.add(1, subtransaction, message)
        if spool.heavy:
            await spool.spill()
    spool.abort(1, 3)
    held = spool.take(1)
    found: list[bytes] = []
    while await held.load():
        for message in held:
            found.append(message)
            if len(found) % 3 == 0:
                break
    held.close()

    assert found == [message for subtransaction, message in messages if subtransaction != 3]


def test_an_unknown_message_is_an_error() -> None:
    with pytest.raises(ProtocolError):
        assembler(b"?")


def shape(*columns: tuple[str, int, bool], identity: str = "d") -> Shape:
    return shapes().of(wire.read_relation(relation(*columns, identity=identity)))


def test_keys_of_one_several_and_scattered_columns() -> None:
    one = shape(("a", TEXT, False), ("b", INT4, True))
    two = shape(("a", INT4, True), ("b", INT4, True), ("c", TEXT, False))
    scattered = shape(("a", INT4, True), ("b", INT4, False), ("c", TEXT, True))

    assert one.key(("x", 1)) == (1,)
    assert two.key((1, 2, "x")) == (1, 2)
    assert scattered.key((1, 2, "x")) == (1, "x")
    assert scattered.schema.key == ("a", "c")


def test_the_primary_key_stands_for_a_full_identity() -> None:
    known = shapes()
    full = wire.read_relation(relation(("a", INT4, True), ("b", TEXT, True), identity="f"))

    assert known.of(full).schema.key == ("a", "b")
    known.know(TABLE, ("b",), hidden=False)
    assert known.of(full).schema.key == ("b",)
    assert known.of(full).schema is known.of(full).schema


def test_which_rows_may_have_values_out_of_line() -> None:
    assert shape(("a", INT4, True)).small > 1 << 30
    plain = shape(("a", INT4, True), ("b", TEXT, False))
    assert 1500 < plain.small < 2000
    assert [i for i, _ in plain.large] == [1]
    assert shape(("a", INT4, True), ("b", TEXT, False), identity="f").large == ()
    known = shapes()
    known.know(TABLE, ("a",), hidden=True)
    assert known.of(wire.read_relation(relation(("a", INT4, True), ("b", TEXT, False)))).small == 0
