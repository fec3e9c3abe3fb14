"""Documents are read in processes that are started, limited, replaced and ended; what one does costs itself only."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from headrace.errors import BadInput
from headrace.knowledge.detect import detect
from headrace.knowledge.parsed import Limits, Parsed
from headrace.knowledge.pool import ParserPool
from tests import documents as make

PATIENCE_S = 60.0
PAPER = make.pdf(["a page"])
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _hostile_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes must find `tests.hostile_reader`."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@asynccontextmanager
async def pool(
    limits: Limits | None = None, *, workers: int = 1, idle_s: float = PATIENCE_S
) -> AsyncGenerator[ParserPool]:
    made = ParserPool(limits or Limits(), workers=workers, module="tests.hostile_reader", idle_s=idle_s)
    try:
        yield made
    finally:
        await made.close()
        assert made.pids == []


async def read(made: ParserPool, kind: str) -> Parsed:
    return await made.parse(f"{kind}.bin", b"x", f"test/{kind}")


async def refusal(made: ParserPool, kind: str) -> BadInput:
    with pytest.raises(BadInput) as caught:
        await read(made, kind)
    assert caught.value.step == f"parse {kind}.bin"
    return caught.value


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - another process's end has no event
            await asyncio.sleep(0.02)


async def test_no_process_is_there_before_it_is_needed_and_one_reads_many() -> None:
    async with pool() as made:
        assert made.pids == []

        first = await made.parse("a.pdf", PAPER, detect("a.pdf", PAPER))
        pids = made.pids
        second = await made.parse("b.pdf", PAPER, detect("b.pdf", PAPER))

        assert first.text == second.text == "a page\n\n"
        assert len(pids) == 1
        assert made.pids == pids


async def test_a_process_without_work_is_ended() -> None:
    async with pool(idle_s=0.05) as made:
        await read(made, "chatter")

        await until(lambda: made.pids == [])
        assert (await read(made, "chatter")).text == "heard"


async def test_what_a_document_says_of_itself_comes_back_whole() -> None:
    content = make.zipped({"a.pdf": make.pdf(["one", "two"], date="D:20260131120000Z")})

    async with pool() as made:
        parsed = await made.parse("a.zip", content, "application/zip")

        assert [s.place.to_object() for s in parsed.spans] == [
            {"page": 1, "member": "a.pdf"},
            {"page": 2, "member": "a.pdf"},
        ]


async def test_an_endless_loop_is_ended_by_the_system() -> None:
    async with pool(Limits(timeout_s=1)) as made:
        error = await refusal(made, "loop")

        assert "without a step ahead" in error.got
        assert "[documents] timeout" in error.remedy
        assert (await read(made, "chatter")).text == "heard"


async def test_one_that_waits_for_ever_is_ended_too() -> None:
    async with pool(Limits(timeout_s=0.5)) as made:
        assert (await read(made, "chatter")).text == "heard"  # the process has started
        assert "without a step ahead" in (await refusal(made, "asleep")).got


async def test_steps_give_more_time() -> None:
    async with pool(Limits(timeout_s=1)) as made:
        assert (await read(made, "pages")).text == "read"


async def test_a_need_for_all_memory_is_refused() -> None:
    async with pool(Limits(memory=256 << 20)) as made:
        await read(made, "chatter")
        error = await refusal(made, "eat")

        assert error.got == f"a need for more than {256 << 20:,} bytes"
        assert "[documents] memory" in error.remedy
        assert (await read(made, "chatter")).text == "heard"


async def test_a_crash_in_a_library_costs_one_document() -> None:
    async with pool() as made:
        assert "SIGABRT" in (await refusal(made, "crash")).got
        assert (await read(made, "chatter")).text == "heard"


async def test_an_error_of_a_library_keeps_the_process() -> None:
    async with pool() as made:
        error = await refusal(made, "fail")
        pids = made.pids

        assert error.got == "ZeroDivisionError: of a library"
        assert (await read(made, "chatter")).text == "heard"
        assert made.pids == pids


async def test_a_process_that_was_killed_is_replaced() -> None:
    async with pool() as made:
        await read(made, "chatter")
        os.kill(made.pids[0], 9)

        await until(lambda: made.pids == [])
        assert (await read(made, "chatter")).text == "heard"


async def test_there_are_never_more_processes_than_workers() -> None:
    async with pool(workers=2) as made:
        most = 0

        async def one() -> None:
            nonlocal most
            await read(made, "breath")
            most = max(most, len(made.pids))

        await asyncio.gather(*(one() for _ in range(4)))

        assert most == 2


async def test_a_reading_that_is_given_up_leaves_no_process_at_it() -> None:
    async with pool() as made:
        task = asyncio.create_task(read(made, "loop"))
        await until(lambda: len(made.pids) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert (await read(made, "chatter")).text == "heard"


async def test_a_reading_is_given_up_in_the_middle_of_a_large_text() -> None:
    async with pool() as made:
        for n in range(12):
            task = asyncio.create_task(read(made, "large"))
            await until(lambda: len(made.pids) == 1)
            await asyncio.sleep(0.1 * n)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

            assert (await read(made, "chatter")).text == "heard"


async def test_nothing_of_the_environment_but_its_paths_goes_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_TEST_SECRET", "s3cr3t")

    async with pool() as made:
        await read(made, "chatter")

        seen = await asyncio.to_thread(Path(f"/proc/{made.pids[0]}/environ").read_bytes)
        assert b"PATH=" in seen
        assert b"s3cr3t" not in seen
