"""An ordinary session at the source's server, opened when needed and again when it broke."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from headrace.sources.mysql.address import Address
from headrace.sources.mysql.problems import query_failed
from headrace.sources.mysql.session import Failed, Session

T = TypeVar("T")


class Client:
    """Statements outside any transaction, in a thread. Used concurrently: they run one after another."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._session: Session | None = None
        self._lock = asyncio.Lock()

    async def run(self, work: Callable[[Session], T], step: str) -> T:
        """What `work` gives, which may run again when the connection broke meanwhile.

        Raises Broken or SourceError.
        """
        async with self._lock:
            fresh = self._session is None
            try:
                return await asyncio.to_thread(self._work, work)
            except Failed as failed:
                problem = query_failed(self._address.shown, step, failed.code, failed.text)
                await self._drop()
                if fresh or failed.code not in (0, 2006, 2013, 1927, 4031):
                    raise problem from None
            try:
                return await asyncio.to_thread(self._work, work)
            except Failed as failed:
                await self._drop()
                raise query_failed(self._address.shown, step, failed.code, failed.text) from None

    def _work(self, work: Callable[[Session], T]) -> T:
        if self._session is None:
            self._session = Session.open(self._address)
        return work(self._session)

    async def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await asyncio.to_thread(session.close)

    def interrupt(self) -> None:
        """Ends the statement that runs."""
        if self._session is not None:
            self._session.interrupt()

    async def close(self) -> None:
        """Waits for the statement that runs."""
        async with self._lock:
            await self._drop()
