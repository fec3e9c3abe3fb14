"""What the tracker claims, against a model that knows everything."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from headrace.change import START, Position
from headrace.engines.tracker import Tracker
from headrace.operators import Marks
from headrace.stores import Applied

SOURCE = "shop"
OPERATORS = ["knowledge", "profiles"]
FAR = 10_000_000_000.0


def applied(operator: str, number: int, position: Position = START) -> Applied:
    return Applied(operator, SOURCE, number, position, 0, 0, 0)


@dataclass(slots=True)
class World:
    """A source that commits, a log that holds appends, operators that apply them."""

    committed: int = 0
    clock: int = 0
    appends: list[int] = field(default_factory=list[int])
    """The last position of each append."""
    times: dict[int, int] = field(default_factory=dict[int, int])
    """When each position with changes for the log was committed; others had none."""

    def commit(self, *, changes: bool = True) -> None:
        self.clock += 1
        self.committed += 1
        if changes:
            self.times[self.committed] = self.clock


class Claims(RuleBasedStateMachine):
    """Whatever happens in whatever order, nothing is claimed that is not so, and in the end everything is."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.tracker = Tracker(OPERATORS)
        self.numbers = dict.fromkeys(OPERATORS, 0)
        self.frontier = 0
        self.best = dict.fromkeys(OPERATORS, START)

    @initialize(before=st.integers(0, 3), behind=st.integers(0, 3))
    def start(self, before: int, behind: int) -> None:
        for _ in range(before):
            self.world.commit()
            self.world.appends.append(self.world.committed)
        self.numbers = {"knowledge": max(0, before - behind), "profiles": before}
        self.tracker.add(SOURCE, before, [applied(o, n) for o, n in self.numbers.items()])

    def in_log(self) -> int:
        return self.world.appends[-1] if self.world.appends else 0

    def held(self, operator: str) -> int:
        """The last position that an operator has applied."""
        number = self.numbers[operator]
        return self.world.appends[number - 1] if number else 0

    @rule(changes=st.lists(st.booleans(), min_size=1, max_size=3))
    def commit(self, changes: list[bool]) -> None:
        for some in changes:
            self.world.commit(changes=some)

    @rule()
    def capture(self) -> None:
        """Everything committed comes into the log, as one append when there is something new."""
        last = max(self.world.times, default=0)
        if last > self.in_log():
            self.world.appends.append(last)
        self.frontier = self.world.committed
        self.tracker.captured(SOURCE, len(self.world.appends), Position(self.frontier))

    @rule()
    def begin_anew(self) -> None:
        """A stream that is opened again tells the log's end as its frontier first."""
        self.tracker.captured(SOURCE, len(self.world.appends), Position(min(self.frontier, self.in_log())))

    @rule(operator=st.sampled_from(OPERATORS))
    def apply(self, operator: str) -> None:
        if self.numbers[operator] < len(self.world.appends):
            self.numbers[operator] += 1
            self.tracker.advance(applied(operator, self.numbers[operator], Position(self.held(operator))))

    @rule()
    def probe(self) -> None:
        self.world.clock += 1
        self.tracker.probe(SOURCE, self.world.clock, Position(self.world.committed))

    @rule()
    def lose(self) -> None:
        self.tracker.lost(SOURCE, "the cable")

    @invariant()
    def nothing_is_claimed_too_early(self) -> None:
        if SOURCE not in self.tracker.sources:
            return
        marks = self.tracker.marks()
        for operator in OPERATORS:
            reached = marks.reached[operator, SOURCE]
            assert reached <= Position(self.frontier)
            assert all(reached < Position(p) for p in self.world.times if p > self.held(operator))
            assert reached >= self.best[operator], "a claim is never taken back"
            self.best[operator] = reached
        proved = marks.proved_at[SOURCE]
        if proved is not None:
            slowest = min(self.held(o) for o in OPERATORS)
            unseen = [t for p, t in self.world.times.items() if p > slowest]
            assert all(t >= proved for t in unseen), "everything committed before was applied"

    def teardown(self) -> None:
        if SOURCE not in self.tracker.sources:
            return
        self.probe()
        self.capture()
        for operator in OPERATORS:
            while self.numbers[operator] < len(self.world.appends):
                self.apply(operator)
        marks = self.tracker.marks()
        assert marks.proved_at[SOURCE] == self.world.clock
        assert all(p == Position(self.world.committed) for p in marks.reached.values())
        assert marks.freshness(self.world.clock + 5)[0] == 0.005


