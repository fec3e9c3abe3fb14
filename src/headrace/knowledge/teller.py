"""What a language model tells of documents: labels and summaries, behind the other steps, while documents are served.

A document never waits for a model. What is to be done stands in the store: each present version names the steps that
are done with it. So it goes on where it was after any end; the newest versions come first; and what is told of a text
that is no longer there is let go of.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Literal

import structlog

from headrace.errors import GenerationError, GenerationRefused, HeadraceError, RedactionError, StoreError
from headrace.knowledge.asked import Asked
from headrace.knowledge.asking import BadAnswer, Outcome
from headrace.knowledge.cutting import source_of
from headrace.knowledge.operator import Knowledge
from headrace.knowledge.pauses import FIRST_PAUSE_S, LONGEST_PAUSE_S
from headrace.knowledge.steps import CLASSIFY, SUMMARISE, Chain, read_chain
from headrace.stores import Store, Transaction
from headrace.stores.dead_letters import DeadLetter, DeadLetterDraft
from headrace.stores.told import ToldBy, ToTell
from headrace.stores.values import JSON, Failure

STEPS = (CLASSIFY, SUMMARISE)
ATTEMPTS = 3
"""So often a document is tried before it is given up: bad answers, refusals, and failures while others are answered."""
LOOK_AGAIN_S = 2.0
"""What was repaired or made anew tells nobody."""
ALL_AGAIN_S = 60.0
COUNT_S = 2.0
REMEMBERED = 256
"""Outcomes that are kept in memory until they stand in the store."""
FORGOTTEN_S = 600.0
"""So long after its time a failure counts no more."""
HIGHEST = 1 << 62

logger = structlog.get_logger("headrace.knowledge")


@dataclass(frozen=True, slots=True)
class Telling:
    """How far it is. `left`: documents that the steps of now are not done with; `rate`: a second, since it last had
    nothing to do; `error`: why a model is not asked right now."""

    state: Literal["off", "running", "waiting", "done"]
    done: int = 0
    left: int = 0
    rate: float = 0.0
    eta_s: float | None = None
    error: str | None = None


@dataclass(slots=True)
class _Tries:
    """Of one document's text at one step. `times`: all failures, `failures` its own; `answered`: how many others had
    been answered at the last one."""

    times: int = 0
    failures: int = 0
    answered: int = -1
    not_before: float = 0.0


class Teller:
    """`turn` is the knowledge operator's; `changed` is set when it has applied something."""

    def __init__(
        self, asked: Sequence[Asked], knowledge: Knowledge, store: Store, turn: asyncio.Lock, changed: asyncio.Event
    ) -> None:
        self.asked = asked
        self.now = Telling("running")
        self.ended = asyncio.Event()
        """Set while nothing is left that can be told."""
        self._knowledge = knowledge
        self._store = store
        self._turn = turn
        self._changed = changed
        self._page_size = 2 * max((a.parallel for a in asked), default=8)
        """Small: what comes meanwhile waits for no more."""
        self._characters = max((a.task.characters for a in asked), default=0) + 1
        self._tries: dict[tuple[str, str, bytes], _Tries] = {}
        self._known: OrderedDict[tuple[str, bytes], Outcome] = OrderedDict()
        self._asking: dict[tuple[str, bytes], asyncio.Lock] = {}
        self._done = 0
        self._off = False
        """Nothing is asked, and nothing is left of what was."""
        self._looks = 0
        self._left = 0
        self._later = 0
        """Documents that this round could not be done with."""
        self._all_at = 0.0
        self._began, self._first = monotonic(), 0
        self._counted_at = 0.0

    def steps(self) -> Mapping[str, JSON]:
        """Of each key, to be remembered by `Store.keep_chains`."""
        return {a.key: Chain([a.step]).to_json() for a in self.asked}

    def look(self) -> None:
        """Goes through everything once more: something else may be there to be told of."""
        if self._off:
            return
        self.ended.clear()
        self._looks += 1
        self._all_at = 0.0
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled; without any step until nothing is left of earlier ones. Raises StoreError."""
        pause_s, idle = FIRST_PAUSE_S, 0
        while not self._off:
            self._changed.clear()
            done = self._done
            try:
                await self._round()
                idle = idle + 1 if self._later and self._done == done else 0
                if self.asked or self._left:
                    await self._rest(min(LOOK_AGAIN_S * 2**idle, LONGEST_PAUSE_S))
                else:
                    self._off = True
                    self.ended.set()
            except StoreError:
                raise
            except Exception:  # it must never stop what is served; whatever it was, it is tried again
                logger.exception("what language models tell of documents goes on later", again_in_s=pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                continue
            pause_s = FIRST_PAUSE_S

    async def _rest(self, seconds: float) -> None:
        """Looks at what is new meanwhile, and where nothing but that is left ends at once."""
        ends = monotonic() + seconds
        while (left_s := ends - monotonic()) > 0:
            try:
                async with asyncio.timeout(left_s):
                    await self._changed.wait()
            except TimeoutError:
                return
            if not self._later or not self._all_at:
                break  # the next round is quick, or asked for
            await self._newest()
            await self._recount()
            self._say()
        async with self._turn:  # what was being applied then is applied now
            pass

    # ---- all that is left --------------------------------------------------------------------------------------------

    async def _round(self) -> None:
        """Once through what is left."""
        everything = monotonic() >= self._all_at
        looks = self._looks
        self._later = 0
        mades = await self._mades()
        if everything:
            await self._recount()
        due = await self._due() if everything else [(t, "") for t in mades if self._target(t)]
        done = self._done
        for topic, told in due:
            await self._topic(topic, told, mades.get(topic, ()))
        if everything and looks == self._looks:
            self._all_at = monotonic() + (0 if self._later else ALL_AGAIN_S)
        if everything or self._done != done:
            await self._recount()
        self._say()
        if self._later:
            self.ended.clear()
        elif self._all_at:
            self.ended.set()
        long_ago = monotonic() - FORGOTTEN_S
        self._tries = {work: tries for work, tries in self._tries.items() if tries.not_before > long_ago}

    async def _due(self) -> list[tuple[str, str]]:
        """The new ones first."""
        due = {(c.topic, c.told) for c in await self._counts()}
        return sorted(due, key=lambda each: each[1])

    async def _counts(self) -> Sequence[ToldBy]:
        """What the steps of now are not done with, of texts that are those of now."""
        mades = await self._mades()
        async with self._store.snapshot() as snapshot:
            counts = await snapshot.told.counts()
        return [c for c in counts if c.made in mades.get(c.topic, ()) and c.told != self._target(c.topic)]

    async def _mades(self) -> Mapping[str, Sequence[str]]:
        """By topic: the steps whose texts are those of now. What others made may tell what is to be hidden: it is made
        anew first."""
        async with self._store.snapshot() as snapshot:
            told = await snapshot.stock.chains()
        chains = {made: chain for made, steps in told.items() if (chain := read_chain(steps)) is not None}
        return {
            topic: [made for made, chain in chains.items() if chain.text_key == now.text_key]
            for topic, now in self._topics.items()
        }

    async def _topic(self, topic: str, told: str, mades: Sequence[str]) -> None:
        below = HIGHEST
        while page := await self._read(topic, told, mades, below):
            below = page[-1].number
            await self._page(page)
            wanted = self._wanted(topic)
            if wanted and all(a.paused for a in wanted):
                self._later += 1
                return
            if self._changed.is_set():
                await self._newest()
            if monotonic() > self._counted_at + COUNT_S:
                await self._recount()
            self._say()

    async def _newest(self) -> None:
        """What has just come does not wait behind the rest."""
        self._changed.clear()
        async with self._turn:
            pass
        for topic, mades in (await self._mades()).items():
            if self._target(topic):
                await self._page(await self._read(topic, "", mades, HIGHEST))

    async def _read(self, topic: str, told: str, mades: Sequence[str], below: int) -> Sequence[ToTell]:
        async with self._store.snapshot() as snapshot:
            page = await snapshot.told.of(topic, told, mades, below, self._page_size, self._characters)
        if len(page) > self._left:  # they have come since it was counted
            self._left = len(page)
            self._say()
        return page

    async def _page(self, page: Sequence[ToTell]) -> None:
        due = [one for one in page if not self._waits(one)]
        self._later += len(page) - len(due)
        try:
            async with asyncio.TaskGroup() as tasks:
                for one in due:
                    tasks.create_task(self._document(one), name=f"tell of {one.id}")
        except ExceptionGroup as errors:  # `except*` would wrap what is raised in it, before Python 3.11.4
            known = errors.subgroup(StoreError)
            raise (known or errors).exceptions[0] from None

    # ---- one document ------------------------------------------------------------------------------------------------

    async def _document(self, one: ToTell) -> None:
        wanted = self._wanted(one.topic)
        later = False
        for asked in wanted:
            if not one.nothing and not asked.told(one) and not self._given_up(asked, one):
                later = not await self._tell(asked, one) or later
        if later:
            self._later += 1
        else:
            await self._end(one, {a.name for a in wanted})

    async def _tell(self, asked: Asked, one: ToTell) -> bool:
        """False when it is to be tried again."""
        try:
            outcome = await self._outcome(asked, one)
            if outcome is None:
                return False
            await self._put(asked, one, outcome)
        except StoreError:
            raise
        except HeadraceError as error:
            return await self._failed(asked, one, error)
        except Exception as error:
            logger.exception("a document cannot be told of", document=one.id, step=asked.name)
            return await self._failed(asked, one, _unexpected(asked, error))
        self._tries.pop(_try(asked, one), None)
        return True

    async def _outcome(self, asked: Asked, one: ToTell, *, again: bool = False) -> Outcome | None:
        """What was told of the same text before, or what the model tells now; one asks at a time. None while it is not
        asked; with `again` it is in any case."""
        work = _work(asked, one)
        lock = self._asking.setdefault(work, asyncio.Lock())
        try:
            async with lock:
                before = None if again else self._known.get(work) or await self._recalled(asked, one)
                if before is not None and asked.task.holds(before):
                    asked.counts.recalled += 1
                    return before
                if asked.paused and not again:
                    return None
                outcome = await asked.ask(one)
                if isinstance(outcome, str):
                    outcome = await self._knowledge.hidden(source_of(one.topic), outcome)
                self._known[work] = outcome
                if len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
                return outcome
        finally:
            if not lock.locked():
                self._asking.pop(work, None)

    async def _recalled(self, asked: Asked, one: ToTell) -> Outcome | None:
        async with self._store.snapshot() as snapshot:
            of = snapshot.told.labels if asked.name == CLASSIFY else snapshot.told.summary
            return await of(asked.key, one.input)

    async def _put(self, asked: Asked, one: ToTell, outcome: Outcome) -> None:
        """Nothing, when the document is of another text by now, or gone."""
        while True:
            model = self._knowledge.model
            gist = await self._knowledge.gist(one.topic, one.title, outcome) if isinstance(outcome, str) else None
            async with self._turn, self._store.transaction() as transaction:
                if self._knowledge.model != model:
                    continue  # its vector is of the model before
                if isinstance(outcome, str):
                    stood = await transaction.told.summarise(one, asked.key, outcome, gist)
                else:
                    stood = await transaction.told.classify(one, asked.key, outcome)
                if stood:
                    await transaction.dead_letters.settle(asked.name, [(one.topic, _key(one))], one.stamp.position)
                return

    async def _end(self, one: ToTell, wanted: set[str]) -> None:
        """Everything that can be told is: what steps told that are no longer asked goes."""
        async with self._turn, self._store.transaction() as transaction:
            if CLASSIFY not in wanted and one.classified:
                await transaction.told.classify(one, "", None)
            if SUMMARISE not in wanted and one.summarised:
                await transaction.told.summarise(one, "", None, None)
            settled = [name for name in STEPS if name not in wanted or one.nothing]
            for name in settled:
                await transaction.dead_letters.settle(name, [(one.topic, _key(one))], one.stamp.position)
            await transaction.told.done(one, self._target(one.topic))
        for asked in self._wanted(one.topic):
            self._tries.pop(_try(asked, one), None)
        self._done += 1

    # ---- what fails --------------------------------------------------------------------------------------------------

    async def _failed(self, asked: Asked, one: ToTell, error: HeadraceError) -> bool:
        """Whether it is given up, as it is after some failures of its own."""
        tries = self._tries.setdefault(_try(asked, one), _Tries())
        # A model that answers nobody is no document's fault.
        own = not isinstance(error, GenerationError | RedactionError) or isinstance(error, GenerationRefused)
        tries.failures += own or asked.answered > tries.answered >= 0
        tries.answered = asked.answered
        tries.times += 1
        tries.not_before = monotonic() + FIRST_PAUSE_S * 2 ** min(tries.times, 5)
        logger.warning("a document is not told of yet", document=one.id, step=asked.name, error=str(error))
        if tries.failures < ATTEMPTS:
            return False
        async with self._turn, self._store.transaction() as transaction:
            if await self._nothing(asked, one, transaction):
                await transaction.dead_letters.put([_letter(asked, one, error)])
                asked.counts.given_up += 1
        return True

    def _given_up(self, asked: Asked, one: ToTell) -> bool:
        """While another step is not done with it yet."""
        tries = self._tries.get(_try(asked, one))
        return tries is not None and tries.failures >= ATTEMPTS

    async def _nothing(self, asked: Asked, one: ToTell, transaction: Transaction) -> bool:
        """What earlier settings told of it goes too. False when the document is of another text by now, or gone."""
        if asked.name == CLASSIFY:
            return await transaction.told.classify(one, "", None)
        return await transaction.told.summarise(one, "", None, None)

    def _waits(self, one: ToTell) -> bool:
        now = monotonic()
        tries = [self._tries.get(_try(a, one)) for a in self._wanted(one.topic) if not a.told(one)]
        return any(t is not None and t.not_before > now for t in tries)

    async def retry(self, letter: DeadLetter) -> None:
        """Asks once more about the document of a dead letter; what comes of it stands in the store then."""
        asked = next((a for a in self.asked if a.name == letter.operator and letter.topic in a.topics), None)
        one = await self._present(letter)
        if asked is None or one is None:
            async with self._store.transaction() as transaction:
                settled = [(letter.topic, letter.key)]
                await transaction.dead_letters.settle(letter.operator, settled, letter.stamp.position)
            return
        try:
            outcome = await self._outcome(asked, one, again=True)
        except (GenerationError, BadAnswer, RedactionError) as error:
            async with self._store.transaction() as transaction:
                await transaction.dead_letters.put([_letter(asked, one, error)])
            return
        if outcome is not None:
            await self._put(asked, one, outcome)

    async def _present(self, letter: DeadLetter) -> ToTell | None:
        mades = (await self._mades()).get(letter.topic, ())
        async with self._store.snapshot() as snapshot:
            id = letter.topic.replace(".", "/", 1) + "/" + letter.key
            return await snapshot.told.document(id, mades, self._characters)

    # ---- how far it is -----------------------------------------------------------------------------------------------

    async def _recount(self) -> None:
        self._counted_at = monotonic()
        self._left = sum(c.documents for c in await self._counts())

    def _say(self) -> None:
        if not self._left:
            self._began, self._first = monotonic(), self._done
        error = next((a.error for a in self.asked if a.error), None)
        rate = (self._done - self._first) / max(monotonic() - self._began, 1e-6) if self._left else 0.0
        state = "done" if self.asked else "off"
        if self._left:
            state = "waiting" if error else "running"
        self.now = Telling(state, self._done, self._left, rate, self._left / rate if rate else None, error)

    # ---- what is wanted ----------------------------------------------------------------------------------------------

    @property
    def _topics(self) -> Mapping[str, Chain]:
        return self._knowledge.chains

    def _wanted(self, topic: str) -> Sequence[Asked]:
        return [a for a in self.asked if topic in a.topics]

    def _target(self, topic: str) -> str:
        """Of all steps that a topic's documents go through here; empty for none."""
        keys = [a.key for a in self._wanted(topic)]
        return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:24] if keys else ""


def _work(asked: Asked, one: ToTell) -> tuple[str, bytes]:
    """The key of a piece of work: of its step and of its input."""
    return asked.key, one.input


def _try(asked: Asked, one: ToTell) -> tuple[str, str, bytes]:
    return asked.key, one.id, one.input


def _key(one: ToTell) -> str:
    return one.id.removeprefix(one.topic.replace(".", "/", 1) + "/")


def _letter(asked: Asked, one: ToTell, error: HeadraceError) -> DeadLetterDraft:
    return DeadLetterDraft(asked.name, one.topic, _key(one), one.stamp, Failure(*error.failure))


def _unexpected(asked: Asked, error: Exception) -> BadAnswer:
    return BadAnswer(
        step=f"{asked.name} a document",
        expected="no failure",
        got=f"{type(error).__name__}: {str(error)[:200]}",
        remedy="See the log for where it failed; retry it after an update, and report it.",
    )
