"""Who captures, for `bench debezium`: Headrace, and Debezium in Kafka Connect, each able to stand still and go on."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
import psycopg
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench.backlog import one, until_confirmed
from bench.connect import Connect
from bench.process import Headrace
from bench.report import Failed
from bench.source import SourceServer

LIMIT_S = 900.0
SILENCE_S = 30.0
LOOK_S = 0.02
CHECK_S = 10.0
TABLE = "public.items"

DEFAULTS: Mapping[str, str] = {}
TUNED: Mapping[str, str] = {
    # A batch goes on as soon as there is one; the default looks every half second.
    "poll.interval.ms": "1",
    # Larger batches and a longer queue, so that reading, converting and sending do not wait for each other.
    "max.batch.size": "8192",
    "max.queue.size": "32768",
    # The schema, several times as large as the row, does not go along with every message.
    "key.converter": "org.apache.kafka.connect.json.JsonConverter",
    "key.converter.schemas.enable": "false",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter.schemas.enable": "false",
    # Latencies of its own are not collected: quantiles of every record cost time, too.
    "statistics.metrics.enabled": "false",
    # Nothing is held back for a fuller batch (Kafka's default is 5 ms); under load batches fill by themselves.
    "producer.override.linger.ms": "0",
    "producer.override.batch.size": "131072",
    "producer.override.compression.type": "lz4",
    # Connect sends one request at a time; with idempotence five keep the order too.
    "producer.override.enable.idempotence": "true",
    "producer.override.max.in.flight.requests.per.connection": "5",
}  # fmt: skip


def connector(server: SourceServer, database: str, name: str, more: Mapping[str, str]) -> dict[str, str]:
    """What every connector needs to say, and `more`. The rows that are there already are not copied."""
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": "127.0.0.1",
        "database.port": str(server.port),
        "database.user": "postgres",
        "database.password": "postgres",
        "database.dbname": database,
        "plugin.name": "pgoutput",
        "slot.name": name,
        "topic.prefix": name,
        "table.include.list": TABLE,
        "snapshot.mode": "no_data",
        **more,
    }


@dataclass(frozen=True, slots=True)
class Drained:
    """Seconds until everything was held: from going on, and from the first record that came."""

    from_start: float
    from_first: float


class Side(Protocol):
    """One that captures.

    - `go` goes on where it stood and returns when it reads; `stand` ends that.
    - `held`: changes of the table that its log, or topic, holds.
    - `reading`: a consumer behind what is held now; each call gives the records that have come, waiting for the first.
    - `drain` goes on too, and returns when it holds so many in all.
    """

    @property
    def name(self) -> str: ...
    def go(self) -> None: ...
    def stand(self) -> None: ...
    def held(self) -> int: ...
    def reading(self) -> contextlib.AbstractContextManager[Callable[[], Sequence[bytes]]]: ...
    def drain(self, total: int) -> Drained: ...


class Ours:
    """Stands by SIGSTOP, its connection to the slot cut, so that nothing is decoded for it meanwhile."""

    name = "headrace"

    def __init__(self, running: Headrace, source: psycopg.Connection, slot: str) -> None:
        self._running = running
        self._source = source
        self._slot = slot
        self._client = running.client()
        # Wakes it when our end of this input is gone, however we end: what is stopped cannot end.
        command = ["sh", "-c", f"read _; kill -CONT {running.pid}"]
        self._guard = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def go(self) -> None:
        os.kill(self._running.pid, signal.SIGCONT)
        self._running.settle()

    def wake(self) -> None:
        """For the end: one that is stopped could not."""
        self._guard.communicate()
        self._client.close()

    def stand(self) -> None:
        os.kill(self._running.pid, signal.SIGSTOP)
        cut = "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = %s"
        self._source.execute(cut, [self._slot])
        wait_for(lambda: not active(self._source, self._slot), "the slot is let go")

    def held(self) -> int:
        return sum(topic["changes"] for topic in self._client.json("/v1/status")["topics"])

    @contextlib.contextmanager
    def reading(self) -> Generator[Callable[[], Sequence[bytes]]]:
        """As `headrace log --follow` does: over HTTP, one envelope a line."""
        wire = http.client.HTTPConnection("127.0.0.1", self._running.port, timeout=SILENCE_S)
        try:
            wire.request("GET", f"/v1/log/db.{TABLE}?follow=true&from={self.held()}")
            response = wire.getresponse()
            if response.status != 200:
                raise Failed(f"the log cannot be read: {response.read()[:300]!r}")
            yield _lines(response).__next__
        finally:
            wire.close()

    def drain(self, total: int) -> Drained:
        """Until the slot is confirmed behind the last of them: then they are in the log and on disk."""
        end = one(self._source, "select pg_current_wal_lsn()")
        began = time.perf_counter()
        os.kill(self._running.pid, signal.SIGCONT)
        until_confirmed(self._source, self._slot, end)
        took = time.perf_counter() - began
        if (held := self.held()) != total:
            raise Failed(f"the log holds {held:,} changes, not {total:,}")
        return Drained(took, took)


class Debezium:
    """One connector; its topic of one partition, as the broker would make it by itself, is there from the start."""

    def __init__(self, name: str, slot: str, worker: Connect, bootstrap: str, source: psycopg.Connection) -> None:
        self.name = name
        self._slot = slot
        self._worker = worker
        self._source = source
        self._topic = f"{slot}.{TABLE}"
        self._given = {"bootstrap.servers": bootstrap, "group.id": slot, "enable.auto.commit": False}
        self._looking = Consumer(self._given)
        admin = AdminClient({"bootstrap.servers": bootstrap})
        made = admin.create_topics([NewTopic(self._topic, 1, 1)])  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        made[self._topic].result(SILENCE_S)

    def add(self, config: Mapping[str, str]) -> None:
        """Makes the slot, from which on nothing is lost."""
        self._worker.add(self._slot, config)
        self._until_active(True)

    def go(self) -> None:
        self._worker.resume(self._slot)
        self._until_active(True)

    def stand(self) -> None:
        self._worker.stop(self._slot)
        self._until_active(False)

    def held(self) -> int:
        return self._looking.get_watermark_offsets(TopicPartition(self._topic, 0), SILENCE_S)[1]

    @contextlib.contextmanager
    def reading(self) -> Generator[Callable[[], Sequence[bytes]]]:
        consumer = Consumer(self._given)
        try:
            consumer.assign([TopicPartition(self._topic, 0, self.held())])
            yield lambda: [self._record(consumer)]
        finally:
            consumer.close()

    def _record(self, consumer: Consumer) -> bytes:
        message = consumer.poll(SILENCE_S)
        if message is None:
            raise Failed(f"{self.name}: no record within {SILENCE_S:g} s")
        if (error := message.error()) is not None:
            raise Failed(f"{self.name}: {error}")
        return message.value() or b""

    def drain(self, total: int) -> Drained:
        """Until the topic's end is there; the broker syncs nothing by itself, so this asks less than of ours."""
        before, first = self.held(), None
        began = checked = time.perf_counter()
        self._worker.resume(self._slot)
        while (held := self.held()) < total:
            now = time.perf_counter()
            if first is None and held > before:
                first = now
            if now - began > LIMIT_S:
                raise Failed(f"{self.name}: {total - held:,} changes are missing after {LIMIT_S:g} s")
            if now - checked > CHECK_S:
                self._worker.check(self._slot)
                checked = now
            time.sleep(LOOK_S)
        ended = time.perf_counter()
        return Drained(ended - began, ended - (first or began))

    def close(self) -> None:
        self._looking.close()

    def _until_active(self, wanted: bool) -> None:
        wait_for(lambda: active(self._source, self._slot) == wanted, f"{self.name}: its slot is active: {wanted}")


class _Row(msgspec.Struct, frozen=True):
    id: int
    stock: int


class _Event(msgspec.Struct, frozen=True):
    after: _Row | None = None
    payload: _Event | None = None  # beside the schema, where that is sent too


def mark(record: bytes) -> tuple[int, int]:
    """Which change an envelope tells of: the transaction's number, and the row's key."""
    event = msgspec.json.decode(record, type=_Event)
    row = (event.payload or event).after
    if row is None:
        raise Failed(f"not an update: {record[:300]!r}")
    return row.stock, row.id


def _lines(response: http.client.HTTPResponse) -> Iterator[Sequence[bytes]]:
    rest = b""
    try:
        while piece := response.read1(1 << 16):
            *lines, rest = (rest + piece).split(b"\n")
            if lines:
                yield lines
    except TimeoutError:
        raise Failed(f"headrace: no record within {SILENCE_S:g} s") from None
    raise Failed("headrace: the log ended")


def active(source: psycopg.Connection, slot: str) -> bool:
    return bool(one(source, "select active from pg_replication_slots where slot_name = %s", slot))


def wait_for(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not done():
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {LIMIT_S:g} s")
        time.sleep(LOOK_S)
