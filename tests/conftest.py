"""Servers shared by the tests of one process (with xdist: of one worker), and databases of one test."""

from __future__ import annotations

import asyncio
import inspect
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import wraps
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from headrace.stores.embedded import binaries as postgres_binaries
from headrace.stores.embedded_postgres import EmbeddedPostgres
from tests.servers import SETTINGS, FreshDatabases, MariadbApart, PostgresApart, debian_programs, mariadb_program

# How fast examples are made and run says what else the machine does, nothing about the code.
settings.register_profile("tests", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

LIMIT_S = 300.0
"""Nothing is measured with it: a test that waits for ever shows where it waits. `timeout` in pyproject.toml ends what
this cannot: fixtures, and tests that are not async."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first, so that no worker is left alone with it at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(("tests/simulation/", "tests/browser/")))
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = limited(item.obj)


class Scheduling(LoadFileScheduling):
    """A file's tests stay together, for servers are started once a file; the browser's do too, for their demo takes in
    a whole airline, and two workers would each make one at the same time."""

    def _split_scope(self, nodeid: str) -> str:
        return "tests/browser" if nodeid.startswith("tests/browser/") else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return Scheduling(config, log)


def limited(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @wraps(test)
    async def within(*args: object, **kwargs: object) -> None:
        async with asyncio.timeout(LIMIT_S):
            await test(*args, **kwargs)

    return within


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def embedded() -> AsyncIterator[EmbeddedPostgres]:
    """The embedded PostgreSQL with pgvector. Do not stop or kill it: a test of that starts its own."""
    data = Path(tempfile.mkdtemp(prefix="headrace-test-"))
    server = await EmbeddedPostgres.start(data, settings=SETTINGS)
    yield server
    await server.stop()
    shutil.rmtree(data)


@pytest_asyncio.fixture
async def fresh_database(embedded: EmbeddedPostgres) -> AsyncIterator[FreshDatabases]:
    """`await fresh_database()` or `await fresh_database(debian_postgres)` makes a database and gives its address."""
    databases = FreshDatabases(embedded)
    yield databases
    await databases.drop()


@pytest.fixture(scope="session")
def debian_postgres() -> Iterator[PostgresApart]:
    """Debian's PostgreSQL (15 on Debian 12), without pgvector: a source as people have it."""
    server = PostgresApart(debian_programs(), "postgres")
    yield server
    server.remove()


@pytest.fixture
def postgres_apart() -> Iterator[PostgresApart]:
    """Debian's, one that a test may stop and kill."""
    server = PostgresApart(debian_programs(), "postgres")
    yield server
    server.remove()


@pytest.fixture(scope="session")
def standalone_postgres() -> Iterator[PostgresApart]:
    """PostgreSQL 18 with pgvector, started apart: for `store = "postgresql://…"`."""
    programs = postgres_binaries.readable_by_all(postgres_binaries.find()).bin
    server = PostgresApart(programs, "nobody")
    yield server
    server.remove()


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariadbApart]:
    """Debian's MariaDB. Do not stop it, nor reset its log: a test of that starts its own."""
    server = MariadbApart(mariadb_program())
    yield server
    server.remove()


@pytest.fixture
def mariadb_apart() -> Iterator[MariadbApart]:
    """One that a test may stop, kill and reset."""
    server = MariadbApart(mariadb_program())
    yield server
    server.remove()
