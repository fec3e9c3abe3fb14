"""Messages fed many at a time give what they give one at a time."""

from __future__ import annotations

from struct import pack

from hypothesis import given
from hypothesis import strategies as st

from headrace.change import START, Change, Position, Row
from headrace.sources.postgres import pgoutput as wire
from headrace.sources.postgres.assemble import Assembler, Note
from headrace.sources.postgres.pgoutput import UNCHANGED
from headrace.sources.postgres.values import INT4, TEXT
from tests.unit.test_pgoutput import TABLE, begin, commit, delete, insert, message, relation, row, shapes, update

NUMBERS = st.integers(0, 5).map(str)
TEXTS = st.sampled_from(["", "x", "é", "y" * 120, "z" * 300, "w" * 3000])
OTHER = TABLE + 1
COLUMNS = (("id", INT4, True), ("v", TEXT, False))


def elsewhere(data: bytes) -> bytes:
    """The same message of another table."""
    return data[:1] + pack(">I", OTHER) + data[5:]


def renumbered(old: str, new: str, text: str) -> bytes:
    return update(new, text, key=b"K" + row(old, None))


ROWS = st.one_of(
    st.builds(insert, NUMBERS, st.none() | TEXTS),
    st.builds(update, NUMBERS, st.none() | TEXTS),
    st.builds(update, NUMBERS, st.just(UNCHANGED)),
    st.builds(renumbered, NUMBERS, NUMBERS, TEXTS),
    st.builds(delete, NUMBERS, st.none()),
    st.just(insert("1", b"\xff")),
    st.just(insert("no number", "x")),
    st.just(b"T" + pack(">IBI", 1, 0, TABLE)),
    st.just(relation(*COLUMNS)),
    st.just(message("here")),
    st.builds(insert, NUMBERS, TEXTS).map(elsewhere),
)
TRANSACTIONS = st.lists(st.lists(ROWS, max_size=12), min_size=1, max_size=5)


def stream(transactions: list[list[bytes]]) -> list[bytes]:
    messages = [relation(*COLUMNS), elsewhere(relation(*COLUMNS, name="u"))]
    for n, changes in enumerate(transactions, 1):
        messages += [begin(100 * n), *changes, commit(100 * n, 100 * n + 48)]
    return messages


Told = tuple[int, str, Row | None, bool, bool]
Given = tuple[list[Change], list[Told], list[Position], list[tuple[int, int]]]


def told(note: Note, before: int) -> Told:
    return before + note.place, note.shape.schema.table, note.old_key, note.large, note.incomplete


def fed(messages: list[bytes], sizes: list[int], at: Position, rows: int, size: int, ignored: int) -> Given:
    """All that is given, in parts of `sizes` messages (cycled; 0: by `feed`, one by one)."""
    made = Assembler(shapes(), at, 0, set(), rows, size)
    made.ignore(ignored)
    changes: list[Change] = []
    notes: list[Told] = []
    rejected: list[Position] = []
    marks: list[tuple[int, int]] = []

    def taken() -> None:
        while (found := made.take()) is not None:
            notes.extend(told(n, len(changes)) for n in found.notes)
            changes.extend(found.changes)
            rejected.extend(r.position for r in found.rejected)
            if found.whole:
                assert made.frontier % 100 == 48

    left, turn = list(messages), 0
    while left:
        many = sizes[turn % len(sizes)] if sizes else 0
        turn += 1
        if many:
            some = iter(left[:many])
            behind = left[many:]
            paused = made.feed_all(some)
            left = [*some, *behind]
            assert paused or len(left) == len(behind)
        else:
            made.feed(left.pop(0))
        taken()
        if made.pending is not None:
            made.resume()
        if made.mark is not None:
            marks.append((made.mark.lsn, made.mark.sequence))
            made.mark = None
    return changes, notes, rejected, marks


@given(
    TRANSACTIONS,
    st.lists(st.integers(1, 40), min_size=1, max_size=4),
    st.sampled_from([START, Position(100, 3), Position(200, 0)]),
    st.sampled_from([(3, 1 << 20), (100, 200), (100, 1 << 20)]),
    st.sampled_from([0, TABLE, OTHER]),
)
def test_many_at_a_time_are_the_same_as_one_at_a_time(
    transactions: list[list[bytes]], sizes: list[int], at: Position, bounds: tuple[int, int], ignored: int
) -> None:
    messages = stream(transactions)

    assert fed(messages, sizes, at, *bounds, ignored) == fed(messages, [], at, *bounds, ignored)


def test_a_run_of_plain_rows_ends_where_enough_is_collected() -> None:
    made = Assembler(shapes(), START, 0, set(), 3, 1 << 20)
    messages = iter([relation(*COLUMNS), begin(100), *(insert(str(n), "x") for n in range(5)), commit(100, 148)])

    assert made.feed_all(messages)  # a table is told
    made.resume()
    assert made.feed_all(messages)

    taken = made.take()
    assert taken is not None
    assert [c.position.minor for c in taken.changes] == [1, 2, 3]
    assert not made.feed_all(messages)
    rest = made.take()
    assert rest is not None
    assert [c.position.minor for c in rest.changes] == [4, 5]


@given(st.lists(st.none() | st.text(max_size=90) | st.just(UNCHANGED), max_size=6))
def test_a_row_is_read_as_by_the_reader_of_tuples(cells: list[str | wire.Unchanged | None]) -> None:
    readers = [bytes.decode] * len(cells)
    read = wire.compile_tuple(readers)
    data = update(*(c.replace("\0", "") if isinstance(c, str) else c for c in cells))

    whole = UNCHANGED not in cells
    assert wire.compile_row(readers, read)(data) == (read(data, 6)[0] if whole else None)
