"""What stands in the address of a service that embeds."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, parse_qsl, urlsplit

import msgspec
from tokenizers import Tokenizer

from headrace.errors import ConfigError
from headrace.models import bundled


class Remote(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Query parameters that all of them take: see `headrace.models.remote`."""

    dimensions: int | None = None
    tokenizer: str = ""
    max_tokens: int | None = None
    batch: int = 64
    batch_tokens: int = 16_384
    concurrency: int = 4
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    timeout: float = 30
    question_timeout: float = 5
    retries: int = 4
    breaker_failures: int = 5
    breaker_pause: float = 2
    price: float | None = None
    query_prefix: str = ""
    document_prefix: str = ""


S = TypeVar("S", bound=Remote)


def read(url: str, kind: type[S], form: str) -> tuple[SplitResult, S, str]:
    """An address in its parts, its settings, and its key. Raises ConfigError, which never shows the key.

    `form`: what such an address looks like.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise unusable(form, "an address that cannot be read") from None
    if not host or parts.username or parts.password or parts.fragment:
        raise unusable(form, f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    key = query.pop("key", "")
    known = kind.__struct_fields__
    for name in query.keys() - set(known):
        near = difflib.get_close_matches(name, known, 1)
        raise unusable(f"key, {', '.join(known)}", name + (f" (meant {near[0]}?)" if near else ""))
    try:
        settings = msgspec.convert(query, kind, strict=False)
    except msgspec.ValidationError as error:
        raise unusable("times in seconds, counts and prices as numbers", str(error)) from None
    _check(settings)
    return parts, settings, key


def _check(settings: Remote) -> None:
    positive = ("dimensions", "max_tokens", "batch", "batch_tokens", "concurrency", "requests_per_minute")
    positive += ("tokens_per_minute", "timeout", "question_timeout", "breaker_failures", "breaker_pause")
    for name in positive:
        value = getattr(settings, name)
        if value is not None and not value > 0:
            raise unusable(f"{name} above 0", str(value))
    if settings.retries < 0 or (settings.price is not None and not settings.price >= 0):
        raise unusable("retries and price from 0", f"{settings.retries} and {settings.price}")


def tokenizer(settings: Remote) -> tuple[Tokenizer, bool]:
    """What texts are cut and counted by, and whether it is the model's own. Raises ConfigError."""
    if not settings.tokenizer:
        return bundled.tokenizer(), False
    path = Path(settings.tokenizer).expanduser()
    try:
        found = Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001 - tokenizers raises this very class
        raise unusable(f"a tokenizer.json at {path}", f"{type(error).__name__}: {error}"[:300]) from None
    found.no_padding()
    found.no_truncation()
    return found, True


def unusable(expected: str, got: str) -> ConfigError:
    return ConfigError(step="open the embedder", expected=expected, got=got, remedy="Correct `embedding` in [models].")
