"""Watches how much WAL the server keeps for our slot: its disk must not fill because of us."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from psycopg import Error, errors

from headrace.errors import SourceError
from headrace.sources import Retained
from headrace.sources.postgres import setup
from headrace.sources.postgres.client import ANSWER_S, Client
from headrace.sources.postgres.deadline import deadline
from headrace.sources.postgres.options import OnLag, Options
from headrace.sources.postgres.problems import Broken, stopped_for_lag
from headrace.sources.postgres.setup import SQL

WARN_AT, CALM_AT = 0.5, 0.4
"""Shares of `max_retained`."""
_TRIES, _BETWEEN_S = 200, 0.05
_log = structlog.get_logger(__name__)


class Lag:
    """`look` from time to time, whether or not anything is read: it has a session of its own.

    With `on_lag` it drops the slot: the stream then meets that it is gone. `stopped` says why it must not go on.
    """

    def __init__(self, client: Client, shown: str, slot: str, options: Options, copying: Callable[[], bool]) -> None:
        self.retained: Retained | None = None
        self.stopped: SourceError | None = None
        self._client = client
        self._shown = shown
        self._slot = slot
        self._options = options
        self._copying = copying
        self._warned = False
        self._much = False

    @property
    def pausing(self) -> bool:
        """Whether what makes the stream slower is to wait."""
        return self._much and self._options.on_lag is OnLag.PAUSE

    async def look(self) -> None:
        """Raises Broken, SourceError, and psycopg.Error."""
        connection = await self._client.connection()
        with deadline(connection, ANSWER_S):
            row = await (await connection.execute(SQL["retained"], {"name": self._slot})).fetchone()
        if row is None or row[0] is None:
            self.retained, self._much = None, False
            return
        bytes_, unconfirmed, status, safe, pid, since_s = row
        limit, policy = self._options.max_retained, self._options.on_lag
        old = f"process {pid}, for {since_s:.0f} s" if pid is not None and unconfirmed < bytes_ / 4 else ""
        advice = self._advice(bytes_, old, safe) if bytes_ >= limit * WARN_AT else ""
        self.retained = Retained(bytes_, limit, policy, status, advice)
        self._tell(self.retained)
        self._much = bytes_ > limit * (CALM_AT if self._much else 1)
        if bytes_ > limit and policy in (OnLag.STOP, OnLag.RESNAPSHOT):
            await self._shed(connection, bytes_)

    def _advice(self, retained: int, old: str, safe: int | None) -> str:
        said = f"The server keeps {retained >> 20} MB of WAL for the slot {self._slot}. "
        if old:
            said += f"A transaction that is open at the source holds it ({old}): end it. "
        else:
            said += "Headrace stores changes more slowly than the source makes them, or stands still: see its log. "
        if safe is not None:
            said += f"After {max(0, safe) >> 20} MB more the server itself gives the slot up (max_slot_wal_keep_size). "
        at = f"at {self._options.max_retained >> 20} MB (max_retained)"
        match self._options.on_lag:
            case OnLag.WARN:
                return said + f'Nothing is done {at}: set on_lag to "stop" or "resnapshot" if its disk may fill.'
            case OnLag.PAUSE:
                return said + f"Snapshots wait {at}, until it is much less."
            case OnLag.STOP:
                return said + f"The slot is dropped {at}, and the source stops."
            case OnLag.RESNAPSHOT:
                return said + f"The slot is dropped {at}, and all tables are copied afresh."

    def _tell(self, now: Retained) -> None:
        """Once each time that it becomes much."""
        if now.advice and not self._warned:
            self._warned = True
            _log.warning("much WAL is kept for us", source=self._shown, bytes=now.bytes, advice=now.advice)
        elif now.bytes < now.limit * CALM_AT:
            self._warned = False

    async def _shed(self, connection: setup.Connection, retained: int) -> None:
        """Drops the slot, whoever reads it."""
        error = stopped_for_lag(self._shown, self._slot, retained, self._options.max_retained)
        if self._options.on_lag is OnLag.STOP or self._copying():
            # A copy that cannot keep up would only begin again and again.
            self.stopped = error
        _log.error("the slot is dropped: its WAL would fill the source's disk", source=self._shown, got=error.got)
        for _ in range(_TRIES):
            await setup.release_slot(connection, self._slot)
            try:
                await setup.drop_slot(connection, self._slot)
            except errors.ObjectInUse:
                await asyncio.sleep(_BETWEEN_S)
            else:
                return

    async def watch(self, every_s: float) -> None:
        """Looks until it is cancelled; a server that cannot be asked is the stream's to tell."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.look()
            except (Broken, SourceError, Error) as problem:
                self.retained = None
                _log.debug("how much WAL is kept for us is not known", source=self._shown, reason=str(problem))
