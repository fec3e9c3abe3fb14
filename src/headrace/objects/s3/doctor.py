"""Looks at a bucket before it is used."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from headrace.findings import Finding, failed, note, ok, warning
from headrace.objects import Announced, NotUploaded, ObjectStore, ObjectStoreError
from headrace.objects.s3.requests import LOOK, Requests


async def examine(store: ObjectStore, requests: Requests, origins: Sequence[str]) -> Sequence[Finding]:
    """Puts, fetches and deletes an object of its own below the prefix; what the first does not do is not gone on
    with."""
    key = f"headrace-doctor-{secrets.token_urlsafe(16)}"
    try:
        await requests.asked("put an object", "put_object", **requests.place.at(key), Body=b"headrace doctor")
    except ObjectStoreError as problem:
        return [failed(problem)]
    found = [ok("put", f"an object below {store.shown}"), await _fetchable(store, key)]
    try:
        await store.remove(key)
        found.append(ok("delete", "that object"))
        found.append(await _absence(store, requests, key))
    except ObjectStoreError as problem:
        found.append(failed(problem))
    return [*found, *[await _preflight(store, requests, origin) for origin in origins], await _lifecycle(requests)]


async def _fetchable(store: ObjectStore, key: str) -> Finding:
    try:
        async with store.open(key) as stored:
            size = sum([len(piece) async for piece in stored.pieces()])
    except (ObjectStoreError, NotUploaded) as problem:
        return failed(problem)
    return ok("get", f"its {size} bytes")


async def _absence(store: ObjectStore, requests: Requests, key: str) -> Finding:
    """Without the right to list, S3 answers 403 for what is not there."""
    try:
        async with store.open(key):
            return warning("absence", expected="it to be gone", got="it is still there", remedy=LOOK)
    except NotUploaded:
        return ok("absence", "what is not there is told from what is forbidden")
    except ObjectStoreError as problem:
        remedy = f"Allow s3:ListBucket on {requests.place.bucket}: uploads that have not come are else told as errors."
        return warning("absence", expected="404 for an object that is not there", got=problem.got, remedy=remedy)


async def _preflight(store: ObjectStore, requests: Requests, origin: str) -> Finding:
    """What a browser asks before a page of that origin may put something there."""
    check = f"CORS for {origin}"
    announced = Announced(1, "application/octet-stream", "sha256:" + "0" * 64)
    remedy = f"Give the bucket a CORS rule with {origin}, PUT and all headers: see docs/documents.md. Until then "
    remedy += "its page sends large files through Headrace."
    expected = "leave to PUT from there"
    try:
        target = await store.target("headrace-doctor", announced, 60)
        asked = ",".join(sorted(target.headers.keys() - {"content-length"}))
        headers = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
        headers["Access-Control-Request-Headers"] = asked
        status, allowed = await requests.preflight(target.url, headers)
    except ObjectStoreError as problem:
        return warning(check, expected=expected, got=problem.got, remedy=remedy)
    if status < 300 and allowed in ("*", origin):
        return ok(check, "its page may put there")
    return warning(check, expected=expected, got=f"{status}, {allowed or 'none'}", remedy=remedy)


async def _lifecycle(requests: Requests) -> Finding:
    """Objects that nobody comes back for stay without a rule."""
    try:
        answer = await requests.asked(
            "see the lifecycle", "get_bucket_lifecycle_configuration", Bucket=requests.place.bucket
        )
    except ObjectStoreError as problem:
        return note("lifecycle", f"cannot be seen, or there is none ({problem.got})")
    rules: Sequence[Mapping[str, object]] = answer.get("Rules", [])
    expiring = sum(rule.get("Status") == "Enabled" and "Expiration" in rule for rule in rules)
    return note("lifecycle", f"{expiring} rule{'' if expiring == 1 else 's'} that delete old objects")
