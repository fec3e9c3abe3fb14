"""Pushes as a client makes them, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.whole import Whole

NDJSON = "application/x-ndjson"

SETTINGS = """
[[sources]]
name = "crm"
url = "push:{options}"
[[knowledge.rows]]
table = "crm.notes"
text = "{{{{text}}}}"
[[profiles.records]]
table = "crm.customers"
identifiers = {{ id = "id", email = "email" }}
fields = {{ name = "name" }}
"""


def settings(options: str = "") -> str:
    return SETTINGS.format(options=options)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a push was answered."""

    status: int
    kind: str
    body: Any
    headers: Mapping[str, str]

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Accepted, duplicates, ignored, rejected."""
        assert self.status == 202, self.body
        return self.body["accepted"], self.body["duplicates"], self.body["ignored"], len(self.body["rejected"])


def push(
    headrace: Whole,
    body: object,
    kind: str = "application/json",
    *,
    once: str = "",
    source: str = "crm",
    headers: Mapping[str, str] | None = None,
    timeout_s: float = 120,
    **params: str,
) -> Answer:
    """One request; `once` is its Idempotency-Key. A body that is no bytes is sent as JSON, a generator as a stream."""
    sent: Any = body if isinstance(body, bytes) or hasattr(body, "__next__") else json.dumps(body).encode()
    named = {"content-type": kind, **({"idempotency-key": once} if once else {}), **(headers or {})}
    with httpx2.Client(base_url=f"http://127.0.0.1:{headrace.port}", timeout=timeout_s) as http:
        answer = http.post(f"/v1/changes/{source}", params=params, headers=named, content=sent)
    return Answer(answer.status_code, answer.headers["content-type"], answer.json(), answer.headers)


def lines(records: Iterable[object]) -> bytes:
    return b"".join(json.dumps(r).encode() + b"\n" for r in records)


def upsert(table: str, **row: object) -> dict[str, object]:
    return {"op": "upsert", "table": table, "key": {"id": row["id"]}, "row": row}
