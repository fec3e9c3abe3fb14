"""Port: where large uploads lie: their client puts them there itself, and Headrace fetches them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from headrace.errors import HeadraceError
from headrace.findings import Finding


class ObjectStoreError(HeadraceError):
    """The store does not answer, or not now: the same request again may work."""

    status = 503
    title = "The object store is not available"


class ObjectStoreRefused(ObjectStoreError):
    """The store answers, and says no: somebody has to put that right."""

    status = 502
    title = "The object store refuses"


class NotUploaded(HeadraceError):
    """There is no such object."""

    status = 409
    title = "Not uploaded yet"


@dataclass(frozen=True, slots=True)
class Announced:
    """What is to be put: bytes, a content type, and where it is known the content's hash (`sha256:` and hex digits)."""

    size: int
    content_type: str
    digest: str | None


@dataclass(frozen=True, slots=True)
class Target:
    """Where a client puts one object with PUT, and the headers that it must send. The URL is a secret: whoever has it
    can put the object."""

    url: str = field(repr=False)
    headers: Mapping[str, str]


class Stored(Protocol):
    """One object that is being fetched. `pieces` can be had once; it raises ObjectStoreError when it breaks off."""

    @property
    def size(self) -> int:
        """Bytes, as the store says."""
        ...

    def pieces(self) -> AsyncIterator[bytes]:
        """Its content, at most a megabyte at a time."""
        ...


class ObjectStore(Protocol):
    """Objects by their keys, below the prefix of the store's address. Everything raises ObjectStoreError or
    ObjectStoreRefused, and no error holds a signed URL.

    - `target`: lets whoever has it put one object for some seconds, of just this size, type and (where it is told)
      hash. Nothing is asked of the store.
    - `open`: fetches an object. Raises NotUploaded.
    - `remove`: deletes it; one that is not there is deleted already.
    - `examine`: for `headrace doctor`, what works and what does not; `origins`: of pages that put objects.
    """

    @property
    def shown(self) -> str:
        """The address without secrets."""
        ...

    @property
    def origin(self) -> str:
        """Of the URLs that clients put to, as browsers write origins: `https://host`."""
        ...

    async def target(self, key: str, announced: Announced, seconds: int) -> Target: ...
    def open(self, key: str) -> AbstractAsyncContextManager[Stored]: ...
    async def remove(self, key: str) -> None: ...
    async def examine(self, origins: Sequence[str]) -> Sequence[Finding]: ...
    async def close(self) -> None: ...


ObjectStoreFactory = Callable[[str], ObjectStore]
"""What the registry's addresses name. Raises ConfigError; connects when it is first used."""
