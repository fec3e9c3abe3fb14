"""Objects of one bucket, below a prefix."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Protocol

from headrace.findings import Finding
from headrace.objects import Announced, Stored, Target
from headrace.objects.s3.doctor import examine
from headrace.objects.s3.requests import Requests

PIECE = 1 << 20


class _Body(Protocol):
    def read(self, amt: int) -> bytes: ...
    def close(self) -> None: ...


class _Fetched:
    """Implements `headrace.objects.Stored`."""

    def __init__(self, size: int, body: _Body, requests: Requests) -> None:
        self.size = size
        self._body = body
        self._requests = requests

    async def pieces(self) -> AsyncIterator[bytes]:
        while piece := await self._requests.apart("fetch an upload", lambda: self._body.read(PIECE)):
            yield piece


class S3:
    """Implements `headrace.objects.ObjectStore`."""

    def __init__(self, requests: Requests) -> None:
        self.shown = requests.place.shown
        self.origin = requests.origin
        self._requests = requests
        self._place = requests.place

    async def target(self, key: str, announced: Announced, seconds: int) -> Target:
        """See `ObjectStore`: its size and type are signed as headers, so that S3 refuses anything else."""
        headers = {"content-type": announced.content_type, "content-length": str(announced.size)}
        said: dict[str, object] = {"ContentType": announced.content_type, "ContentLength": announced.size}
        if announced.digest is not None:
            said["ChecksumSHA256"] = headers["x-amz-checksum-sha256"] = _base64(announced.digest)
        return Target(await self._requests.signed({**self._place.at(key), **said}, seconds), headers)

    @contextlib.asynccontextmanager
    async def open(self, key: str) -> AsyncGenerator[Stored]:
        answer = await self._requests.asked("fetch an upload", "get_object", **self._place.at(key))
        body: _Body = answer["Body"]
        try:
            yield _Fetched(int(answer["ContentLength"]), body, self._requests)
        finally:
            body.close()

    async def remove(self, key: str) -> None:
        await self._requests.asked("delete a fetched upload", "delete_object", **self._place.at(key))

    async def examine(self, origins: Sequence[str]) -> Sequence[Finding]:
        return await examine(self, self._requests, origins)

    async def close(self) -> None:
        await self._requests.close()


def _base64(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest.removeprefix("sha256:"))).decode()
