"""kill -9 between and in pushes that are sent again until they are answered: nothing twice, nothing lost."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from pathlib import Path

import httpx2

from tests.pushing import NDJSON, lines, push, settings, upsert
from tests.whole import Whole, children, kill_all

SEED = 20261121
KILLS = 50


class Sender:
    """Pushes request after request, each with its key, until each is answered; some as events without one."""

    def __init__(self, headrace: Whole, number: int) -> None:
        self._headrace = headrace
        self._number = number
        self._dice = random.Random(SEED + number)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.sent: list[int] = []
        self.requests = 0
        self.again = 0

    def start(self) -> Sender:
        self._thread.start()
        return self

    def end(self) -> None:
        """After its last request was answered."""
        self._ending.set()
        self._thread.join(120)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while not self._ending.is_set():
            first = 1_000_000 * self._number + len(self.sent)
            count = self._dice.choice((1, 7, 1300))
            self._until_answered(first, count, event=self._dice.random() < 0.3)
            self.sent += range(first, first + count)
            self.requests += 1

    def _until_answered(self, first: int, count: int, *, event: bool) -> None:
        """1300 records are three parts: a kill hits between them too."""
        rows = [upsert(f"t{self._number}", id=n) for n in range(first, first + count)]
        bodies = [_event(row, n) for n, row in enumerate(rows, first)] if event else rows
        once = "" if event else f"{self._number}-{first}"
        while True:
            try:
                answer = push(self._headrace, lines(bodies), NDJSON, once=once, timeout_s=20)
            except httpx2.TransportError:
                answer = None
            if answer is not None and answer.status == 202:
                accepted, duplicates, _, rejected = answer.counts
                assert (accepted + duplicates, rejected) == (count, 0)
                assert event or not duplicates
                return
            assert answer is None or answer.status in (429, 503), answer.body
            self.again += 1
            time.sleep(0.02)


def _event(row: object, n: int) -> dict[str, object]:
    return {"specversion": "1.0", "id": str(n), "source": "/sender", "type": "t", "data": row}


def test_fifty_kills_lose_and_double_no_push(tmp_path: Path) -> None:
    moments = random.Random(SEED)
    headrace = Whole(tmp_path, settings())
    senders = [Sender(headrace, n) for n in range(2)]
    try:
        headrace.start()
        for sender in senders:
            sender.start()
        for n in range(KILLS):
            time.sleep(moments.uniform(0.0, 0.6))
            if n % 3 == 0 and headrace.postmaster:  # what only the store's memory had is gone too
                kill_all([headrace.pid, headrace.postmaster, *children(headrace.postmaster)])
            headrace.kill()
            headrace.start()
        for sender in senders:
            sender.end()

        for n, sender in enumerate(senders):
            assert sender.requests > KILLS // 4
            assert sender.again > KILLS // 4
            got = [e["key"]["id"] for e in headrace.lines(f"/v1/log/crm.t{n}")]
            assert not [k for k, times in Counter(got).items() if times > 1]
            assert got == sender.sent
    finally:
        headrace.close()
