"""Requests to one bucket by boto3, each in a thread, with its errors as ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from headrace.errors import without_extra
from headrace.objects import NotUploaded, ObjectStoreError, ObjectStoreRefused
from headrace.objects.s3.address import Place, Settings, unusable

try:
    import boto3  # pyright: ignore[reportMissingTypeStubs]
    from botocore import UNSIGNED
    from botocore.awsrequest import AWSRequest
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
    from botocore.httpsession import URLLib3Session
except ImportError as missing:
    raise without_extra("aws", "open the object store", missing) from None

CONNECT_S = 5.0
THREADS = 16
"""Requests and reads at once."""
CREDENTIALS = "Give boto3 credentials: in the environment, a profile, or a role of this machine."
LOOK = "Look at the bucket, its region and our rights there: `headrace doctor` tries each of them."
BUSY = frozenset({"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "OperationAborted"})
ABSENT = "NoSuchKey"
T = TypeVar("T")


class Requests:
    """Raises ConfigError for a region or an endpoint that cannot be; everything else NotUploaded, ObjectStoreError and
    ObjectStoreRefused. `origin`: of what is signed for clients."""

    def __init__(self, place: Place, settings: Settings) -> None:
        self.place = place
        public = settings.public_endpoint or settings.endpoint
        session = _session()
        self._client = _client(session, place, settings, settings.endpoint)
        self._public = self._client if public == settings.endpoint else _client(session, place, settings, public)
        plain = _client(session, place, settings, public, signed=False)
        parts = urlsplit(_signed(plain, place.at("key"), 1))
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self._threads = ThreadPoolExecutor(THREADS, "headrace-s3")

    async def asked(self, step: str, operation: str, **parameters: object) -> Mapping[str, Any]:
        """The answer to one request."""
        call: Callable[..., Mapping[str, Any]] = getattr(self._client, operation)
        return await self.apart(step, lambda: call(**parameters))

    async def signed(self, parameters: Mapping[str, object], seconds: int) -> str:
        """A URL to PUT an object to; credentials may have to be fetched for it."""
        return await self.apart("sign an address for an upload", lambda: _signed(self._public, parameters, seconds))

    async def preflight(self, url: str, headers: Mapping[str, str]) -> tuple[int, str]:
        """An OPTIONS request's status, and the origin that it allows."""
        return await self.apart("ask for CORS", lambda: _options(url, headers))

    async def apart(self, step: str, work: Callable[[], T]) -> T:
        """In a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._tried, step, work)

    async def close(self) -> None:
        self._threads.shutdown(wait=False)
        for client in {id(c): c for c in (self._client, self._public)}.values():
            client.close()

    def _tried(self, step: str, work: Callable[[], T]) -> T:
        expected = f"an answer of {self.place.shown}"
        try:
            return work()
        except ClientError as refusal:
            answer = cast(Mapping[str, Any], refusal.response)  # pyright: ignore[reportUnknownMemberType]
            raise self._refusal(step, answer) from None
        except (NoCredentialsError, PartialCredentialsError) as trouble:
            got = type(trouble).__name__
            raise ObjectStoreRefused(step=step, expected="credentials", got=got, remedy=CREDENTIALS) from None
        except BotoCoreError as trouble:  # its words may hold an address
            got, remedy = type(trouble).__name__, "Try again in a moment; nothing is lost."
            raise ObjectStoreError(step=step, expected=expected, got=got, remedy=remedy) from None

    def _refusal(self, step: str, answer: Mapping[str, Any]) -> ObjectStoreError | NotUploaded:
        code = str(answer.get("Error", {}).get("Code", "no code"))
        status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
        if code == ABSENT:
            return NotUploaded(
                step=step,
                expected="the upload at the object store",
                got="nothing there",
                remedy="PUT it to the address that was given, then complete it again.",
            )
        expected, got = f"{self.place.shown} to do it", f"{status} {code}"
        if status >= 500 or status == 429 or code in BUSY:
            remedy = "Try again in a moment; nothing is lost."
            return ObjectStoreError(step=step, expected=expected, got=got, remedy=remedy)
        return ObjectStoreRefused(step=step, expected=expected, got=got, remedy=LOOK)


def _session() -> Any:
    """Of its own: the common one is not made for threads. Raises ConfigError."""
    try:
        return boto3.Session()
    except BotoCoreError as trouble:  # a profile that is named and not there
        raise unusable("the profile that AWS_PROFILE names", type(trouble).__name__) from None


def _client(session: Any, place: Place, settings: Settings, endpoint: str, *, signed: bool = True) -> Any:
    """Raises ConfigError for a region or an endpoint that cannot be."""
    # Said outright, or else boto3 signs for the global endpoint, which sends browsers on to the region's.
    style = "path" if endpoint or "." in place.bucket else "virtual"
    config = Config(
        signature_version="s3v4" if signed else UNSIGNED,
        retries={"mode": "standard", "total_max_attempts": 2},
        connect_timeout=CONNECT_S,
        read_timeout=settings.timeout,
        max_pool_connections=THREADS,
        # Otherwise a checksum of an empty body would be part of what is signed.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        user_agent_extra="headrace",
        s3={"addressing_style": style, "us_east_1_regional_endpoint": "regional"},
    )
    try:
        return session.client("s3", region_name=settings.region or None, endpoint_url=endpoint or None, config=config)
    except (BotoCoreError, ValueError) as trouble:
        raise unusable("a region, and endpoints that are URLs", type(trouble).__name__) from None


def _signed(client: Any, parameters: Mapping[str, object], seconds: int) -> str:
    return client.generate_presigned_url("put_object", Params=dict(parameters), ExpiresIn=seconds)


def _options(url: str, headers: Mapping[str, str]) -> tuple[int, str]:
    session: Any = URLLib3Session(timeout=(CONNECT_S, 10))
    try:
        answer = session.send(AWSRequest(method="OPTIONS", url=url, headers=dict(headers)).prepare())
        return int(answer.status_code), str(answer.headers.get("access-control-allow-origin", ""))
    finally:
        session.close()
