"""`/v1/ask` without a language model on the demo's airline. `python -m bench asking`.

The demo runs as `headrace demo` starts it, its simulator at the usual pace, so answers are made while rows change. The
questions are the page's own, asked as their persons, follow-ups in the conversation that they follow.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.process import Client, Headrace, headrace_demo
from bench.report import Failed, Figure, Goal, Outcome, Settings, spread

SIMULATOR_SPEED = 1.0
AT_ONCE = 20
PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Example:
    """A question of the page and who asks it."""

    text: str
    user: str | None


class Asking:
    """Asks over one connection, keeps the milliseconds, and counts what was not answered."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.times: list[float] = []
        self.abstained: list[str] = []

    def conversations(self, examples: Sequence[Example]) -> None:
        """All of them in order; a question of the same person as the one before goes on with that conversation."""
        last: Example | None = None
        conversation: str | None = None
        for example in examples:
            follows = last is not None and example.user is not None and example.user == last.user
            conversation = self.ask(example, conversation if follows else None)
            last = example

    def ask(self, example: Example, conversation: str | None = None) -> str:
        """The conversation's id."""
        asked = {"question": example.text, "user": example.user, "conversation": conversation}
        body = {name: value for name, value in asked.items() if value is not None}
        began = time.perf_counter()
        answer = self._client.post("/v1/ask", body)
        self.times.append((time.perf_counter() - began) * 1000)
        told: dict[str, Any] = json.loads(answer)
        if told["abstained"]:
            self.abstained.append(example.text)
        return str(told["conversation"])


def run(settings: Settings) -> Outcome:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-bench-")))
        running = stack.enter_context(headrace_demo(folder, speed=SIMULATOR_SPEED))
        client = stack.enter_context(contextlib.closing(running.client()))
        examples = [Example(q["text"], q["user"]) for q in client.json("/demo/state")["questions"]]
        documents = client.json("/v1/status")["documents"]["total"]
        alone = Asking(client)
        for _ in range(3):
            alone.conversations(examples)
        alone.times.clear()
        for _ in range(settings.of(50)):
            alone.conversations(examples)
            time.sleep(PAUSE_S)
        crowd = at_once(running, examples, settings.of(25))
    times = [t for asking in crowd for t in asking.times]
    unanswered = [text for asking in (alone, *crowd) for text in asking.abstained]
    asked = len(alone.times) + len(times)
    share = 100 * (1 - len(unanswered) / asked)
    return Outcome(
        (
            spread("question → answer", "headrace", alone.times, p50=40),
            spread(f"question → answer, {AT_ONCE} at once", "headrace", times, p99=300),
            Figure("questions answered", "headrace", "%", round(share, 2), goals=(Goal("all", not unanswered),)),
        ),
        (
            f"{documents} documents, simulator at speed {SIMULATOR_SPEED:g}, no language model, {asked} questions",
            *(f"not answered: {text}" for text in sorted(set(unanswered))),
        ),
    )


def at_once(running: Headrace, examples: Sequence[Example], rounds: int) -> list[Asking]:
    """So many clients, each with its own connection, that ask together, round after round, each another question.

    Follow-ups are left out: alone they ask for nothing.
    """
    whole = [e for n, e in enumerate(examples) if e.user is None or n == 0 or examples[n - 1].user != e.user]
    start = threading.Barrier(AT_ONCE)
    crowd = [Asking(running.client()) for _ in range(AT_ONCE)]
    problems: list[Exception] = []

    def ask(number: int) -> None:
        try:
            for turn in range(rounds + 1):
                start.wait(120)
                crowd[number].ask(whole[(number + turn) % len(whole)])
                if turn == 0:
                    crowd[number].times.clear()
                time.sleep(PAUSE_S)
        except Exception as problem:  # noqa: BLE001 - told by the thread that can
            problems.append(problem)
            start.abort()

    threads = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    if problems:
        raise Failed(f"{AT_ONCE} at once: {problems[0]!r}") from problems[0]
    return crowd
