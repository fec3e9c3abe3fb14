"""One step of the airline's day: a move by chance, in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Final

from headrace.demo.simulator.customers import NothingDone, book, cancel, change_membership
from headrace.demo.simulator.flights import change_price, change_status, trade_seats
from headrace.demo.simulator.policy_edits import edit_policy
from headrace.demo.simulator.world import Connection, World

Move = Callable[[Connection, World, Random], Awaitable[bool]]
"""Returns whether anything was changed; raises NothingDone to have what it began rolled back."""

MAX_TRIES = 50


async def _edit_policy(connection: Connection, world: World, chance: Random) -> bool:
    if world.policies is None:
        return False
    return await asyncio.to_thread(edit_policy, world.policies, chance)


MOVES: Final[Mapping[str, tuple[int, Move]]] = {
    "seats": (38, trade_seats),
    "prices": (25, change_price),
    "statuses": (13, change_status),
    "bookings": (12, book),
    "cancellations": (8, cancel),
    "memberships": (3, change_membership),
    "policies": (1, _edit_policy),
}
"""Kinds of moves, how often of a hundred each comes, and what it does."""

_KINDS = list(MOVES)
_WEIGHTS = [weight for weight, _ in MOVES.values()]


async def step(connection: Connection, world: World, chance: Random) -> str | None:
    """Makes one change and returns its kind; None when nothing came to be in MAX_TRIES.

    The change is committed when this returns. Raises psycopg.Error and, from the policies, OSError or
    UnicodeDecodeError; nothing is changed then.
    """
    for _ in range(MAX_TRIES):
        kind = chance.choices(_KINDS, _WEIGHTS)[0]
        if await _try(MOVES[kind][1], connection, world, chance):
            return kind
    return None


async def _try(move: Move, connection: Connection, world: World, chance: Random) -> bool:
    try:
        async with connection.transaction():
            return await move(connection, world, chance)
    except NothingDone:
        return False
