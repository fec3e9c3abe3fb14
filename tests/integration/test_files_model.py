"""Thousands of random operations on a folder, with crashes in between: the replayed log always equals the folder.

A failing seed is replayed by `pytest "tests/integration/test_files_model.py::test_the_log_equals_the_folder[SEED]"`.
"""

# ruff: noqa: ASYNC240 - what blocks the loop here happens before the source can look in between

from __future__ import annotations

import asyncio
import random
import shutil
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from headrace.sources.files.source import FileSource
from headrace.sources.files.waiting import Timing
from tests.integration.folder import MemoryLog, Reader, contents, ops, source_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")

NAMES = ["a.md", "b.md", "c.txt", "d", "e", ".hidden", "x.tmp", "ü.md"]


class Hand:
    """Does random things to a folder; what cannot be done at the moment is left."""

    def __init__(self, root: Path, seed: int) -> None:
        self._root = root
        self._random = random.Random(seed)
        self._count = 0
        self._acts: list[Callable[[], None]] = [
            *[self._write] * 6,
            *[self._save_by_rename] * 3,
            *[self._save_by_backup] * 2,
            *[self._delete] * 3,
            *[self._rename] * 4,
            self._append,
            self._grow_tree,
            self._remove_tree,
            self._exchange_with_folder,
            self._link,
            self._touch,
        ]

    def act(self) -> None:
        with suppress(OSError, shutil.Error):
            self._random.choice(self._acts)()

    def chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def between(self, low: int, high: int) -> int:
        return self._random.randint(low, high)

    def _path(self) -> Path:
        depth = self._random.choice([1, 1, 1, 2, 2, 3])
        return self._root.joinpath(*[self._random.choice(NAMES) for _ in range(depth)])

    def _content(self) -> bytes:
        self._count += 1
        return f"{self._count % 50:02}".encode() * self._random.choice([1, 1, 1, 40])  # sizes and contents come again

    def _write(self) -> None:
        self._path().write_bytes(self._content())

    def _save_by_rename(self) -> None:
        path = self._path()
        temporary = path.with_name(f".{path.name}.{self._count}")
        temporary.write_bytes(self._content())
        temporary.replace(path)

    def _save_by_backup(self) -> None:
        path = self._path()
        path.rename(path.with_name(path.name + "~"))
        path.write_bytes(self._content())

    def _append(self) -> None:
        with self._path().open("ab", buffering=0) as file:
            file.write(self._content())

    def _delete(self) -> None:
        self._path().unlink()

    def _rename(self) -> None:
        self._path().rename(self._path())

    def _grow_tree(self) -> None:
        base = self._path()
        (base / "d/e").mkdir(parents=True)
        for path in ("a.md", "d/b.md", "d/e/c.txt"):
            (base / path).write_bytes(self._content())

    def _remove_tree(self) -> None:
        path = self._path()
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)

    def _exchange_with_folder(self) -> None:
        path = self._path()
        path.unlink()
        path.mkdir()
        (path / "a.md").write_bytes(self._content())

    def _link(self) -> None:
        self._path().symlink_to(self._path())

    def _touch(self) -> None:
        self._path().touch()


def source(root: Path) -> FileSource:
    return source_of(root, timing=Timing(quiet=0.03), batch_rows=25)


@pytest.mark.parametrize("seed", range(8))
async def test_the_log_equals_the_folder(tmp_path: Path, seed: int) -> None:
    """2,000 operations a seed, a crash every 250 or so; each loses a random part of what was not yet on disk."""
    hand = Hand(tmp_path, seed)
    log, durable = MemoryLog(), 0
    done = 0
    while done < 2000:
        async with Reader(source(tmp_path), log) as reader:
            for _ in range(hand.between(1, 500)):
                hand.act()
                done += 1
                if hand.chance(0.05):
                    await asyncio.sleep(0.001 * hand.between(0, 4))
                if hand.chance(0.01):
                    await reader.sync()
                    assert log.documents() == contents(tmp_path)
            if hand.chance(0.5):
                await reader.sync()
        durable = hand.between(durable, len(log.steps))
        log.lose(durable)
        for _ in range(hand.between(0, 30)):
            hand.act()

    async with Reader(source(tmp_path), log) as reader:
        await reader.sync()

    assert log.documents() == contents(tmp_path)
    assert len({c.position for c in log.changes()}) == len(log.changes())


