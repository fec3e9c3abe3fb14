"""What keeps pushes from coming in twice: keys with what they came to, ids, and when both may be forgotten.

In the source's state: `i:` a key, `e:` an id, each by its hash; `x:<period>:<position>` what was remembered in a
period, so that forgetting need not look at everything; `p` the periods that hold something.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from headrace.change import Position
from headrace.inbox import Receipt, RejectedItem
from headrace.sources import State

PERIODS = "p"
_PARTS = 4
"""Periods in the time that is remembered: something is kept for that time and at most one period longer."""
FORGOTTEN_AT_ONCE = 5000

_encode = msgspec.msgpack.Encoder().encode
_names = msgspec.msgpack.Decoder(list[str])
_periods = msgspec.msgpack.Decoder(list[int])


class Known(msgspec.Struct, frozen=True, array_like=True):
    """A key's push: its records so far, what they came to, and whether that is all of it."""

    digest: bytes
    whole: bool
    accepted: int
    duplicates: int
    ignored: int
    rejections: int
    rejected: list[tuple[int, str, str, str, str]]
    major: int
    minor: int

    @property
    def receipt(self) -> Receipt:
        rejected = tuple(RejectedItem(*r) for r in self.rejected)
        position = Position(self.major, self.minor)
        return Receipt(self.accepted, self.duplicates, self.ignored, self.rejections, rejected, position)


_known = msgspec.msgpack.Decoder(Known)


def key_name(key: str) -> str:
    return "i:" + hashed(key)


def id_name(id: str) -> str:
    return "e:" + hashed(id)


def unsettled_name(topic: str, key: str) -> str:
    return "r:" + hashed(f"{topic}\0{key}")


def hashed(text: str) -> str:
    """128 bits: two different texts do not meet."""
    return base64.urlsafe_b64encode(hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest())[
        :22
    ].decode()


def encode_known(digest: bytes, receipt: Receipt, *, whole: bool) -> bytes:
    rejected = [(r.index, r.step, r.expected, r.got, r.remedy) for r in receipt.rejected]
    counts = (receipt.accepted, receipt.duplicates, receipt.ignored, receipt.rejections)
    return _encode(Known(digest, whole, *counts, rejected, *receipt.position))


def decode_known(value: bytes) -> Known:
    return _known.decode(value)


class Memory:
    """Which periods hold something, and what of it is past its time."""

    def __init__(self, state: State, periods: Iterable[int], keep_us: int) -> None:
        self._state = state
        self._periods = set(periods)
        self._length_us = max(1, keep_us // _PARTS)
        self._due: list[str] = []

    @classmethod
    async def load(cls, state: State, keep_us: int) -> Memory:
        stored = await state.get([PERIODS])
        return cls(state, _periods.decode(stored[PERIODS]) if stored else (), keep_us)

    @property
    def period_s(self) -> float:
        return self._length_us / 1_000_000

    def remember(self, names: Sequence[str], now_us: int, position: Position) -> dict[str, bytes | None]:
        """State that says when these may be forgotten."""
        if not names:
            return {}
        period = now_us // self._length_us
        state: dict[str, bytes | None] = {f"x:{period}:{position.major}": _encode(list(names))}
        if period not in self._periods:
            self._periods.add(period)
            state[PERIODS] = _encode(sorted(self._periods))
        return state

    async def forget(self, now_us: int) -> dict[str, bytes | None]:
        """State without some of what is past its time; empty, and quick, when nothing is."""
        if not self._due:
            await self._look(now_us // self._length_us)
        gone, self._due = self._due[:FORGOTTEN_AT_ONCE], self._due[FORGOTTEN_AT_ONCE:]
        if not gone:
            return {}
        state: dict[str, bytes | None] = dict.fromkeys(gone)
        state[PERIODS] = _encode(sorted(self._periods))
        return state

    async def _look(self, period: int) -> None:
        """One period a time; it stays listed until a later look finds it empty, whatever comes between."""
        for old in sorted(p for p in self._periods if p < period - _PARTS):
            lists = await self._state.scan(f"x:{old}:")
            if lists:
                self._due = [name for value in lists.values() for name in _names.decode(value)] + list(lists)
                return
            self._periods.discard(old)
