"""A folder that people and programs work in: what each way of saving, renaming and deleting gives."""

# ruff: noqa: ASYNC240 - what blocks the loop here happens before the source can look in between

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from headrace.clock import now_us
from headrace.sources.files.reading import Content, read
from headrace.sources.files.waiting import Timing
from tests.integration.folder import MemoryLog, Reader, contents, ops, source_of
from tests.servers import missing

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")

Save = Callable[[Path, bytes], Awaitable[None]]

# Long enough for a program that a busy machine interrupts in the middle of a save.
PATIENT = Timing(hold=0.3, hold_backup=1.0, hold_name=0.3)


@pytest_asyncio.fixture
async def reader(tmp_path: Path) -> AsyncIterator[Reader]:
    """A folder with one document, read up to its end."""
    (tmp_path / "a.md").write_bytes(b"old")
    async with Reader(source_of(tmp_path, timing=PATIENT)) as reader:
        await reader.sync()
        yield reader


async def in_place(path: Path, new: bytes) -> None:
    """VS Code, nano, shells: truncate and write."""
    path.write_bytes(new)


async def in_place_slowly(path: Path, new: bytes) -> None:
    with path.open("wb", buffering=0) as file:
        file.write(new[:1])
        await asyncio.sleep(0.02)
        file.write(new[1:])