@pytest.mark.parametrize("seed", range(3))
async def test_the_log_equals_the_folder_under_concurrent_writers(tmp_path: Path, seed: int) -> None:
    """The same from two threads, so that everything happens while the source looks."""
    hands = [Hand(tmp_path, seed * 100 + n) for n in range(2)]

    def work(hand: Hand) -> None:
        for _ in range(1500):
            hand.act()

    async with Reader(source(tmp_path)) as reader:
        threads = [threading.Thread(target=work, args=(hand,)) for hand in hands]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            await reader.sync()
        await reader.sync()

        assert reader.log.documents() == contents(tmp_path)


async def test_ten_thousand_files_under_load(tmp_path: Path) -> None:
    # given ten thousand files in folders, beside a folder that links lead to
    root, outside = tmp_path / "root", tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "secret.md").write_text("secret")
    for n in range(10_000):
        path = root / f"f{n % 100:02}" / ("" if n % 3 else "sub") / f"{n}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(n))

    def work(seed: int) -> None:
        """As editors save, and as people move folders about; each thread has folders of its own."""
        dice = random.Random(seed)
        folders = [root / f"f{n:02}" for n in range(seed, 100, 2)]
        for turn in range(500):
            at = dice.randrange(len(folders))
            files = sorted(folders[at].rglob("*.md"))
            one = dice.choice(files)
            match dice.randrange(8):
                case 0:  # the whole folder gets another name
                    folders[at] = folders[at].rename(root / f"g{seed}-{turn}")
                case 1:
                    one.unlink()
                case 2:
                    (one.parent / f"new{turn}.md").write_text("new")
                case 3:
                    one.rename(one.with_name(f"moved{turn}.md"))
                case 4:
                    (one.parent / f"link{turn}.md").symlink_to(outside / "deep" / "secret.md")
                    (one.parent / f"folder{turn}").symlink_to(outside / "deep")
                case 5:
                    one.write_text(f"in place {turn}")
                case _:
                    fresh = one.with_name(f".{one.name}.swp")
                    fresh.write_text(f"saved {turn}")
                    fresh.replace(one)

    # when all goes on during the first copy, a crash in it, and after
    log = MemoryLog()
    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(2)]
    async with Reader(source_of(root, batch_rows=500), log) as reader:
        await reader.until(lambda: len(log.changes()) >= 2000)
        for thread in threads:
            thread.start()
        await reader.until(lambda: len(log.changes()) >= 4000)
    log.lose(len(log.steps) - 1)
    async with Reader(source_of(root, batch_rows=500), log) as reader:
        for thread in threads:
            await asyncio.to_thread(thread.join)
        await reader.sync()

        # then the log amounts to the folder, and nothing came from outside of it
        assert log.documents() == contents(root)
        assert len(log.documents()) > 9_000
        assert not any(c.after and c.after[1] == b"secret" for c in log.changes())


async def test_a_queue_that_overflows_loses_nothing(tmp_path: Path) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    (tmp_path / "deleted").mkdir()
    for n in range(500):
        (tmp_path / f"deleted/{n}.md").write_text("there")
    async with Reader(source_of(tmp_path)) as reader:
        await reader.sync()
        given = len(reader.log.steps)

        # when: more happens than the kernel keeps, while nobody reads
        for n in range(most // 3 + 200):
            (tmp_path / f"{n}.md").write_text(str(n))
        shutil.rmtree(tmp_path / "deleted")
        (tmp_path / "after").mkdir()
        (tmp_path / "after/a.md").write_text("late")
        await reader.sync()

        # then: all of it is found, and what happens later is followed again
        assert reader.log.documents() == contents(tmp_path)
        assert {op for op, _ in ops(reader.log, given)} == {"c", "d"}
        (tmp_path / "after/b.md").write_text("later")
        await reader.sync()
        assert reader.log.documents()["after/b.md"] == b"later"
