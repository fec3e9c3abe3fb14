"""Writes dead letters inside one transaction, and reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headrace.change import Position, Stamp
from headrace.clock import now_us
from headrace.link import Link
from headrace.sqlfile import load
from headrace.stores.dead_letters import DeadLetter, DeadLetterDraft
from headrace.stores.values import DEFAULT_TENANT, Failure

SQL = load(Path(__file__).with_name("state.sql"))


class PostgresDeadLetterWriter:
    """Implements `headrace.stores.dead_letters.DeadLetterWriter` on a link whose transaction the caller holds."""

    def __init__(self, link: Link, maybe_open: set[tuple[str, str, str]]) -> None:
        self._link = link
        # Every open letter is in here (and perhaps some settled ones): settling nothing must cost nothing.
        self._maybe_open = maybe_open

    async def put(self, letters: Sequence[DeadLetterDraft]) -> None:
        for letter in letters:
            self._maybe_open.add((letter.operator, letter.topic, letter.key))
            source, (major, minor), committed_at = letter.stamp
            args = {
                "tenant": DEFAULT_TENANT, "operator": letter.operator, "source": source, "topic": letter.topic,
                "key": letter.key, "major": major, "minor": minor, "committed_at": committed_at,
                "step": letter.failure.step, "expected": letter.failure.expected, "got": letter.failure.got,
                "remedy": letter.failure.remedy, "change": letter.change, "at": now_us(),
            }  # fmt: skip
            await self._link.execute(SQL["put_letter"], args)

    async def settle(self, operator: str, keys: Sequence[tuple[str, str | None]], before: Position) -> None:
        wanted = [(t, k) for t, k in keys if k is not None and (operator, t, k) in self._maybe_open]
        for ended in [t for t, k in keys if k is None]:
            wanted += [(t, k) for o, t, k in self._maybe_open if (o, t) == (operator, ended)]
        if not wanted:
            return
        args = {
            "tenant": DEFAULT_TENANT, "operator": operator, "at": now_us(), "major": before.major,
            "minor": before.minor, "topics": [t for t, _ in wanted], "keys": [k for _, k in wanted],
        }  # fmt: skip
        await self._link.execute(SQL["settle_letters"], args)


def letter(row: Sequence[Any]) -> DeadLetter:
    """Of a row of the statement `letters`."""
    id, operator, source, topic, key, major, minor, committed_at, step, expected, got, remedy, at, n, done, change = row
    stamp = Stamp(source, Position(major, minor), committed_at)
    return DeadLetter(
        id, operator, source, topic, key, stamp, Failure(step, expected, got, remedy), at, n, done, change
    )