async def by_rename(path: Path, new: bytes) -> None:
    """Most programs that care: a temporary file renamed over the document."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(new)
    temporary.replace(path)


async def by_rename_of_a_visible_name(path: Path, new: bytes) -> None:
    """`sed -i`, git, rsync use names of their own; here one that would be a document if it stayed."""
    temporary = path.with_name("sedBz1kQ2")
    temporary.write_bytes(new)
    temporary.replace(path)


async def by_delete_and_write(path: Path, new: bytes) -> None:
    """git checkout."""
    path.unlink()
    path.write_bytes(new)


async def by_delete_and_rename(path: Path, new: bytes) -> None:
    temporary = path.with_name("#a.md#")
    temporary.write_bytes(new)
    path.unlink()
    temporary.rename(path)


async def by_backup(path: Path, new: bytes) -> None:
    """Vim and Emacs with backups: the original is renamed first, then written anew, sometimes slowly."""
    path.rename(path.with_name(path.name + "~"))
    await asyncio.sleep(0.01)
    with path.open("wb", buffering=0) as file:
        await asyncio.sleep(0.03)
        file.write(new)


async def by_backup_that_is_deleted(path: Path, new: bytes) -> None:
    await by_backup(path, new)
    path.with_name(path.name + "~").unlink()


async def by_exchange(path: Path, new: bytes) -> None:
    """renameat2 with RENAME_EXCHANGE, then the old one is deleted."""
    other = path.with_name(".a.new")
    other.write_bytes(new)
    moved = path.with_name(".a.old")
    path.rename(moved)
    other.rename(path)
    moved.unlink()


@pytest.mark.parametrize(
    "save",
    [
        in_place,
        in_place_slowly,
        by_rename,
        by_rename_of_a_visible_name,
        by_delete_and_write,
        by_delete_and_rename,
        by_backup,
        by_backup_that_is_deleted,
        by_exchange,
    ],
)
async def test_a_save_is_one_change(reader: Reader, tmp_path: Path, save: Save) -> None:
    given = len(reader.log.steps)

    await save(tmp_path / "a.md", b"new and longer")
    await reader.until(lambda: reader.log.documents().get("a.md") == b"new and longer")
    await asyncio.sleep(0.1)
    await reader.sync()

    assert ops(reader.log, given) == [("u", "a.md")]
    assert reader.log.documents() == contents(tmp_path)


@pytest.mark.parametrize(
    "command",
    [
        ["sed", "-i", "s/old/new/", "a.md"],
        ["vim", "-es", "-u", "NONE", "-c", "%s/old/new/", "-c", "wq", "a.md"],
        ["vim", "-es", "-u", "NONE", "-c", "set backup bkc=no", "-c", "%s/old/new/", "-c", "wq", "a.md"],
        ["vim", "-es", "-u", "NONE", "-c", "set wb bkc=no swf", "-c", "%s/old/new/", "-c", "wq", "a.md"],
        ["perl", "-pi", "-e", "s/old/new/", "a.md"],
        ["cp", "--remove-destination", ".b", "a.md"],
        ["install", ".b", "a.md"],
    ],
    ids=lambda command: command[0],
)
async def test_a_save_by_a_real_program_is_one_change(reader: Reader, tmp_path: Path, command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    (tmp_path / ".b").write_bytes(b"new")
    given = len(reader.log.steps)

    program = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, stdin=subprocess.DEVNULL)
    assert await program.wait() == 0
    await reader.until(lambda: reader.log.documents().get("a.md", b"").strip() == b"new")
    await asyncio.sleep(0.1)
    await reader.sync()

    assert ops(reader.log, given) == [("u", "a.md")]


async def test_a_checkout_by_git_is_one_change_a_file(tmp_path: Path) -> None:
    if shutil.which("git") is None:
        missing("git is not installed")

    async def git(*args: str) -> None:
        settings = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        quiet = subprocess.DEVNULL
        program = await asyncio.create_subprocess_exec(
            "git", *settings, *args, cwd=tmp_path, stdout=quiet, stderr=quiet
        )
        assert await program.wait() == 0

    # given: two branches that differ in some documents
    await git("init", "-q", "-b", "one")
    for n in range(20):
        (tmp_path / f"{n}.md").write_text(f"one {n}")
    await git("add", ".")
    await git("commit", "-qm", "one")
    await git("checkout", "-qb", "two")
    for n in range(10):
        (tmp_path / f"{n}.md").write_text(f"two {n}")
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "deep/er/new.md").write_text("two")
    await git("add", ".")
    await git("commit", "-qm", "two")
    async with Reader(source_of(tmp_path, timing=PATIENT)) as reader:
        await reader.sync()
        given = len(reader.log.steps)

        # when
        await git("checkout", "-q", "one")
        await reader.sync()

        # then
        assert reader.log.documents() == contents(tmp_path)
        assert sorted(set(ops(reader.log, given))) == sorted(
            [("u", f"{n}.md") for n in range(10)] + [("d", "deep/er/new.md")]
        )


async def test_a_new_file_is_one_change_and_an_unchanged_save_is_none(reader: Reader, tmp_path: Path) -> None:
    given = len(reader.log.steps)

    (tmp_path / "b.md").write_bytes(b"b")
    await reader.sync()
    (tmp_path / "b.md").write_bytes(b"b")
    os.utime(tmp_path / "b.md")
    await reader.sync()

    assert ops(reader.log, given) == [("c", "b.md")]


async def test_a_rename_is_a_create_and_a_delete_in_one_step(reader: Reader, tmp_path: Path) -> None:
    given = len(reader.log.steps)

    (tmp_path / "a.md").rename(tmp_path / "b.md")
    await reader.until(lambda: "a.md" not in reader.log.documents())

    steps = [step for step in reader.log.steps[given:] if step.changes]
    assert len(steps) == 1
    assert sorted(ops(reader.log, given)) == [("c", "b.md"), ("d", "a.md")]


async def test_a_renamed_folder_takes_its_files_along_and_is_followed(tmp_path: Path) -> None:
    (tmp_path / "x/y").mkdir(parents=True)
    (tmp_path / "x/y/a.md").write_bytes(b"a")
    async with Reader(source_of(tmp_path)) as reader:
        await reader.sync()
        before = now_us()
        await asyncio.sleep(0.02)

        (tmp_path / "x").rename(tmp_path / "z")
        await reader.sync()
        (tmp_path / "z/y/b.md").write_bytes(b"b")
        (tmp_path / "x").mkdir()
        (tmp_path / "x/c.md").write_bytes(b"c")
        await reader.sync()

        assert reader.log.documents() == {"z/y/a.md": b"a", "z/y/b.md": b"b", "x/c.md": b"c"}
        moved = next(c for c in reader.log.changes() if c.key == ("z/y/a.md",))
        assert moved.committed_at > before, "it did not stand there before its folder was moved"


async def test_a_folder_moved_out_of_the_root_is_deleted_and_no_longer_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "x/y").mkdir(parents=True)
    (root / "x/y/a.md").write_bytes(b"a")
    async with Reader(source_of(root)) as reader:
        await reader.sync()

        (root / "x").rename(outside)
        await reader.sync()
        (outside / "y/secret.md").write_bytes(b"not ours")
        await reader.sync()
        assert reader.log.documents() == {}

        outside.rename(root / "back")
        await reader.sync()
        assert reader.log.documents() == {"back/y/a.md": b"a", "back/y/secret.md": b"not ours"}


async def test_files_made_in_a_new_folder_before_it_is_watched_are_found(reader: Reader, tmp_path: Path) -> None:
    for n in range(30):
        folder = tmp_path / f"{n}/b/c/d"
        folder.mkdir(parents=True)
        (folder / "e.md").write_text(str(n))
        if n % 3 == 0:
            await asyncio.sleep(0)
    await reader.sync()

    assert reader.log.documents() == contents(tmp_path)


async def test_a_writer_that_never_closes_is_read_after_a_quiet_moment(tmp_path: Path) -> None:
    timing = Timing(quiet=0.05, quiet_most=0.3)
    async with Reader(source_of(tmp_path, timing=timing)) as reader:
        await reader.sync()
        with (tmp_path / "log.md").open("wb", buffering=0) as file:
            file.write(b"1")
            await reader.until(lambda: reader.log.documents() == {"log.md": b"1"})

            # written to without a pause: read from time to time all the same
            given = len(reader.log.changes())
            for _ in range(50):
                file.write(b"2")
                await asyncio.sleep(0.01)
            assert 1 <= len(reader.log.changes()) - given <= 5


async def test_a_linked_name_is_a_document_at_once(reader: Reader, tmp_path: Path) -> None:
    os.link(tmp_path / "a.md", tmp_path / "b.md")
    await reader.sync()

    assert reader.log.documents() == {"a.md": b"old", "b.md": b"old"}


async def test_a_nameless_file_that_gets_a_name_is_found(reader: Reader, tmp_path: Path) -> None:
    file = os.open(tmp_path, os.O_TMPFILE | os.O_WRONLY)
    os.write(file, b"made elsewhere")
    here = os.open(tmp_path, os.O_RDONLY)
    os.link(f"/proc/self/fd/{file}", "b.md", src_dir_fd=here, dst_dir_fd=here, follow_symlinks=True)
    os.close(here)
    os.close(file)

    await reader.until(lambda: reader.log.documents().get("b.md") == b"made elsewhere")


async def test_hidden_temporary_and_excluded_files_are_never_given(tmp_path: Path) -> None:
    source = source_of(tmp_path, include=["*.md"], exclude=["drafts/"])
    async with Reader(source) as reader:
        await reader.sync()
        for path in [".git/a.md", "drafts/a.md", "a.txt", ".a.md", "a.md~", "x/.y/a.md", "x/a.md", "a.md"]:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(path)
        await reader.sync()

        assert sorted(reader.log.documents()) == ["a.md", "x/a.md"]


async def test_a_file_renamed_to_and_from_a_name_that_is_left_out(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "a.md").rename(tmp_path / ".a.md")
    await reader.until(lambda: reader.log.documents() == {})
    (tmp_path / ".a.md").rename(tmp_path / "b.md")
    await reader.sync()

    assert reader.log.documents() == {"b.md": b"old"}


async def test_a_file_and_a_folder_trade_places(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "a.md").unlink()
    (tmp_path / "a.md").mkdir()
    (tmp_path / "a.md/b.md").write_bytes(b"b")
    await reader.sync()
    assert reader.log.documents() == {"a.md/b.md": b"b"}

    shutil.rmtree(tmp_path / "a.md")
    (tmp_path / "a.md").write_bytes(b"file again")
    await reader.sync()
    assert reader.log.documents() == {"a.md": b"file again"}


async def test_a_file_that_is_written_while_it_is_read_is_never_given_torn(tmp_path: Path) -> None:
    size, stop = 300_000, threading.Event()
    path = tmp_path / "big.md"

    def write() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            path.with_name("next.tmp").write_bytes(bytes([n % 256]) * size)
            path.with_name("next.tmp").replace(path)
            with path.open("r+b", buffering=0) as file:  # and in place, so that times change under the reader
                file.write(bytes([n % 256]) * size)

    async with Reader(source_of(tmp_path)) as reader:
        await reader.sync()
        writer = threading.Thread(target=write)
        writer.start()
        try:
            await reader.until(lambda: len(reader.log.changes()) >= 20)
        finally:
            stop.set()
            writer.join()
        await reader.sync()

    assert reader.log.documents() == contents(tmp_path)
    for change in reader.log.changes():
        assert change.after is not None
        assert len(str(change.after[0])) > 0
        content = change.after[1]
        assert isinstance(content, bytes)
        assert len(content) == size


async def test_commit_times_follow_the_files_and_never_the_future(reader: Reader, tmp_path: Path) -> None:
    before = now_us()
    path = tmp_path / "b.md"
    path.write_bytes(b"b")
    os.utime(path, (4_000_000_000, 4_000_000_000))
    await reader.sync()
    path.unlink()
    await reader.sync()

    created, deleted = reader.log.changes()[-2:]
    assert before - 20_000 <= created.committed_at <= deleted.committed_at <= now_us()


async def test_what_changed_while_nobody_read_is_found_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given: a folder that was read, long enough after it was written
    for name in ["same", "changed", "touched", "deleted", "moved/in"]:
        (tmp_path / f"{name}.md").parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.md").write_text(name)
    await asyncio.sleep(0.03)
    async with Reader(source_of(tmp_path)) as reader:
        await reader.sync()
    log, given = reader.log, len(reader.log.steps)

    # when
    (tmp_path / "changed.md").write_text("CHANGED")
    os.utime(tmp_path / "touched.md")
    (tmp_path / "deleted.md").unlink()
    (tmp_path / "moved").rename(tmp_path / "over")
    (tmp_path / "created.md").write_text("created")
    looked: list[str] = []

    def spy(root: int, path: str, limit: int) -> Content:
        looked.append(path)
        return read(root, path, limit)

    monkeypatch.setattr("headrace.sources.files.tracker.read", spy)
    async with Reader(source_of(tmp_path), log) as again:
        await again.sync()

    # then
    assert sorted(ops(log, given)) == [
        ("c", "created.md"),
        ("c", "over/in.md"),
        ("d", "deleted.md"),
        ("d", "moved/in.md"),
        ("u", "changed.md"),
    ]
    assert log.documents() == contents(tmp_path)
    assert "same.md" not in looked
    moved = next(c for c in log.changes() if c.key == ("over/in.md",))
    assert moved.committed_at >= log.steps[given - 1].frontier.major - 1


async def test_the_first_copy_reports_its_progress_and_goes_on_after_a_crash(tmp_path: Path) -> None:
    for n in range(50):
        (tmp_path / f"{n:02}.md").write_text(str(n))
    log = MemoryLog()
    source = source_of(tmp_path, batch_rows=10)
    async with Reader(source, log) as reader:
        reader.paused.clear()
        async with asyncio.timeout(10):
            while source.snapshot is None or not source.snapshot.total:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert source.snapshot.total == 50
        reader.paused.set()
        await reader.until(lambda: len(log.changes()) >= 20)
        await reader.stop()
    log.lose(2)
    assert ops(log) == [("r", f"{n:02}.md") for n in range(20)]

    async with Reader(source_of(tmp_path, batch_rows=10), log) as reader:
        await reader.sync()

    assert ops(log) == [("r", f"{n:02}.md") for n in range(50)]
    assert reader.source.snapshot is None


@pytest.mark.skipif(sys.platform != "linux", reason="hints come at once by inotify only")
async def test_a_hint_disturbs_the_calm_until_what_came_of_it_is_given(reader: Reader, tmp_path: Path) -> None:
    source = reader.source
    assert source.calm.is_set()

    async def disturbed(act: Callable[[], object]) -> int:
        given = len(reader.log.steps)
        act()
        async with asyncio.timeout(10):
            while source.calm.is_set() and len(reader.log.steps) == given:  # noqa: ASYNC110 - it is heard by the loop
                await asyncio.sleep(0)
            await source.calm.wait()
        return given

    for n in range(20):
        given = await disturbed(lambda n=n: (tmp_path / f"n{n}.md").write_bytes(b"new"))
        assert ops(reader.log, given) == [("c", f"n{n}.md")]
        given = await disturbed((tmp_path / f"n{n}.md").unlink)  # held for a moment: it could come back
        assert ops(reader.log, given) == [("d", f"n{n}.md")]
    given = await disturbed(lambda: (tmp_path / "left-out.md~").write_bytes(b"") or (tmp_path / "a.md").touch())
    assert ops(reader.log, given) == []


async def test_what_is_to_be_read_again_is_given_again_also_when_it_is_the_same(reader: Reader, tmp_path: Path) -> None:
    before = reader.log.changes()
    for _ in range(2):
        assert await reader.source.retry("docs", "a.md")
        await reader.sync()
    after = reader.log.changes()[len(before) :]

    assert [(c.key, c.after) for c in after] == [(("a.md",), ("a.md", b"old"))] * 2
    assert before[-1].position < after[0].position < after[1].position

    os.utime(tmp_path / "a.md")
    await reader.sync()
    assert len(reader.log.changes()) == len(before) + 2, "once for each time that it was asked for"
