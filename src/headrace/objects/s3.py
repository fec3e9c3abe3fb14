"""Object store `s3:`: a bucket at Amazon S3, or at a server that speaks its protocol.

    s3://my-bucket/uploads?region=eu-west-1
    s3://my-bucket?region=us-east-1&endpoint=http://minio:9000&public_endpoint=https://files.example.com

`endpoint` is another one than Amazon's, addressed by paths; `public_endpoint`: as clients reach it, where that is
another way than ours. Credentials are those that boto3 finds: the environment, a profile, a role.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import difflib
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import parse_qsl, urlsplit

import msgspec

from headrace.errors import ConfigError
from headrace.findings import Finding, failed, note, ok, warning
from headrace.objects import Announced, NotUploaded, ObjectStoreError, ObjectStoreRefused, Stored, Target

try:
    import boto3  # pyright: ignore[reportMissingTypeStubs]
    from botocore import UNSIGNED
    from botocore.awsrequest import AWSRequest
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
    from botocore.httpsession import URLLib3Session
except ModuleNotFoundError as missing:
    raise ConfigError(
        step="open the object store",
        expected="boto3",
        got=f"no module named {missing.name}",
        remedy="Install it: pip install 'headrace[aws]'.",
    ) from None

FORM = "s3://BUCKET/PREFIX?region=REGION"
PIECE = 1 << 20
CONNECT_S = 5.0
THREADS = 16
"""Requests and reads at once."""
CREDENTIALS = "Give boto3 credentials: in the environment, a profile, or a role of this machine."
LOOK = "Look at the bucket, its region and our rights there: `headrace doctor` tries each of them."
BUSY = frozenset({"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "OperationAborted"})
ABSENT = "NoSuchKey"

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[\w!.*'()/-]{0,200}", re.ASCII)
T = TypeVar("T")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The query of an address. `timeout`: seconds that the store may say nothing."""

    region: str = ""
    endpoint: str = ""
    public_endpoint: str = ""
    timeout: float = 30


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket, and what all keys in it begin with: empty, or ending with `/`."""

    bucket: str
    prefix: str


class _Body(Protocol):
    def read(self, amt: int) -> bytes: ...
    def close(self) -> None: ...


class _Fetched:
    """Implements `headrace.objects.Stored`."""

    def __init__(self, size: int, body: _Body, store: S3) -> None:
        self.size = size
        self._body = body
        self._store = store

    async def pieces(self) -> AsyncIterator[bytes]:
        while piece := await self._store.apart("fetch an upload", lambda: self._body.read(PIECE)):
            yield piece


class S3:
    """Implements `headrace.objects.ObjectStore`."""

    def __init__(self, place: Place, settings: Settings) -> None:
        self._place = place
        self.shown = f"s3://{place.bucket}/{place.prefix}".rstrip("/")
        public = settings.public_endpoint or settings.endpoint
        session: Any = boto3.Session()  # of its own: the common one is not made for threads
        self._client = _client(session, place, settings, settings.endpoint)
        self._public = self._client if public == settings.endpoint else _client(session, place, settings, public)
        plain = _client(session, place, settings, public, signed=False)
        parts = urlsplit(_signed(plain, {"Bucket": place.bucket, "Key": "key"}, 1))
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self._threads = ThreadPoolExecutor(THREADS, "headrace-s3")

    async def target(self, key: str, announced: Announced, seconds: int) -> Target:
        """See `ObjectStore`: its size and type are signed as headers, so that S3 refuses anything else."""
        headers = {"content-type": announced.content_type, "content-length": str(announced.size)}
        given: dict[str, object] = {
            **self._at(key), "ContentType": announced.content_type, "ContentLength": announced.size
        }  # fmt: skip
        if announced.digest is not None:
            given["ChecksumSHA256"] = headers["x-amz-checksum-sha256"] = _base64(announced.digest)
        url = await self.apart("sign an address for an upload", lambda: _signed(self._public, given, seconds))
        return Target(url, headers)

    @contextlib.asynccontextmanager
    async def open(self, key: str) -> AsyncGenerator[Stored]:
        answer = await self._asked("fetch an upload", "get_object", **self._at(key))
        body: _Body = answer["Body"]
        try:
            yield _Fetched(int(answer["ContentLength"]), body, self)
        finally:
            body.close()

    async def remove(self, key: str) -> None:
        await self._asked("delete a fetched upload", "delete_object", **self._at(key))

    async def close(self) -> None:
        self._threads.shutdown(wait=False)
        for client in {id(c): c for c in (self._client, self._public)}.values():
            client.close()

    async def apart(self, step: str, work: Callable[[], T]) -> T:
        """In a thread. Raises NotUploaded, ObjectStoreError, ObjectStoreRefused."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._tried, step, work)

    # ---- headrace doctor ---------------------------------------------------------------------------------------------

    async def examine(self, origins: Sequence[str]) -> Sequence[Finding]:
        """Puts, fetches and deletes an object of its own below the prefix; what the first does not do is not gone on
        with."""
        key = f"headrace-doctor-{secrets.token_urlsafe(16)}"
        try:
            await self._asked("put an object", "put_object", **self._at(key), Body=b"headrace doctor")
        except ObjectStoreError as problem:
            return [failed(problem)]
        found = [ok("put", f"an object below {self.shown}"), await self._fetchable(key)]
        try:
            await self.remove(key)
            found.append(ok("delete", "that object"))
            found.append(await self._absence(key))
        except ObjectStoreError as problem:
            found.append(failed(problem))
        return [*found, *[await self._preflight(origin) for origin in origins], await self._lifecycle()]

    async def _fetchable(self, key: str) -> Finding:
        try:
            async with self.open(key) as stored:
                size = sum([len(piece) async for piece in stored.pieces()])
        except (ObjectStoreError, NotUploaded) as problem:
            return failed(problem)
        return ok("get", f"its {size} bytes")

    async def _absence(self, key: str) -> Finding:
        """Without the right to list, S3 answers 403 for what is not there."""
        try:
            async with self.open(key):
                return warning("absence", expected="it to be gone", got="it is still there", remedy=LOOK)
        except NotUploaded:
            return ok("absence", "what is not there is told from what is forbidden")
        except ObjectStoreError as problem:
            remedy = f"Allow s3:ListBucket on {self._place.bucket}: uploads that have not come are else told as errors."
            return warning("absence", expected="404 for an object that is not there", got=problem.got, remedy=remedy)

    async def _preflight(self, origin: str) -> Finding:
        """What a browser asks before a page of that origin may put something there."""
        check = f"CORS for {origin}"
        announced = Announced(1, "application/octet-stream", "sha256:" + "0" * 64)
        remedy = f"Give the bucket a CORS rule with {origin}, PUT and all headers: see docs/documents.md. Until then "
        remedy += "its page sends large files through Headrace."
        expected = "leave to PUT from there"
        try:
            target = await self.target("headrace-doctor", announced, 60)
            asked = ",".join(sorted(target.headers.keys() - {"content-length"}))
            headers = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
            headers["Access-Control-Request-Headers"] = asked
            status, allowed = await self.apart("ask for CORS", lambda: _options(target.url, headers))
        except ObjectStoreError as problem:
            return warning(check, expected=expected, got=problem.got, remedy=remedy)
        if status < 300 and allowed in ("*", origin):
            return ok(check, "its page may put there")
        return warning(check, expected=expected, got=f"{status}, {allowed or 'none'}", remedy=remedy)

    async def _lifecycle(self) -> Finding:
        """Objects that nobody comes back for stay without a rule."""
        try:
            answer = await self._asked(
                "see the lifecycle", "get_bucket_lifecycle_configuration", Bucket=self._place.bucket
            )
        except ObjectStoreError as problem:
            return note("lifecycle", f"cannot be seen, or there is none ({problem.got})")
        rules: Sequence[Mapping[str, object]] = answer.get("Rules", [])
        expiring = sum(rule.get("Status") == "Enabled" and "Expiration" in rule for rule in rules)
        return note("lifecycle", f"{expiring} rule{'' if expiring == 1 else 's'} that delete old objects")

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _at(self, key: str) -> dict[str, object]:
        return {"Bucket": self._place.bucket, "Key": self._place.prefix + key}

    async def _asked(self, step: str, operation: str, **parameters: object) -> Mapping[str, Any]:
        call: Callable[..., Mapping[str, Any]] = getattr(self._client, operation)
        return await self.apart(step, lambda: call(**parameters))

    def _tried(self, step: str, work: Callable[[], T]) -> T:
        expected = f"an answer of {self.shown}"
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
        expected, got = f"{self.shown} to do it", f"{status} {code}"
        if status >= 500 or status == 429 or code in BUSY:
            remedy = "Try again in a moment; nothing is lost."
            return ObjectStoreError(step=step, expected=expected, got=got, remedy=remedy)
        return ObjectStoreRefused(step=step, expected=expected, got=got, remedy=LOOK)


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
        raise _unusable("a region, and endpoints that are URLs", type(trouble).__name__) from None


