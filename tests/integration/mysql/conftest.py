"""A database of MariaDB to capture."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.captured_mariadb import CapturedMariadb
from tests.servers import MariadbApart


@pytest_asyncio.fixture
async def database(mariadb: MariadbApart) -> AsyncIterator[CapturedMariadb]:
    made = CapturedMariadb(mariadb)
    yield made
    await made.close()
