"""A database to capture, on the embedded PostgreSQL and on Debian's."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.captured_database import CapturedDatabase
from tests.servers import FreshDatabases


@pytest_asyncio.fixture(params=["embedded", "debian_postgres"])
async def database(request: pytest.FixtureRequest, fresh_database: FreshDatabases) -> AsyncIterator[CapturedDatabase]:
    server = None if request.param == "embedded" else request.getfixturevalue(request.param)
    made = await CapturedDatabase.connect(await fresh_database(server))
    yield made
    await made.close()
