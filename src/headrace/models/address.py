"""What stands in the address of a service that embeds or reranks."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import ClassVar, TypeVar
from urllib.parse import SplitResult, parse_qsl, urlsplit

import msgspec
from tokenizers import Tokenizer

from headrace.errors import ConfigError
from headrace.models import bundled

EMBEDDING, RERANKER = "embedding", "reranker"
"""The settings in [models] whose addresses these are."""
_OPENED = {EMBEDDING: "open the embedder", RERANKER: "open the reranker"}


class Addressed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Query parameters of every service: see `headrace.models.calls`, and `headrace.models.cutting`."""

    setting: ClassVar[str] = EMBEDDING

    tokenizer: str = ""
    max_tokens: int | None = None
    batch: int = 64
    concurrency: int = 4
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    timeout: float = 30
    retries: int = 4
    breaker_failures: int = 5
    breaker_pause: float = 2
    price: float | None = None


class Remote(Addressed, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What those that embed take beside them: see `headrace.models.remote`."""

    dimensions: int | None = None
    batch_tokens: int = 16_384
    question_timeout: float = 5
    query_prefix: str = ""
    document_prefix: str = ""


class Reranking(Addressed, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What those that rerank take beside them: see `headrace.models.remote_reranker`."""

    setting: ClassVar[str] = RERANKER

    batch: int = 100
    timeout: float = 10
    retries: int = 1
    search_price: float | None = None


S = TypeVar("S", bound=Addressed)


def read(url: str, kind: type[S], form: str) -> tuple[SplitResult, S, str]:
    """An address in its parts, its settings, and its key. Raises ConfigError, which never shows the key.

    `form`: what such an address looks like.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise unusable(form, "an address that cannot be read", kind.setting) from None
    if not host or parts.username or parts.password or parts.fragment:
        raise unusable(form, f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", kind.setting)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    key = query.pop("key", "")
    known = kind.__struct_fields__
    for name in query.keys() - set(known):
        near = difflib.get_close_matches(name, known, 1)
        got = name + (f" (meant {near[0]}?)" if near else "")
        raise unusable(f"key, {', '.join(known)}", got, kind.setting)
    try:
        settings = msgspec.convert(query, kind, strict=False)
    except msgspec.ValidationError as error:
        raise unusable("times in seconds, counts and prices as numbers", str(error), kind.setting) from None
    _check(settings)
    return parts, settings, key


def _check(settings: Addressed) -> None:
    positive = ("dimensions", "max_tokens", "batch", "batch_tokens", "concurrency", "requests_per_minute")
    positive += ("tokens_per_minute", "timeout", "question_timeout", "breaker_failures", "breaker_pause")
    for name in positive:
        value = getattr(settings, name, None)
        if value is not None and not value > 0:
            raise unusable(f"{name} above 0", str(value), settings.setting)
    prices = [value for name in ("price", "search_price") if (value := getattr(settings, name, None)) is not None]
    if settings.retries < 0 or not all(price >= 0 for price in prices):
        got = ", ".join(map(str, [settings.retries, *prices]))
        raise unusable("retries and prices from 0", got, settings.setting)


def tokenizer(settings: Addressed) -> tuple[Tokenizer, bool]:
    """What texts are cut and counted by, and whether it is the model's own. Raises ConfigError."""
    if not settings.tokenizer:
        return bundled.tokenizer(), False
    path = Path(settings.tokenizer).expanduser()
    try:
        found = Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001 - tokenizers raises this very class
        got = f"{type(error).__name__}: {error}"[:300]
        raise unusable(f"a tokenizer.json at {path}", got, settings.setting) from None
    found.no_padding()
    found.no_truncation()
    return found, True


def unusable(expected: str, got: str, setting: str = EMBEDDING) -> ConfigError:
    remedy = f"Correct `{setting}` in [models]."
    return ConfigError(step=_OPENED[setting], expected=expected, got=got, remedy=remedy)
