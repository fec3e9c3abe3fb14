"""The watch for systems without inotify, where hints come late, merged and in any order. (It works on Linux, too.)"""

from __future__ import annotations

import random
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from headrace.sources import SourceSettings
from headrace.sources.files.source import FileSource
from headrace.sources.files.watch_portable import PortableWatch
from tests.integration.folder import MemoryLog, Reader, contents


def portable(root: Path) -> FileSource:
    return FileSource(SourceSettings("docs", root.as_uri(), "test"), watch=PortableWatch)


async def test_changes_come_by_themselves(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("a")
    async with Reader(portable(tmp_path)) as reader:
        await reader.sync()
        assert reader.log.documents() == {"a.md": b"a"}

        (tmp_path / "a.md").write_text("A")
        await reader.until(lambda: reader.log.documents() == {"a.md": b"A"})
        (tmp_path / "x/y").mkdir(parents=True)
        (tmp_path / "x/y/b.md").write_text("b")
        await reader.until(lambda: reader.log.documents() == {"a.md": b"A", "x/y/b.md": b"b"})
        (tmp_path / "x").rename(tmp_path / "z")
        await reader.until(lambda: reader.log.documents() == {"a.md": b"A", "z/y/b.md": b"b"})
        (tmp_path / "a.md").unlink()
        shutil.rmtree(tmp_path / "z")
        await reader.until(lambda: reader.log.documents() == {})


async def test_a_head_does_not_depend_on_hints(tmp_path: Path) -> None:
    async with Reader(portable(tmp_path)) as reader:
        for n in range(50):
            (tmp_path / f"{n % 7}.md").write_text(str(n))
            head = await reader.sync()
            given = [c for c in reader.log.changes() if c.position <= head and c.key == (f"{n % 7}.md",)]
            assert given[-1].after == (f"{n % 7}.md", str(n).encode())


@pytest.mark.parametrize("seed", range(2))
async def test_the_log_equals_the_folder(tmp_path: Path, seed: int) -> None:
    dice, log = random.Random(seed), MemoryLog()
    for _ in range(4):
        async with Reader(portable(tmp_path), log) as reader:
            for n in range(150):
                path = tmp_path.joinpath(*[dice.choice("abcde") for _ in range(dice.randint(1, 3))])
                with suppress(OSError):
                    match dice.randrange(5):
                        case 0:
                            path.mkdir(parents=True)
                        case 1:
                            path.rename(tmp_path / dice.choice("abcde"))
                        case 2:
                            path.unlink()
                        case _:
                            path.write_text(f"{n % 20:02}")
            if dice.random() < 0.5:
                await reader.sync()
        log.lose(dice.randint(0, len(log.steps)))

    async with Reader(portable(tmp_path), log) as reader:
        await reader.sync()
    assert log.documents() == contents(tmp_path)