def _signed(client: Any, parameters: Mapping[str, object], seconds: int) -> str:
    return client.generate_presigned_url("put_object", Params=dict(parameters), ExpiresIn=seconds)


def _options(url: str, headers: Mapping[str, str]) -> tuple[int, str]:
    """An OPTIONS request's status, and the origin that it allows."""
    session: Any = URLLib3Session(timeout=(CONNECT_S, 10))
    try:
        answer = session.send(AWSRequest(method="OPTIONS", url=url, headers=dict(headers)).prepare())
        return int(answer.status_code), str(answer.headers.get("access-control-allow-origin", ""))
    finally:
        session.close()


def _base64(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest.removeprefix("sha256:"))).decode()


def parsed(url: str) -> tuple[Place, Settings]:
    """An address in its parts. Raises ConfigError, which repeats no value of it that may be a secret."""
    try:
        parts = urlsplit(url)
        bucket, prefix = parts.netloc, parts.path.strip("/")
    except ValueError:
        raise _unusable(FORM, "an address that cannot be read") from None
    if "@" in bucket or ":" in bucket:
        raise _unusable(FORM + ", and credentials where boto3 finds them", "something else beside the bucket")
    if not _BUCKET.fullmatch(bucket) or not _PREFIX.fullmatch(prefix) or parts.fragment:
        raise _unusable(FORM, f"s3://{bucket}/{prefix}"[:200])
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    known = Settings.__struct_fields__
    for name in query.keys() - set(known):
        near = difflib.get_close_matches(name, known, 1)
        raise _unusable(", ".join(known), name[:60] + (f" (meant {near[0]}?)" if near else ""))
    try:
        settings = msgspec.convert(query, Settings, strict=False)
    except msgspec.ValidationError as trouble:
        raise _unusable("timeout in seconds", str(trouble)) from None
    if not settings.timeout > 0:
        raise _unusable("timeout above 0", str(settings.timeout))
    for name in ("endpoint", "public_endpoint"):
        _check_endpoint(name, getattr(settings, name))
    return Place(bucket, f"{prefix}/" if prefix else ""), settings


def _check_endpoint(name: str, value: str) -> None:
    if not value:
        return
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and parts.hostname and not (parts.username or parts.query)
    except ValueError:
        good = False
    if not good:
        raise _unusable(f"{name} as http://host:port or https://host", "something else")


def open_objects(url: str) -> S3:
    """The store of an address. Raises ConfigError; connects when it is first used."""
    place, settings = parsed(url)
    return S3(place, settings)


def _unusable(expected: str, got: str) -> ConfigError:
    return ConfigError(
        step="open the object store", expected=expected, got=got, remedy="Correct `object_store` in [uploads]."
    )
