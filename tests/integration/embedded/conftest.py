"""Places for the embedded PostgreSQL's data, and processes that run one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.embedded import Child, running, write
from tests.servers import missing


@pytest.fixture(scope="session")
def quick_disk() -> Iterator[Path]:
    """In memory where there is room: no test here is about a power cut, and clusters are many small files."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2_000_000_000
    path = Path(tempfile.mkdtemp(prefix="headrace-test-", dir=memory if roomy else None))
    yield path
    shutil.rmtree(path)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def template(quick_disk: Path) -> Path:
    """A data directory after an orderly stop, its table `numbers` empty."""
    async with running(quick_disk / "template") as server:
        await write(server)
    return quick_disk / "template"


@pytest.fixture
def data(quick_disk: Path) -> Iterator[Path]:
    """A new place, under a directory that only we may enter, as a home directory may be."""
    place = Path(tempfile.mkdtemp(dir=quick_disk))
    yield place / "new" / "data"
    shutil.rmtree(place)


@pytest.fixture
def made(data: Path, template: Path) -> Path:
    """A data directory that was used before: `numbers` is empty."""
    data.parent.mkdir()
    subprocess.run(["cp", "-Rp", template, data], check=True)
    return data


@pytest.fixture
def common() -> Iterator[Path]:
    """A place where every user may make a directory."""
    path = Path(tempfile.mkdtemp(prefix="headrace-test-"))
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    """Starts other processes with an embedded PostgreSQL; those that a test leaves are ended."""
    started: list[Child] = []

    def start(data: Path, *options: str) -> Child:
        started.append(Child.start(data, *options))
        return started[-1]

    yield start
    for one in started:
        one.finish()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a disk of so many megabytes."""
    if sys.platform != "linux" or os.geteuid() != 0:
        missing("a small disk needs Linux and root")
    mounted: list[Path] = []

    def mount(megabytes: int) -> Path:
        path = tmp_path / f"disk{megabytes}"
        path.mkdir()
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", path], capture_output=True
        )
        if made.returncode:
            missing(f"a small disk could not be mounted: {made.stderr.decode()}")
        mounted.append(path)
        return path

    yield mount
    for path in mounted:
        subprocess.run(["umount", "-l", path], check=True)
