"""What a service is to an embedder or a reranker: one request at a time, one answer or a reason why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Protocol

import msgspec

RETRIABLE = frozenset({408, 409, 424, 425, 429})
"""Beside those from 500 on."""
REFUSED = frozenset({400, 413, 422})
SAID = 300
"""So many characters of a service's own words are shown."""
REMEDIES = {
    401: "Check the key or the credentials.",
    402: "Check the account at the provider.",
    403: "Check what the key or the credentials may use.",
    404: "Check the address and the model's or endpoint's name.",
    429: "Wait, raise the quota at the provider, or set requests_per_minute and tokens_per_minute in the address.",
}

Rows = Sequence[Sequence[float]]


class Fault(Enum):
    """`TRANSIENT`: may succeed when tried again. `REFUSED`: the service does not take this input. `BROKEN`: trying
    again at once is in vain."""

    TRANSIENT = "transient"
    REFUSED = "refused"
    BROKEN = "broken"


class Trouble(Exception):
    """Why a request gave nothing; holds no secret. `after_s`: when the service asks to be tried again. `busy`: it
    works, and has too much to do."""

    def __init__(
        self, fault: Fault, expected: str, got: str, remedy: str = "Look into the service's log.",
        *, after_s: float | None = None, busy: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(got)
        self.fault = fault
        self.expected = expected
        self.got = got
        self.remedy = remedy
        self.after_s = after_s
        self.busy = busy


@dataclass(frozen=True, slots=True)
class Vectors:
    """A row for each text, in their order, of whatever length. `tokens`: what the service says that it counted."""

    rows: Rows
    tokens: int | None


class Asked(Protocol):
    """One model of one service. `ask` raises Trouble; it is cancelled when it takes too long, and cancelling it frees
    what it holds. After `close` the next call connects anew."""

    id: str
    """Names the model and where it is; never holds a secret."""
    shown: str
    """The same in the words of a message."""

    async def ask(self, texts: Sequence[str], *, query: bool) -> Vectors: ...
    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Scored:
    """A score for each passage by its place among them. `searches`: how many the service bills; None where it does not
    say it."""

    scores: Sequence[tuple[int, float]]
    tokens: int | None
    searches: int | None = None


class AskedReranker(Protocol):
    """As `Asked`, for a model that scores passages for a query. Not all of them need be scored in one request."""

    id: str
    shown: str

    async def ask(self, query: str, passages: Sequence[str]) -> Scored: ...
    async def close(self) -> None: ...


def of_status(status: int, words: str, retry_after: str | None = None) -> Trouble:
    """What a status other than 200 says. The words of 401 and 403 are left out: servers quote keys in them."""
    said = "" if status in {401, 403} or not words.strip() else f": {words.strip()[:SAID]}"
    again = status in RETRIABLE or status >= 500
    fault = Fault.TRANSIENT if again else Fault.REFUSED if status in REFUSED else Fault.BROKEN
    remedy = REMEDIES.get(status, "Look into the service's log.")
    after_s = seconds(retry_after) if fault is Fault.TRANSIENT else None
    return Trouble(fault, "status 200", f"status {status}{said}", remedy, after_s=after_s, busy=status == 429)


def garbage(expected: str, error: msgspec.MsgspecError | ValueError) -> Trouble:
    """An answer that is none; tried again, as a proxy on the way may have said it."""
    return Trouble(Fault.TRANSIENT, expected, f"something else ({type(error).__name__}: {str(error)[:SAID]})")


def seconds(retry_after: str | None) -> float | None:
    """Of a header Retry-After: a number, or a date (RFC 9110, 10.2.3). None where it cannot be read."""
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
