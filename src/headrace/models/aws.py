"""Amazon's runtimes of models, asked by boto3 in threads: one request, its errors as `Trouble`.

Credentials are those that boto3 finds: the environment, a profile, a role. `endpoint` in an address is an endpoint of
one's own, such as one inside a private network.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, cast

from headrace.errors import without_extra
from headrace.models.address import Remote, Reranking, unusable
from headrace.models.asked import Fault, Trouble, of_status

try:
    import boto3  # pyright: ignore[reportMissingTypeStubs]
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
except ImportError as missing:
    raise without_extra("aws", "open a model at Amazon", missing) from None

CONNECT_S = 5.0
CREDENTIALS = "Give boto3 credentials: in the environment, a profile, or a role of this machine."
BUSY = frozenset({"ServiceQuotaExceededException", "ThrottlingException", "ModelNotReadyException"})


class AwsRemote(Remote, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What addresses at Amazon take beside the common ones."""

    endpoint: str = ""


class AwsReranking(Reranking, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same of a reranker."""

    endpoint: str = ""


class _Body(Protocol):
    def read(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Reply:
    """What came: the body, and the headers by their names in lower case."""

    content: bytes
    headers: Mapping[str, str]


class Runtime:
    """One client of one of Amazon's services. Raises ConfigError for a region or an endpoint that cannot be."""

    def __init__(self, service: str, region: str, settings: AwsRemote | AwsReranking) -> None:
        config = Config(
            retries={"total_max_attempts": 1},  # ours know of all of them together
            connect_timeout=CONNECT_S,
            read_timeout=settings.timeout,
            max_pool_connections=2 * settings.concurrency,
            user_agent_extra="headrace",
        )
        try:
            session: Any = boto3.Session()  # of its own: the common one is not made for threads
            self._client: Any = session.client(
                service, region_name=region, endpoint_url=settings.endpoint or None, config=config
            )
        except (BotoCoreError, ValueError) as error:
            expected = f"{service} in a region, and an endpoint that is a URL"
            raise unusable(expected, str(error), settings.setting) from None
        self._width = 2 * settings.concurrency
        self._threads: ThreadPoolExecutor | None = None

    async def ask(self, operation: str, **parameters: str) -> Reply:
        """The reply to one request; a cancelled one leaves its thread when the client's own time is up."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._width, "headrace-aws")
        call: Callable[..., Mapping[str, Any]] = getattr(self._client, operation)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _called, call, parameters)

    async def close(self) -> None:
        """Ends the threads that have nothing to do, the others when they are done, and the connections."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False)
            self._client.close()


def _called(call: Callable[..., Mapping[str, Any]], parameters: dict[str, str]) -> Reply:
    try:
        answer = call(**parameters)
        body: _Body = answer["body"] if "body" in answer else answer["Body"]
        return Reply(body.read(), answer["ResponseMetadata"]["HTTPHeaders"])
    except ClientError as error:
        raise _refusal(cast(Mapping[str, Any], error.response)) from None  # pyright: ignore[reportUnknownMemberType]
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise Trouble(Fault.BROKEN, "credentials", type(error).__name__, CREDENTIALS) from None
    except BotoCoreError as error:
        raise Trouble(Fault.TRANSIENT, "an answer to its end", type(error).__name__) from None


def _refusal(answer: Mapping[str, Any]) -> Trouble:
    said, about = answer.get("Error", {}), answer.get("ResponseMetadata", {})
    code = str(said.get("Code", "no code"))
    status = int(about.get("HTTPStatusCode", 500))
    if code in BUSY:
        status = 429
    elif code == "ModelError":  # what the model's own server said
        status = int(answer.get("OriginalStatusCode") or status)
    words = f"{code} {answer.get('OriginalMessage') or said.get('Message', '')}".strip()
    return of_status(status, words, about.get("HTTPHeaders", {}).get("retry-after"))
