"""head(): everything that happened before the call is at or before the position it gives."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import threading
from pathlib import Path

import pytest

from headrace.change import START
from headrace.errors import SourceError
from tests.integration.folder import MemoryLog, Reader, contents, source_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


async def test_a_file_written_before_the_call_is_in_the_stream_by_then(tmp_path: Path) -> None:
    """1,000 times, each at a random moment, with another writer in the same folder."""
    dice, stop = random.Random(7), threading.Event()

    def disturb() -> None:
        n = 0
        while not stop.wait(0.0005):
            n += 1
            (tmp_path / f"noise{n % 20}.md").write_text(str(n))
            if n % 50 == 0:
                (tmp_path / f"folder{n}").mkdir()

    async with Reader(source_of(tmp_path)) as reader:
        noise = threading.Thread(target=disturb)
        noise.start()
        try:
            for n in range(1000):
                path = tmp_path / f"{dice.randrange(50)}.md"
                content = f"{n}".encode()
                match dice.randrange(4):
                    case 0 if path.exists():
                        path.unlink()
                        content = b""
                    case 1:
                        path.with_name("t.tmp").write_bytes(content)
                        path.with_name("t.tmp").replace(path)
                    case _:
                        path.write_bytes(content)
                head = await reader.source.head()
                await reader.until(lambda head=head: reader.frontier >= head)

                given = [c for c in reader.log.changes() if c.key == (path.name,) and c.position <= head]
                after = given[-1].after if given else None
                assert (after[1] if after else b"") == content, n
                if dice.random() < 0.1:
                    await asyncio.sleep(dice.random() * 0.003)
        finally:
            stop.set()
            noise.join()


async def test_calls_at_once_share_the_work_and_idle_ones_give_the_same_position(tmp_path: Path) -> None:
    async with Reader(source_of(tmp_path)) as reader:
        first = await reader.sync()
        steps = len(reader.log.steps)

        heads = await asyncio.gather(*(reader.source.head() for _ in range(200)))

        assert set(heads) == {first}
        assert len(reader.log.steps) == steps
        assert first > START


async def test_during_the_first_copy_the_head_is_its_end(tmp_path: Path) -> None:
    for n in range(300):
        (tmp_path / f"{n}.md").write_text(str(n))
    async with Reader(source_of(tmp_path, batch_rows=20)) as reader:
        head = await reader.source.head()
        await reader.until(lambda: reader.frontier >= head)

        assert len([c for c in reader.log.changes() if c.position <= head]) == 300


async def test_positions_handed_out_before_a_crash_are_reached_after_it(tmp_path: Path) -> None:
    # given: a change that left nothing behind, and a crash that lost all of it
    async with Reader(source_of(tmp_path)) as reader:
        await reader.sync()
        (tmp_path / "a.md").write_text("a")
        await reader.sync()
        (tmp_path / "a.md").unlink()
        promised = await reader.sync()
    reader.log.lose(0)

    # when
    async with Reader(source_of(tmp_path), reader.log) as again:
        # then
        assert await again.sync() > promised


async def test_a_file_being_replaced_is_not_waited_for_but_a_deleted_one_is_gone(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("old")
    (tmp_path / "b.md").write_text("old")
    async with Reader(source_of(tmp_path)) as reader:
        await reader.sync()

        (tmp_path / "a.md").rename(tmp_path / "a.md~")
        (tmp_path / "b.md").rename(tmp_path / "b.md~")
        with (tmp_path / "a.md").open("w") as half:
            half.write("ha")
            half.flush()
            await reader.sync()
            assert reader.log.documents() == {"a.md": b"old"}
            half.write("lf")
        await reader.sync()

        assert reader.log.documents() == {"a.md": b"half"}


async def test_a_source_that_is_not_read_says_so_or_waits(tmp_path: Path) -> None:
    source = source_of(tmp_path)
    early = asyncio.create_task(source.head())
    await asyncio.sleep(0.01)
    assert not early.done()

    async with Reader(source):
        assert await early > START

    with pytest.raises(SourceError, match="closed"):
        await source.head()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


async def test_nothing_stays_open_however_the_stream_ends(tmp_path: Path) -> None:
    for n in range(200):
        (tmp_path / f"{n % 10}").mkdir(exist_ok=True)
        (tmp_path / f"{n % 10}/{n}.md").write_text(str(n))
    log = MemoryLog()
    async with Reader(source_of(tmp_path), log) as reader:
        await reader.sync()
    threads, open_before = threading.active_count(), descriptors()

    for n in range(30):
        (tmp_path / "0/again.md").write_text(str(n))
        reader = Reader(source_of(tmp_path, batch_rows=7), MemoryLog() if n % 2 else log)
        async with reader:
            if n % 3 == 0:
                await reader.sync()
            elif n % 3 == 1:
                await asyncio.sleep(0.0005 * n)
            head = asyncio.create_task(reader.source.head())
            await asyncio.sleep(0)
            if n % 5 == 0:
                await reader.source.close()
        head.cancel()
        await asyncio.gather(head, return_exceptions=True)

    assert descriptors() <= open_before
    assert threading.active_count() <= threads + 1
    async with Reader(source_of(tmp_path), log) as reader:
        await reader.sync()
    assert log.documents() == contents(tmp_path)


async def test_closing_ends_the_stream_for_whoever_reads_it(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("a")
    source = source_of(tmp_path)
    reader = Reader(source)
    async with reader:
        await reader.sync()
        await source.close()
        await source.close()
        (tmp_path / "b.md").write_text("b")
        await asyncio.sleep(0.02)

        assert reader.failure is None
        assert reader.log.documents() == {"a.md": b"a"}
        assert not await source.retry("docs", "a.md")
