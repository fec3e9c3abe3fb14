"""What a source's snapshots say of the transactions that cross their beginning."""

from __future__ import annotations

import msgspec
import pytest

from headrace.sources import SnapshotState
from headrace.sources.snapshots.jobs import Jobs, Reason, Wanted

LATER = 3_600_000_000


def added(**about: object) -> Jobs:
    jobs = Jobs("shop")
    [job] = jobs.add(Reason.ADDED, [Wanted("public.later")])
    jobs.put(msgspec.structs.replace(job, **about))
    return jobs


def test_transactions_cross_the_coming_of_a_table_until_it_is_read() -> None:
    assert added().crossed({"public.later"}, 0)
    assert not added(emptied=True).crossed({"public.later"}, 0)
    assert not Jobs("shop").crossed({"public.later"}, 0)


def test_a_table_that_is_asked_for_again_came_long_ago() -> None:
    jobs = Jobs("shop")
    jobs.add(Reason.ASKED, [Wanted("public.later")])

    assert not jobs.crossed({"public.later"}, 0)


def test_it_is_the_last_coming_that_counts() -> None:
    jobs = added(emptied=True)
    jobs.add(Reason.ADDED, [Wanted("public.later")])

    assert jobs.crossed({"public.later"}, 0)


@pytest.mark.parametrize("state", [SnapshotState.FAILED, SnapshotState.CANCELLED])
def test_a_reading_that_ended_before_it_began_says_nothing_of_what_goes_on(state: SnapshotState) -> None:
    jobs = added(state=state, ended_at=1_000)

    assert jobs.crossed({"public.later"}, LATER)


def test_with_a_table_that_went_its_transactions_have_ended() -> None:
    jobs = added(state=SnapshotState.FAILED, ended_at=1_000)

    assert jobs.crossed(set[str](), 1_000)
    assert not jobs.crossed(set[str](), LATER)
