"""One JSON request to a service over HTTP, what goes wrong with it as `Trouble`. The key is never in what is said."""

from __future__ import annotations

import httpx2
import msgspec

from headrace.models.asked import Fault, Trouble, of_status

REACH = "See that it runs and can be reached."


class _Said(msgspec.Struct, frozen=True):
    message: str = ""


class _Problem(msgspec.Struct, frozen=True):
    """Servers differ in where they say what is wrong."""

    error: _Said | str | None = None
    message: str | None = None
    detail: str | None = None


class Poster:
    """A client of one address; `key` is sent as bearer. `connect_timeout` in seconds."""

    def __init__(self, url: str, key: str, connect_timeout: float) -> None:
        self._url = url
        self._key = key
        self._connect_timeout = connect_timeout
        self._client: httpx2.AsyncClient | None = None

    async def post(self, body: object) -> bytes:
        """The content of an answer with status 200. Raises Trouble."""
        try:
            answer = await self._connected().post(self._url, json=body)
        except httpx2.ConnectTimeout:
            expected = f"a connection within {self._connect_timeout:g} s"
            raise Trouble(Fault.TRANSIENT, expected, "none", REACH) from None
        except httpx2.ConnectError as error:
            got = f"none ({self._redacted(str(error)) or type(error).__name__})"
            raise Trouble(Fault.TRANSIENT, "a connection", got, REACH) from None
        except httpx2.HTTPError as error:
            raise Trouble(Fault.TRANSIENT, "an answer to its end", type(error).__name__) from None
        if answer.status_code != 200:
            raise of_status(answer.status_code, self._words(answer.content), answer.headers.get("retry-after"))
        return answer.content

    def _words(self, content: bytes) -> str:
        """What a server says of an error, without the key."""
        try:
            problem = msgspec.json.decode(content, type=_Problem)
        except msgspec.MsgspecError:
            return ""
        said = problem.error.message if isinstance(problem.error, _Said) else problem.error
        return self._redacted(said or problem.message or problem.detail or "")

    def _redacted(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text

    def _connected(self) -> httpx2.AsyncClient:
        if self._client is None:
            headers = {"authorization": f"Bearer {self._key}"} if self._key else {}
            timeout = httpx2.Timeout(None, connect=self._connect_timeout)
            self._client = httpx2.AsyncClient(headers=headers, timeout=timeout, follow_redirects=False)
        return self._client

    async def close(self) -> None:
        """The next request connects anew."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
