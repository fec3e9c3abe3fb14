"""An ordinary session at the source's server, opened when needed and again when it broke."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from headrace.sources.mysql.address import Address
from headrace.sources.mysql.problems import query_failed
from headrace.sources.mysql.result import Failed
from headrace.sources.mysql.session import Session

T = TypeVar("T")


class _Line:
    """One session, used by one thread at a time. `hang_up` when nobody waits for that thread any more."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._gone = False
        self.session: Session | None = None

    def work(self, work: Callable[[Session], T]) -> T:
        try:
            if self.session is None:
                self.session = Session.open(self._address)
            return work(self.session)
        finally:
            if self._gone:
                self.drop()

    def drop(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            session.close()

    def hang_up(self) -> None:
        self._gone = True
        if self.session is not None:
            self.session.interrupt()


class Client:
    """Statements outside any transaction, in a thread. Used concurrently: they run one after another."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._line = _Line(address)
        self._lock = asyncio.Lock()

    async def run(self, work: Callable[[Session], T], step: str) -> T:
        """What `work` gives, which may run again when the connection broke meanwhile.

        Raises Broken or SourceError.
        """
        async with self._lock:
            fresh = self._line.session is None
            try:
                return await self._work(work)
            except Failed as failed:
                problem = query_failed(self._address.shown, step, failed.code, failed.text)
                await self._drop()
                if fresh or failed.code not in (0, 2006, 2013, 1927, 4031):
                    raise problem from None
            try:
                return await self._work(work)
            except Failed as failed:
                await self._drop()
                raise query_failed(self._address.shown, step, failed.code, failed.text) from None

    async def _work(self, work: Callable[[Session], T]) -> T:
        line = self._line
        try:
            return await asyncio.to_thread(line.work, work)
        except asyncio.CancelledError:
            # The thread goes on until it notices: nobody else may use its session.
            self._line = _Line(self._address)
            line.hang_up()
            raise

    async def _drop(self) -> None:
        await asyncio.to_thread(self._line.drop)

    def interrupt(self) -> None:
        """Ends the statement that runs."""
        if self._line.session is not None:
            self._line.session.interrupt()

    async def close(self) -> None:
        """Waits for the statement that runs."""
        async with self._lock:
            await self._drop()
