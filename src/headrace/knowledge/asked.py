"""One step that a language model does: which topics, which model, how it answers, and when it may be asked again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from time import monotonic

from headrace.errors import GenerationError
from headrace.knowledge.asking import BadAnswer, Outcome, Task
from headrace.knowledge.steps import Step
from headrace.models import Generator
from headrace.stores.told import ToTell

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
LONGEST_ANSWER = 100_000
"""Characters; a model that goes on is cut off."""


@dataclass(slots=True)
class Counts:
    """Since the start. `recalled`: outcomes that were there before; `errors`: the model did not answer; `bad`: it
    answered something else; `given_up`: documents."""

    asked: int = 0
    recalled: int = 0
    errors: int = 0
    bad: int = 0
    given_up: int = 0


@dataclass(slots=True)
class _Pause:
    """After requests that failed one after another."""

    failures: int = 0
    until: float = 0.0
    error: str | None = None


class Asked:
    """`topics`: those whose documents it is for; `parallel`: requests at a time."""

    def __init__(self, task: Task, generator: Generator, topics: frozenset[str], parallel: int) -> None:
        self.task = task
        self.model = generator.id
        self.topics = topics
        self.parallel = parallel
        of = task.step
        self.step = Step(of.name, of.version, {**of.settings, "model": generator.id})
        self.key = self.step.key("")
        """Of its outcomes: another model, label or limit has another."""
        self.counts = Counts()
        self.answered = 0
        """Requests that the model had an answer to."""
        self._generator = generator
        self._slots = asyncio.Semaphore(parallel)
        self._pause = _Pause()

    @property
    def name(self) -> str:
        return self.task.step.name

    @property
    def paused(self) -> bool:
        """Whether it is too early to ask it again."""
        return self._pause.until > monotonic()

    @property
    def error(self) -> str | None:
        """Why the model is not asked right now."""
        return self._pause.error

    def told(self, of: ToTell) -> bool:
        """Whether its outcome stands there."""
        return self.key in (of.classified, of.summarised)

    async def ask(self, of: ToTell) -> Outcome:
        """Waits for its turn. Raises GenerationError, after which it is better paused, and BadAnswer."""
        async with self._slots:
            self.counts.asked += 1
            try:
                answer = await self._answer(of)
            except GenerationError as error:
                self.counts.errors += 1
                self._failed(error)
                raise
            self._pause = _Pause()
            self.answered += 1
        try:
            return self.task.read(answer)
        except BadAnswer:
            self.counts.bad += 1
            raise

    async def _answer(self, of: ToTell) -> str:
        messages = self.task.messages(of.title, of.text)
        pieces = self._generator.stream(messages, max_tokens=self.task.max_tokens)
        answer = ""
        try:
            async for piece in pieces:
                answer += piece
                if len(answer) > LONGEST_ANSWER:
                    break
        finally:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()
        return answer

    def _failed(self, error: GenerationError) -> None:
        failures = self._pause.failures + 1
        pause_s = min(FIRST_PAUSE_S * 2 ** (failures - 1), LONGEST_PAUSE_S) * random.uniform(0.75, 1.25)  # noqa: S311
        self._pause = _Pause(failures, monotonic() + pause_s, str(error))
