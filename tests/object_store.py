"""An S3 of a test: moto's server in a process of its own, and a way to it that can be closed.

Moto takes every signature, also one that was changed or is too old: what is signed is looked at by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3  # pyright: ignore[reportMissingTypeStubs]
import httpx2

from tests.proxy import Proxy
from tests.servers import dies_with_us, free_port
from tests.whole import until

BUCKET = "headrace-uploads"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI-secret",
    "AWS_SESSION_TOKEN": "a-session-token",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class ObjectServer:
    """With one bucket."""

    def __init__(self, output: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._output = output
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        with output.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=dies_with_us())
        until(self._answers, "the object store answers", self.told)
        session: Any = boto3.Session(ENVIRONMENT["AWS_ACCESS_KEY_ID"], ENVIRONMENT["AWS_SECRET_ACCESS_KEY"])
        self.client: Any = session.client("s3", region_name="us-east-1", endpoint_url=self.url)
        self.client.create_bucket(Bucket=BUCKET)

    def told(self) -> str:
        return self._output.read_text("utf-8", "replace")[-2000:]

    def keys(self) -> list[str]:
        found: Sequence[Mapping[str, str]] = self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return [each["Key"] for each in found]

    @contextlib.contextmanager
    def without_bucket(self) -> Generator[None]:
        """What lies in it is gone after."""
        for key in self.keys():
            self.client.delete_object(Bucket=BUCKET, Key=key)
        self.client.delete_bucket(Bucket=BUCKET)
        try:
            yield
        finally:
            self.client.create_bucket(Bucket=BUCKET)

    def puts(self) -> int:
        """How many objects clients have put there so far."""
        return self._output.read_text("utf-8", "replace").count(f'"PUT /{BUCKET}/')

    def close(self) -> None:
        self.client.close()
        self._process.terminate()
        self._process.wait(60)

    def _answers(self) -> bool:
        assert self._process.poll() is None, self.told()
        with contextlib.suppress(httpx2.TransportError):
            return httpx2.get(f"{self.url}/moto-api/").status_code == 200
        return False


class Way:
    """To a server on this machine; `close` it, and nobody gets through."""

    def __init__(self, port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._proxy = Proxy("127.0.0.1", port)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._proxy.__aenter__(), self._loop).result(60)
        self.url = f"http://127.0.0.1:{self._proxy.port}"

    @contextlib.contextmanager
    def closed(self) -> Generator[None]:
        self._shut(True)
        try:
            yield
        finally:
            self._shut(False)

    def end(self) -> None:
        asyncio.run_coroutine_threadsafe(self._proxy.__aexit__(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    def _shut(self, refusing: bool) -> None:
        async def shut() -> None:
            self._proxy.refusing = refusing
            self._proxy.cut()

        asyncio.run_coroutine_threadsafe(shut(), self._loop).result(60)
