"""Commit times of versions, and the order of what one step found."""

from hypothesis import given
from hypothesis import strategies as st

from headrace.change import Op
from headrace.clock import HybridClock, now_us
from headrace.sources.files.batch import Batch, Moment, committed_at
from headrace.sources.files.known import Signature
from headrace.sources.files.reasons import never_rests

US = st.integers(0, 10**7)


@given(mtime=US, ctime=US, floor=US, now=US)
def test_a_version_is_committed_after_the_floor_and_not_in_the_future(
    mtime: int, ctime: int, floor: int, now: int
) -> None:
    at = committed_at(Signature(0, mtime * 1000, ctime * 1000, 1), floor, now)

    assert at <= now
    assert at >= min(floor, now)
    assert at in (mtime, ctime, floor, now)


def test_a_time_of_writing_in_the_future_says_nothing() -> None:
    assert committed_at(Signature(0, 900_000, 500_000, 1), 0, 600) == 500


def test_changes_stand_in_the_order_of_their_commits_unless_one_file_changed_twice() -> None:
    def batch(again: str) -> list[tuple[str, Op]]:
        one = Batch("docs", 100, 100)
        one.give("late", b"", Signature(0, 0, 9_000, 1), Moment(0, 9), given=False, first=False)
        one.give("early", b"", Signature(0, 0, 3_000, 1), Moment(0, 9), given=False, first=False)
        one.delete(again, Moment(0, 5))
        captured = one.captured(HybridClock(), 0, ordered=False)
        assert captured is not None
        assert [c.position for c in captured.changes] == sorted({c.position for c in captured.changes})
        return [(str(c.key[0]), c.op) for c in captured.changes]

    assert batch("old") == [("early", Op.CREATE), ("old", Op.DELETE), ("late", Op.CREATE)]
    assert batch("late") == [("late", Op.CREATE), ("early", Op.CREATE), ("late", Op.DELETE)]


def test_a_rejection_comes_after_the_delete_of_what_was_given() -> None:
    one = Batch("docs", 100, 100)
    one.delete("a", Moment(0, 5))
    one.reject("a", "a", never_rests("a").error, Moment(0, 5))

    captured = one.captured(HybridClock(), 0, ordered=False)

    assert captured is not None
    assert captured.changes[0].position < captured.rejected[0].position == captured.frontier
    assert captured.frontier.major >= now_us() - 10_000_000


def test_nothing_found_is_nothing_to_tell() -> None:
    assert Batch("docs", 1, 1).captured(HybridClock(), 7, ordered=True) is None
