"""What cannot be read, what must not be read, and folders that vanish: clear reasons, and everything else goes on."""

# ruff: noqa: ASYNC221, ASYNC240 - what blocks the loop here happens before the source can look in between

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from headrace.errors import SourceError
from tests.integration.folder import MemoryLog, Reader, contents, ops, source_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


@pytest_asyncio.fixture
async def reader(tmp_path: Path) -> AsyncIterator[Reader]:
    """A folder `docs` with one document, read up to its end; beside it is outside of it."""
    root = tmp_path / "docs"
    root.mkdir()
    (root / "a.md").write_bytes(b"a")
    async with Reader(source_of(root, max_bytes=1000)) as reader:
        await reader.sync()
        yield reader


def again_without_capabilities(test: str) -> bool:
    """Root may read everything. Then the test runs again in a process that gave that up; True when that was done."""
    if os.environ.get("HEADRACE_TEST_MODES_HOLD") == "1" or os.geteuid() != 0:
        return False
    dropped = "-dac_override,-dac_read_search"
    setpriv = ["setpriv", f"--bounding-set={dropped}", f"--inh-caps={dropped}"]
    pytest_again = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{__file__}::{test}"]
    found = subprocess.run(
        setpriv + pytest_again,
        env={**os.environ, "HEADRACE_TEST_MODES_HOLD": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "1 passed" in found.stdout, found.stdout
    return True


async def test_a_file_without_the_right_to_read_it(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if again_without_capabilities(request.node.name):
        return
    for name in ("a.md", "b.md", "sub/c.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "b.md").chmod(0)
    async with Reader(source_of(tmp_path)) as reader:
        # one that never could be read
        await reader.sync()
        assert sorted(reader.log.documents()) == ["a.md", "sub/c.md"]
        assert reader.log.dead() == {"b.md": "b.md: Permission denied"}

        # one that could, and then no longer: nothing stale is served
        (tmp_path / "a.md").chmod(0)
        (tmp_path / "sub").chmod(0)
        await reader.sync()
        assert reader.log.documents() == {}
        assert sorted(reader.log.dead()) == ["a.md", "b.md", "sub/"]

        # asked to try again, in vain
        given = len(reader.log.steps)
        assert await reader.source.retry("docs", "a.md")
        await reader.sync()
        assert [r.key for s in reader.log.steps[given:] for r in s.rejected] == ["a.md"]

        # readable again: by itself
        (tmp_path / "a.md").chmod(0o600)
        (tmp_path / "sub").chmod(0o700)
        await reader.sync()
        assert sorted(reader.log.documents()) == ["a.md", "sub/c.md"]
        assert sorted(reader.log.dead()) == ["b.md"]
        (tmp_path / "sub/d.md").write_text("followed again")
        await reader.sync()
        assert "sub/d.md" in reader.log.documents()

    # rejected once, not again at each start; readable meanwhile: found at the start; deleted: settled
    given = len(reader.log.steps)
    async with Reader(source_of(tmp_path), reader.log) as later:
        await later.sync()
    assert not any(step.rejected for step in reader.log.steps[given:])
    (tmp_path / "b.md").chmod(0o600)
    async with Reader(source_of(tmp_path), reader.log) as later:
        await later.sync()
        assert reader.log.documents() == contents(tmp_path)
        (tmp_path / "b.md").chmod(0)
        await later.sync()
        (tmp_path / "b.md").unlink()
        await later.sync()
        assert reader.log.dead() == {}
        assert reader.log.documents() == contents(tmp_path)


async def test_a_root_that_may_not_be_listed_is_an_outage(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if again_without_capabilities(request.node.name):
        return
    root = tmp_path / "docs"
    root.mkdir()
    (root / "a.md").write_text("a")
    async with Reader(source_of(root)) as reader:
        await reader.sync()
        root.chmod(0)
        assert "chmod" in await reader.problem()
        root.chmod(0o700)
        (root / "b.md").write_text("b")
        await reader.until(lambda: reader.log.documents() == {"a.md": b"a", "b.md": b"b"})


async def test_a_file_that_is_too_large(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "docs/a.md"
    with path.open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    await reader.sync()
    assert reader.log.documents() == {}
    assert reader.log.dead() == {"a.md": "a.md: 209715200 bytes"}
    error = reader.log.steps[-1].rejected[0].error
    assert "max_bytes" in error.remedy
    assert "1000" in error.expected

    path.write_bytes(b"x" * 1000)
    await reader.sync()
    assert reader.log.documents() == {"a.md": b"x" * 1000}
    assert reader.log.dead() == {}


async def test_a_raised_limit_is_noticed_at_the_start(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "docs/big.md").write_bytes(b"x" * 2000)
    await reader.sync()
    await reader.stop()
    assert "big.md" in reader.log.dead()

    async with Reader(source_of(tmp_path / "docs", max_bytes=2000), reader.log) as later:
        await later.sync()

    assert reader.log.documents() == contents(tmp_path / "docs")
    assert reader.log.dead() == {}


async def test_a_name_that_is_not_text(reader: Reader, tmp_path: Path) -> None:
    root = os.fsencode(tmp_path / "docs")
    bad = os.path.join(root, b"caf\xe9.md")  # noqa: PTH118
    Path(os.fsdecode(bad)).write_text("a")
    await reader.sync()
    assert reader.log.documents() == {"a.md": b"a"}
    assert reader.log.dead() == {"caf\\xe9.md": "caf\\xe9.md"}

    assert await reader.source.retry("docs", "caf\\xe9.md")
    await reader.sync()
    assert reader.log.dead() == {"caf\\xe9.md": "caf\\xe9.md"}

    os.rename(bad, os.path.join(root, "café.md".encode()))  # noqa: PTH104, PTH118
    await reader.sync()
    assert reader.log.documents() == {"a.md": b"a", "café.md": b"a"}
    assert reader.log.dead() == {}


async def test_retry_reads_nothing_outside_of_the_folder(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret")

    for key in ("../secret.md", "/etc/hostname", "x/../../secret.md", "", "."):
        assert not await reader.source.retry("docs", key)
    assert not await reader.source.retry("other", "a.md")
    assert await reader.source.retry("docs", ".hidden/a.md")
    await reader.sync()

    assert reader.log.documents() == {"a.md": b"a"}


async def test_links_are_never_followed(reader: Reader, tmp_path: Path) -> None:
    root, outside = tmp_path / "docs", tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "secret.md").write_text("secret")
    (outside / "deep/a.md").write_text("secret")
    (root / "real").mkdir()
    (root / "real/b.md").write_text("b")
    (root / "out.md").symlink_to(outside / "secret.md")
    (root / "out").symlink_to(outside)
    (root / "in.md").symlink_to(root / "a.md")
    (root / "in").symlink_to(root / "real")
    (root / "loop").symlink_to(root)
    (root / "dangling.md").symlink_to(root / "none.md")
    await reader.sync()
    assert reader.log.documents() == {"a.md": b"a", "real/b.md": b"b"}

    # a document, and a folder of documents, replaced by links to others of the same names
    (root / "a.md").unlink()
    (root / "a.md").symlink_to(outside / "secret.md")
    (root / "real").rename(root / "moved")
    (root / "real").symlink_to(outside / "deep")
    (outside / "secret.md").write_text("secret, changed")
    (outside / "deep/a.md").write_text("secret, changed")
    await reader.sync()

    assert reader.log.documents() == {"moved/b.md": b"b"}
    assert not any(b"secret" in bytes(str(c.after), "utf8") for c in reader.log.changes())

    await reader.stop()
    async with Reader(source_of(root), reader.log) as later:
        await later.sync()
    assert reader.log.documents() == {"moved/b.md": b"b"}


async def test_pipes_sockets_and_devices_are_ignored(reader: Reader, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "docs/pipe.md")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "docs/socket.md"))
        (tmp_path / "docs/a.md").unlink()
        os.mkfifo(tmp_path / "docs/a.md")
        await reader.sync()

    assert reader.log.documents() == {}
    assert reader.log.dead() == {}


async def test_a_folder_that_was_never_there_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    async with Reader(source_of(tmp_path / "none")) as reader:
        error = await reader.failed()
    assert isinstance(error, SourceError)
    assert str(tmp_path / "none") in error.got
    assert "Create it" in error.remedy

    (tmp_path / "file").write_text("x")
    async with Reader(source_of(tmp_path / "file")) as reader:
        assert "something else" in str(await reader.failed())


async def test_a_folder_that_is_moved_away_keeps_its_documents_until_it_is_back(reader: Reader, tmp_path: Path) -> None:
    root, away = tmp_path / "docs", tmp_path / "away"
    given = len(reader.log.steps)

    root.rename(away)
    assert str(root) in await reader.problem()
    with pytest.raises(SourceError):
        await reader.source.head()
    assert ops(reader.log, given) == []

    (away / "b.md").write_text("b")
    away.rename(root)
    await reader.until(lambda: "b.md" in reader.log.documents())
    await reader.sync()
    assert ops(reader.log, given) == [("c", "b.md")]
    assert reader.source.problem is None
    (root / "c.md").write_text("c")
    await reader.sync()
    assert reader.log.documents() == contents(root)


async def test_a_folder_that_is_deleted_file_by_file_is_deleted(reader: Reader, tmp_path: Path) -> None:
    root = tmp_path / "docs"
    (root / "sub").mkdir()
    (root / "sub/b.md").write_text("b")
    await reader.sync()

    shutil.rmtree(root)
    await reader.until(lambda: reader.log.documents() == {})
    await reader.problem()

    root.mkdir()
    (root / "new.md").write_text("new")
    await reader.until(lambda: reader.log.documents() == {"new.md": b"new"})


async def test_an_empty_folder_in_place_of_the_one_that_was_read_deletes_nothing(
    reader: Reader, tmp_path: Path
) -> None:
    """What a mount point looks like before, or after, its file system is there."""
    root = tmp_path / "docs"
    await reader.stop()
    root.rename(tmp_path / "the file system")
    root.mkdir()

    async with Reader(source_of(root), reader.log) as later:
        assert "1 documents" in await later.problem()
        assert reader.log.documents() == {"a.md": b"a"}
        root.rmdir()
        await asyncio.sleep(0.1)
        (tmp_path / "the file system").rename(root)
        await later.until(lambda: later.source.problem is None)
        await later.sync()
        assert reader.log.documents() == {"a.md": b"a"}

    # the very same folder, emptied: that is a deletion
    (root / "a.md").unlink()
    async with Reader(source_of(root), reader.log) as later:
        await later.sync()
    assert reader.log.documents() == {}


async def test_a_mount_that_comes_and_goes(tmp_path: Path) -> None:
    root = tmp_path / "docs"
    root.mkdir()

    def mount() -> bool:
        command = ["mount", "-t", "tmpfs", "none", str(root)]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    if shutil.which("mount") is None or not mount():
        pytest.skip("mounting is not allowed here")
    try:
        (root / "a.md").write_text("a")
        async with Reader(source_of(root)) as reader:
            await reader.sync()

            subprocess.run(["umount", str(root)], check=True)  # not refused: nothing keeps it open
            assert "another folder" in await reader.problem()
            assert reader.log.documents() == {"a.md": b"a"}

            assert mount()
            (root / "b.md").write_text("b")
            await reader.until(lambda: reader.log.documents() == {"b.md": b"b"})
    finally:
        subprocess.run(["umount", str(root)], check=False, capture_output=True)


async def test_a_root_that_is_a_link_may_be_pointed_elsewhere(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.md").write_text(name)
    (tmp_path / "docs").symlink_to("one")
    async with Reader(source_of(tmp_path / "docs")) as reader:
        await reader.sync()
        assert reader.log.documents() == {"one.md": b"one"}

        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").rename(tmp_path / "docs")
        await reader.sync()
        assert reader.log.documents() == {"two.md": b"two"}


LIMITED = """
import asyncio, sys
from pathlib import Path
from tests.integration.folder import Reader, source_of

async def main(root):
    async with Reader(source_of(root)) as reader:
        print(await reader.failed())
    (root / "9").rmdir()
    (root / "8").rmdir()
    async with Reader(source_of(root)) as reader:
        await reader.sync()
        (root / "a").mkdir()
        (root / "b").mkdir()
        print(await reader.failed())

asyncio.run(main(Path(sys.argv[1])))
"""


async def test_too_few_watches_is_an_error_that_names_the_limit(tmp_path: Path) -> None:
    for n in range(10):
        (tmp_path / f"{n}").mkdir()
    set_limit = 'echo 10 > /proc/sys/user/max_inotify_watches && exec "$0" "$@"'
    command = ["unshare", "-Ur", "sh", "-c", set_limit, sys.executable, "-c", LIMITED, str(tmp_path)]
    if subprocess.run(["unshare", "-Ur", "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("user namespaces are not allowed here")

    found = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=60
    )

    assert found.stdout.count("fs.inotify.max_user_watches") == 2, found.stdout + found.stderr


async def test_two_streams_at_once_are_refused(reader: Reader) -> None:
    second = reader.source.stream(MemoryLog().resume())
    with pytest.raises(RuntimeError, match="read already"):
        await anext(second)
