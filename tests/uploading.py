"""Uploads: contents for the source alone, and requests as a client makes them."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2

from headrace.uploads import Content
from tests.whole import Whole

SETTINGS = '[[sources]]\nname = "uploads"\nurl = "upload:"\n'


def content(folder: Path, data: bytes) -> Content:
    """In a file, as a face hands it over."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix="content-", delete=False) as file:
        file.write(data)
    return Content(Path(file.name), len(data), digest(data))


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def outcomes(self) -> dict[str, str]:
        """By id."""
        assert self.status == 202, self.body
        return {d["id"]: d["outcome"] for d in self.body["documents"]}


def send(
    headrace: Whole,
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    timeout_s: float = 120,
) -> Answer:
    """Any request to `/v1/documents…`."""
    url = f"http://127.0.0.1:{headrace.port}/v1/documents{path}"
    response = httpx2.request(
        method,
        url,
        content=body,
        headers=dict(headers or {}),
        params=dict(params) if params else None,
        timeout=timeout_s,
    )
    return Answer(response.status_code, response.json(), response.headers)


def upload(headrace: Whole, name: str, data: bytes, **params: str) -> Answer:
    """One file as the body."""
    return send(headrace, "POST", "", data, params={"name": name, **params})


def upload_form(headrace: Whole, files: Iterable[tuple[str, bytes]], **fields: str) -> Answer:
    url = f"http://127.0.0.1:{headrace.port}/v1/documents"
    parts = [("file", (name, data)) for name, data in files]
    response = httpx2.post(url, files=parts, data=fields, timeout=120)
    return Answer(response.status_code, response.json(), response.headers)


def put(headrace: Whole, id: str, data: bytes, *, headers: Mapping[str, str] | None = None, **params: str) -> Answer:
    return send(headrace, "PUT", "/" + quote(id), data, headers=headers, params=params)


def patch(headrace: Whole, id: str, **changes: object) -> Answer:
    url = f"http://127.0.0.1:{headrace.port}/v1/documents/{quote(id)}"
    response = httpx2.patch(url, json=changes, timeout=120)
    return Answer(response.status_code, response.json(), response.headers)


def delete(headrace: Whole, id: str, *, headers: Mapping[str, str] | None = None) -> Answer:
    return send(headrace, "DELETE", "/" + quote(id), headers=headers)


def registry(headrace: Whole, **params: str) -> list[Any]:
    """Every page of it, one behind the other."""
    found: list[Any] = []
    after: dict[str, str] = {}
    while True:
        page = headrace.get("/v1/documents", **{"limit": "100", **params, **after})
        found += page["documents"]
        if page["next"] is None:
            return found
        after = {"cursor": page["next"]}


def verified(headrace: Whole, *, repair: bool = False) -> Any:
    """The report of a verification."""
    url = f"http://127.0.0.1:{headrace.port}/v1/verify"
    lines = httpx2.post(url, json={"repair": repair}, timeout=120).text.splitlines()
    return json.loads(lines[-1])["report"]
