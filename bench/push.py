"""Push: records a second over HTTP until they are on disk, in batches of 1,000, and what one record takes."""

from __future__ import annotations

import http.client
import json
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.process import Headrace, headrace
from bench.report import Failed, Figure, Outcome, Settings, spread

BATCH = 1000
CLIENTS = 4
_SETTINGS = '[[sources]]\nname = "crm"\nurl = "push:?inbox=100000"\n'
_PLAIN, _LINES = "application/json", "application/x-ndjson"


def run(settings: Settings) -> Outcome:
    batches = settings.of(100)
    bodies = {"plain": [_plain(n) for n in range(batches)], "Debezium": [_debezium(n) for n in range(batches)]}
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder, headrace(Path(folder), _SETTINGS) as up:
        _posted(up, bodies["plain"][:5], _LINES)
        figures = [_rate(f"{kind}, one client", up, [sent], BATCH) for kind, sent in bodies.items()]
        figures += [
            _rate(f"{kind}, {CLIENTS} clients", up, [sent[n::CLIENTS] for n in range(CLIENTS)], BATCH)
            for kind, sent in bodies.items()
        ]
        figures.append(_rate("plain, one stream", up, [[b"".join(bodies["plain"])]], BATCH * batches))
        single = [json.dumps(_row(n)).encode() for n in range(settings.of(500))]
        figures.append(spread("one record → on disk and answered", "headrace", _posted(up, single, _PLAIN)))
    return Outcome(figures, (f"five columns a record, batches of {BATCH} as lines, each answered before the next",))


def _rate(name: str, up: Headrace, clients: Sequence[Sequence[bytes]], records: int) -> Figure:
    """Records a second over all clients, each on a connection of its own."""
    with ThreadPoolExecutor(len(clients)) as pool:
        began = time.perf_counter()
        for sent in [pool.submit(_posted, up, bodies, _LINES) for bodies in clients]:
            sent.result()
    took = time.perf_counter() - began
    count = sum(map(len, clients)) * records
    return Figure(name, "headrace", "records/s", round(count / took))


def _posted(up: Headrace, bodies: Sequence[bytes], kind: str) -> list[float]:
    """Milliseconds until each was answered."""
    connection = http.client.HTTPConnection("127.0.0.1", up.port, timeout=120)
    samples: list[float] = []
    for body in bodies:
        began = time.perf_counter()
        connection.request("POST", "/v1/changes/crm", body, {"content-type": kind})
        answer = connection.getresponse()
        told = answer.read()
        if answer.status != 202 or json.loads(told)["rejected"]:
            raise Failed(f"a push was answered {answer.status}: {told[:300].decode(errors='replace')}")
        samples.append((time.perf_counter() - began) * 1000)
    connection.close()
    return samples


def _row(n: int) -> dict[str, object]:
    row = {"id": n, "email": f"user{n}@example.com", "name": f"User {n}", "price": "12.3400", "active": n % 2 == 0}
    return {"op": "upsert", "table": "customers", "key": {"id": n}, "row": row}


def _plain(batch: int) -> bytes:
    return b"".join(json.dumps(_row(batch * BATCH + n)).encode() + b"\n" for n in range(BATCH))


def _debezium(batch: int) -> bytes:
    return b"".join(json.dumps(_message(batch * BATCH + n)).encode() + b"\n" for n in range(BATCH))


def _message(n: int) -> dict[str, object]:
    """Key and value as Debezium's PostgreSQL connector writes them, without schema."""
    source = {
        "version": "3.6.3.Final", "connector": "postgresql", "name": "shop", "ts_ms": 1795259104405,
        "snapshot": "false", "db": "postgres", "sequence": '["24120096","24120152"]', "ts_us": 1795259104405783,
        "schema": "public", "table": "customers", "txId": 761, "lsn": 24120152 + n, "xmin": None,
    }  # fmt: skip
    value = {"before": None, "after": _row(n)["row"], "source": source, "op": "u", "ts_ms": 1795259104438}
    return {"key": {"id": n}, "value": value}
