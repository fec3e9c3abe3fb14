"""Which hints are looked at now, which later: decided by value, with the time as an argument."""

from collections import OrderedDict

from headrace.sources.files.batch import Moment
from headrace.sources.files.hints import Hint, Kind
from headrace.sources.files.ignore import Ignore
from headrace.sources.files.known import Index, Known
from headrace.sources.files.waiting import FILE, TREE, Key, Timing, Waiting

THEN = Moment(0, 1)
TIMING = Timing(quiet=1, quiet_most=3, hold=0.1, hold_backup=0.5, hold_name=0.2)


class Hints:
    """Feeds hints at given times and tells what is to be looked at."""

    def __init__(self, *known: str) -> None:
        index = Index({path: Known(b"x", 0, 0, 0, 0) for path in known})
        self.waiting = Waiting(TIMING, Ignore(), index)
        self.queued = OrderedDict[Key, Moment]()

    def at(self, now: float, *hints: Hint) -> list[Key]:
        looked = [key for h in hints for key in self.waiting.take(h, THEN, now, queued=self.queued, keep=False)]
        return looked + [key for key, _ in self.waiting.due(now)]


def test_what_was_closed_or_renamed_into_place_is_looked_at_now() -> None:
    hints = Hints("a.md")

    assert hints.at(0, Hint(Kind.WRITTEN, "a.md")) == [(FILE, "a.md")]
    assert hints.at(0, Hint(Kind.CREATED, "b.md"), Hint(Kind.WRITTEN, "b.md")) == [(FILE, "b.md")]
    assert hints.at(0, Hint(Kind.ARRIVED, "c.md", 7)) == [(FILE, "c.md")]
    assert hints.waiting.pause_s(0) is None


def test_a_name_that_comes_back_is_looked_at_once() -> None:
    hints = Hints("a.md")

    assert hints.at(0, Hint(Kind.GONE, "a.md")) == []
    assert hints.waiting.pause_s(0) == TIMING.hold
    assert hints.at(0.05, Hint(Kind.CREATED, "a.md")) == []
    assert hints.at(0.5) == []
    assert hints.at(0.6, Hint(Kind.WRITTEN, "a.md")) == [(FILE, "a.md")]


def test_a_name_that_does_not_come_back_is_looked_at_after_the_hold() -> None:
    hints = Hints("a.md")

    assert hints.at(0, Hint(Kind.GONE, "a.md")) == []
    assert list(hints.waiting.gone()) == [((FILE, "a.md"), THEN)]
    assert hints.at(0.1) == [(FILE, "a.md")]


def test_both_halves_of_a_rename_are_looked_at_together() -> None:
    hints = Hints("a.md")

    assert hints.at(0, Hint(Kind.LEFT, "a.md", 7), Hint(Kind.ARRIVED, "b.md", 7)) == []
    assert hints.at(0.1) == [(FILE, "a.md"), (FILE, "b.md")]

    folders = Hints("x/a.md")
    assert folders.at(0, Hint(Kind.LEFT, "x", 7, True), Hint(Kind.ARRIVED, "y", 7, True)) == []
    assert folders.at(0.1) == [(TREE, "x"), (TREE, "y")]


def test_a_rename_to_a_backup_is_waited_for_longer() -> None:
    hints = Hints("a.md")

    assert hints.at(0, Hint(Kind.LEFT, "a.md", 7), Hint(Kind.ARRIVED, "a.md~", 7)) == []
    assert hints.at(0.4) == []
    assert hints.at(0.5) == [(FILE, "a.md")]


def test_a_writer_that_does_not_close_is_waited_for_until_it_rests_but_not_for_ever() -> None:
    hints = Hints("a.md")

    assert hints.at(0, Hint(Kind.MODIFIED, "a.md")) == []
    assert hints.at(0.9, Hint(Kind.MODIFIED, "a.md"), Hint(Kind.TOUCHED, "a.md")) == []
    assert hints.at(1.8, Hint(Kind.MODIFIED, "a.md")) == []
    assert hints.at(2.7, Hint(Kind.MODIFIED, "a.md")) == []
    assert hints.at(2.9) == []
    assert hints.at(3.0) == [(FILE, "a.md")]


def test_a_passing_name_may_become_a_document_or_be_renamed_over_one() -> None:
    for passing in ("sedAbCdEf", "sub.d/sedAbCdEf", "a.md.kTzXyQ"):
        hints = Hints("a.md")
        assert hints.at(0, Hint(Kind.CREATED, passing), Hint(Kind.WRITTEN, passing)) == []
        renamed = [Hint(Kind.LEFT, passing, 7), Hint(Kind.ARRIVED, "a.md", 7)]
        assert hints.at(0.1, *renamed) == [(FILE, "a.md")]
        assert hints.at(9) == []

        hints = Hints("a.md")
        assert hints.at(0, Hint(Kind.WRITTEN, passing)) == []
        assert hints.at(0.2) == [(FILE, passing)]

    known = Hints("README")
    assert known.at(0, Hint(Kind.WRITTEN, "README")) == [(FILE, "README")]


def test_whoever_asks_for_the_head_waits_for_no_hold_but_takes_no_half_written_file() -> None:
    hints = Hints("a.md", "b.md")
    hints.at(0, Hint(Kind.GONE, "a.md"), Hint(Kind.MODIFIED, "b.md"), Hint(Kind.WRITTEN, "sedAbCdEf"))

    flushed = hints.waiting.due(float("inf"), held_only=True)

    assert [key for key, _ in flushed] == [(FILE, "a.md"), (FILE, "sedAbCdEf")]
    assert (FILE, "b.md") in hints.waiting


def test_an_overflow_leaves_nothing_to_wait_for() -> None:
    hints = Hints("a.md", "b.md")
    hints.at(0, Hint(Kind.GONE, "a.md"), Hint(Kind.MODIFIED, "b.md"))

    assert hints.at(0, Hint(Kind.OVERFLOW, "", tree=True)) == [(FILE, "a.md"), (FILE, "b.md"), (TREE, "")]
    assert hints.waiting.pause_s(0) is None


def test_what_is_queued_waits_again_when_it_vanishes_unless_someone_waits_behind_it() -> None:
    hints = Hints("a.md")
    gone = Hint(Kind.GONE, "a.md")

    hints.queued[(FILE, "a.md")] = THEN
    assert hints.waiting.take(gone, THEN, 0, queued=hints.queued, keep=True) == []
    assert list(hints.queued) == [(FILE, "a.md")]

    assert hints.waiting.take(gone, THEN, 0, queued=hints.queued, keep=False) == []
    assert list(hints.queued) == []
    assert (FILE, "a.md") in hints.waiting


def test_names_that_are_left_out_are_never_looked_at() -> None:
    hints = Hints()

    assert hints.at(0, Hint(Kind.WRITTEN, ".a.md"), Hint(Kind.CREATED, ".git", 0, True), Hint(Kind.GONE, "x~")) == []
    assert hints.at(99) == []