TestClaims = Claims.TestCase


async def test_waiting_ends_when_everything_wanted_is_applied() -> None:
    tracker = Tracker(OPERATORS)
    tracker.add(SOURCE, 0, [])
    waiting = asyncio.create_task(tracker.wait({SOURCE: dict.fromkeys(OPERATORS, Position(5))}, FAR))

    tracker.captured(SOURCE, 1, Position(5))
    tracker.advance(applied("knowledge", 1, Position(5)))
    await asyncio.sleep(0.01)
    assert not waiting.done(), "profiles has not applied it"
    tracker.advance(applied("profiles", 1, Position(5)))

    assert await waiting == []


async def test_waiting_ends_with_what_is_missing() -> None:
    tracker = Tracker(OPERATORS)
    tracker.add(SOURCE, 1, [applied("knowledge", 1, Position(3))])
    tracker.captured(SOURCE, 1, Position(4))

    for timeout_ms in (0.0, 5.0):
        (lag,) = await tracker.wait({SOURCE: dict.fromkeys(OPERATORS, Position(4))}, timeout_ms)

        assert (lag.source, lag.operator, lag.reached, lag.wanted) == (SOURCE, "profiles", START, Position(4))


async def test_a_position_behind_which_nothing_came_is_reached_by_the_frontier_alone() -> None:
    tracker = Tracker(OPERATORS)
    tracker.add(SOURCE, 0, [])
    waiting = asyncio.create_task(tracker.wait({SOURCE: {"knowledge": Position(7)}}, FAR))
    await asyncio.sleep(0)

    tracker.captured(SOURCE, 0, Position(8))

    assert await waiting == []


async def test_new_work_takes_no_claim_back() -> None:
    """An idle source's frontier moves by keepalives; then a large append comes that is not yet applied."""
    tracker = Tracker(OPERATORS)
    tracker.add(SOURCE, 4, [applied(o, 4) for o in OPERATORS])
    tracker.captured(SOURCE, 4, Position(9))

    tracker.captured(SOURCE, 5, Position(20))

    assert tracker.reached("knowledge", SOURCE) == Position(9)


@given(st.lists(st.booleans(), min_size=1, max_size=4), st.integers(0, 5))
def test_freshness_is_of_the_oldest_source_and_unknown_when_one_is_down(up: list[bool], age: int) -> None:
    now = 10_000_000
    proved = {f"s{n}": now - 1000 * (age + n) for n in range(len(up))}
    down = {f"s{n}": "gone" for n, is_up in enumerate(up) if not is_up}

    fresh, reason = Marks({}, proved, down).freshness(now)

    if all(up):
        assert (fresh, reason) == (float(age + len(up) - 1), None)
    else:
        assert fresh is None
        assert reason is not None
        assert "gone" in reason


def test_freshness_is_unknown_until_the_first_proof() -> None:
    assert Marks({}, {"s": None}, {}).freshness(5) == (None, "s: its first changes are still being applied")
    assert Marks({}, {}, {}).freshness(5) == (0.0, None)


def coming(tracker: Tracker, number: int) -> None:
    """A few changes come in and are appended."""
    tracker.coming(SOURCE)
    tracker.captured(SOURCE, number, Position(number))


async def test_who_asks_while_a_change_is_being_applied_waits_for_it_and_for_nothing_later() -> None:
    tracker = Tracker(OPERATORS)
    tracker.add(SOURCE, 0, [])
    await tracker.settle(OPERATORS, FAR)  # nothing is coming
    coming(tracker, 1)
    asking = asyncio.create_task(tracker.settle(["profiles"], FAR))
    await asyncio.sleep(0.01)
    assert not asking.done()

    coming(tracker, 2)
    tracker.advance(applied("profiles", 1))

    await asyncio.wait_for(asking, 10)


async def test_nobody_waits_longer_than_said_or_behind_a_backlog() -> None:
    tracker = Tracker(OPERATORS)
    tracker.add(SOURCE, 0, [])
    coming(tracker, 1)
    await asyncio.wait_for(tracker.settle(OPERATORS, 1), 10)

    tracker.captured(SOURCE, 50, Position(50))
    coming(tracker, 51)

    await asyncio.wait_for(tracker.settle(OPERATORS, FAR), 10)
