"""Large values that PostgreSQL did not send again: completed from what was pushed before, in every order of events."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from headrace.change import Row
from headrace.envelopes import Hints
from headrace.inbox import Item, read_item
from tests.memory_log import MemoryLog
from tests.unit.test_push_source import counts, driven

LEFT_OUT = "__debezium_unavailable_value"
BIG = "x" * 3000


def message(
    op: str, id: int, *, connector: str = "postgresql", other: tuple[str, int] | None = None, **row: Any
) -> Item:
    """As Debezium's PostgreSQL connector writes it, with the header that tells of a changed key."""
    source = {"connector": connector, "schema": "public", "table": "t"}
    value: dict[str, Any] = {"op": op, "source": source, "before": None, "after": None}
    if op in ("c", "u", "r"):
        value["after"] = {"id": id, **row}
    headers = [["__debezium.context.taskId", "0"]]
    if other:
        headers.append([f"__debezium.{other[0]}", json.dumps({"id": other[1]})])
    key = None if op == "t" else {"id": id}
    return read_item(0, json.dumps({"key": key, "value": value, "headers": headers}).encode(), Hints())


def table(log: MemoryLog) -> dict[Row, Row]:
    return log.table("crm.public.t")


def kept(log: MemoryLog) -> int:
    return len([name for name in log.state.values if name.startswith("v:")])


@pytest.mark.parametrize("together", [True, False])
async def test_an_unchanged_large_value_is_completed_from_the_same_and_a_later_batch(together: bool) -> None:
    items = [message("c", 1, big=BIG, n=1), message("u", 1, big=LEFT_OUT, n=2), message("u", 1, big=LEFT_OUT, n=3)]
    async with driven() as run:
        for part in [items] if together else [[i] for i in items]:
            assert counts(await run.send(*part))[3] == 0

        assert [c.after for c in run.log.changes] == [(1, BIG, n) for n in (1, 2, 3)]


async def test_it_is_completed_after_a_restart_and_with_a_changed_key() -> None:
    async with driven() as run:
        await run.send(message("r", 3, big=BIG, n=1))
    async with driven(run.log) as run:
        await run.send(message("d", 3, other=("newkey", 33)))
        await run.send(message("c", 33, other=("oldkey", 3), big=LEFT_OUT, n=1))
        await run.send(message("u", 33, big=LEFT_OUT, n=2))

        assert table(run.log) == {(33,): (33, BIG, 2)}
        assert kept(run.log) == 1


async def test_what_ended_or_became_small_is_no_longer_kept() -> None:
    async with driven() as run:
        await run.send(*(message("c", n, big=BIG) for n in range(5)))
        assert kept(run.log) == 5
        await run.send(message("d", 0), message("u", 1, big="small"))
        assert kept(run.log) == 3
        await run.send(message("t", 0))
        assert kept(run.log) == 0

        refused = await run.send(message("u", 0, big=LEFT_OUT))

        assert counts(refused) == (0, 0, 0, 1)
        assert "big" in refused.rejected[0].got


async def test_nothing_is_kept_of_senders_that_leave_nothing_out() -> None:
    async with driven() as run:
        await run.send(message("c", 1, connector="mysql", big=BIG), message("u", 1, connector="mysql", big=LEFT_OUT))

        assert table(run.log) == {(1,): (1, LEFT_OUT)}  # there it is a person's own text
        assert not run.log.state.values


@pytest.mark.parametrize("seed", range(20))
async def test_any_sequence_of_events_gives_whole_rows(seed: int) -> None:
    """A table model beside: creates, updates with and without the large value, key changes, deletes, truncates."""
    dice = random.Random(seed)
    rows: dict[int, str] = {}
    log = MemoryLog()
    for _ in range(8):
        items = [i for _ in range(12) for i in event(dice, rows)]
        async with driven(log) as run:
            while items:
                size = dice.randint(1, 6)
                part, items = items[:size], items[size:]
                assert counts(await run.send(*part))[3] == 0
    assert table(log) == {(id,): (id, big) for id, big in rows.items()}


def event(dice: random.Random, rows: dict[int, str]) -> list[Item]:
    id = dice.randrange(6)
    value = dice.choice((BIG, "y" * 700, "small"))
    if id not in rows:
        rows[id] = value
        return [message(dice.choice("cr"), id, big=value)]
    happens = dice.choice(("keep", "keep", "set", "move", "delete", "truncate" if dice.random() < 0.2 else "keep"))
    if happens == "set":
        rows[id] = value
        return [message("u", id, big=value)]
    if happens == "delete":
        del rows[id]
        return [message("d", id)]
    if happens == "truncate":
        rows.clear()
        return [message("t", 0)]
    shown = LEFT_OUT if len(rows[id]) > 500 else rows[id]
    if happens == "keep":
        return [message("u", id, big=shown)]
    other = id + 100 * dice.randint(1, 9) if id < 100 else id
    if other in rows:
        return []
    rows[other] = rows.pop(id)
    return [message("d", id, other=("newkey", other)), message("c", other, other=("oldkey", id), big=shown)]
