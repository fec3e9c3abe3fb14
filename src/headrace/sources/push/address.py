"""`push:` and `push:?keep=2d&inbox=20000`: what is pushed to, and how much it remembers and lets wait."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from headrace.config.durations import duration_us
from headrace.errors import ConfigError

_KEEP_US = 24 * 3600 * 1_000_000
_INBOX = 10_000


@dataclass(frozen=True, slots=True)
class Options:
    """`keep_us`: how long keys and ids are remembered. `inbox`: changes that may wait for the log."""

    keep_us: int = _KEEP_US
    inbox: int = _INBOX


def options_of(url: str) -> Options:
    """Raises ConfigError."""
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.netloc or parts.path.strip("/") or given.keys() - {"keep", "inbox"}:
        raise _bad("push:, with ?keep= and ?inbox= at most", url)
    keep_us = duration_us(given["keep"]) if "keep" in given else _KEEP_US
    inbox = given.get("inbox", str(_INBOX))
    if keep_us < 1_000_000 or not inbox.isascii() or not inbox.isdigit() or not 1 <= int(inbox) <= 1_000_000:
        raise _bad("keep of at least 1s and inbox from 1 to 1000000", url)
    return Options(keep_us, int(inbox))


def _bad(expected: str, url: str) -> ConfigError:
    return ConfigError(
        step="read a source's url", expected=expected, got=repr(url[:100]), remedy="Write it like push:?keep=2d."
    )
