"""Pure parts of snapshots beside the stream: what a snapshot shows, what is left out, what a log's changes leave."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headrace.change import Change, Column, Op, Position, Row, Schema
from headrace.sources.postgres.lines import compile_line, read_line
from headrace.sources.postgres.watermarks import Passed, Visible
from headrace.sources.snapshots.missing import present
from headrace.sources.snapshots.touched import Touched, left_out

SCHEMA = Schema("pg", "public.t", (Column("id", "int4"),), ("id",))
OTHER = Schema("pg", "public.u", (Column("id", "int4"),), ("id",))


def change(op: Op, key: int = 0, transaction: int = 1, schema: Schema = SCHEMA) -> Change:
    row: Row = (key,)
    after = row if op in (Op.CREATE, Op.UPDATE, Op.READ) else None
    return Change(schema, op, Position(1, 1), 0, transaction, () if op is Op.TRUNCATE else row, None, after)


@given(st.integers(10, 2**40), st.sets(st.integers(1, 50)), st.integers(-60, 60))
def test_a_snapshot_shows_what_had_ended(limit: int, behind: set[int], distance: int) -> None:
    # given 64-bit ids as the server tells them, and one of the stream's 32 bits
    running = {limit - b for b in behind if limit - b > 0}
    visible = Visible.parse(f"{min(running, default=limit)}:{limit}:{','.join(map(str, running))}")
    transaction = limit + distance

    if transaction > 0:
        assert visible.shows(transaction % 2**32) == (transaction < limit and transaction not in running)


def test_what_the_stream_changed_in_between_is_left_out() -> None:
    touched = Touched("public.t")
    touched.see([change(Op.UPDATE, 1), change(Op.DELETE, 3), change(Op.CREATE, 2, schema=OTHER)])

    assert left_out([(1,), (2,), (3,), (4,)], touched) == {0, 2}
    touched.see([change(Op.TRUNCATE)])
    assert left_out([(1,), (2,)], touched) == {0, 1}
    touched.start()
    assert left_out([(1,)], touched) == set()


def test_more_keys_than_are_remembered_are_told() -> None:
    touched = Touched("public.t")
    for start in range(0, 250_000, 50_000):
        touched.see([change(Op.UPDATE, start + i) for i in range(50_000)])

    assert touched.overflow
    assert len(touched.keys) <= 100_000


def test_transactions_that_passed_are_forgotten_once_all_see_them() -> None:
    passed = Passed()
    passed.see([change(Op.UPDATE, 1, 7), change(Op.UPDATE, 2, 9), change(Op.UPDATE, 2, 9, OTHER)])

    assert passed.of("public.t") == {7, 9}
    passed.forget(Visible.parse("9:10:9"))
    assert passed.of("public.t") == {9}
    passed.forget(Visible.parse("11:11:"))
    assert not passed.tables


OPS = st.lists(st.tuples(st.sampled_from([Op.CREATE, Op.UPDATE, Op.READ, Op.DELETE, Op.TRUNCATE]), st.integers(0, 9)))


@given(OPS, st.integers(0, 30), st.sampled_from([1, 2, 4]))
def test_what_changes_leave_part_by_part(ops: list[tuple[Op, int]], cut: int, parts: int) -> None:
    # given a topic's changes, read in two pages, and in as many parts of the keys
    changes = [change(op, key) for op, key in ops]
    expected: set[Row] = set()
    for c in changes:
        if c.op is Op.TRUNCATE:
            expected.clear()
        elif c.op is Op.DELETE:
            expected.discard(c.key)
        else:
            expected.add(c.key)

    # when they are folded
    found: set[Row] = set()
    for part in range(parts):
        held: set[Row] = set()
        for page in (changes[:cut], changes[cut:]):
            alive, ended, truncated = present(page, (part, parts))
            held = (set[Row]() if truncated else held - ended) | alive
        assert held.isdisjoint(found)
        found |= held

    # then the keys that are left are those
    assert found == expected


FIELDS = st.lists(st.sampled_from(["", "a", "\\N", "\\\\", "\\t", "7", "é", "\\\\N"]), min_size=1, max_size=6)


@given(FIELDS)
def test_a_compiled_reader_reads_lines_as_the_plain_one(fields: list[str]) -> None:
    line = "\t".join(fields).encode() + b"\n"
    readers = [bytes.decode] * len(fields)

    assert compile_line(readers)(line) == read_line(line, readers)
