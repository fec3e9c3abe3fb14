"""`s3:` addresses, and what they say."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import msgspec

from headrace.errors import ConfigError

FORM = "s3://BUCKET/PREFIX?region=REGION"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"[\w!.*'()/-]{0,200}", re.ASCII)


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

    @property
    def shown(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def at(self, key: str) -> dict[str, object]:
        """As requests name an object."""
        return {"Bucket": self.bucket, "Key": self.prefix + key}


def parsed(url: str) -> tuple[Place, Settings]:
    """An address in its parts. Raises ConfigError, which repeats no value of it that may be a secret."""
    try:
        parts = urlsplit(url)
        bucket, prefix = parts.netloc, parts.path.strip("/")
    except ValueError:
        raise unusable(FORM, "an address that cannot be read") from None
    if "@" in bucket or ":" in bucket:
        raise unusable(FORM + ", and credentials where boto3 finds them", "something else beside the bucket")
    if not _BUCKET.fullmatch(bucket) or not _PREFIX.fullmatch(prefix) or parts.fragment:
        raise unusable(FORM, f"s3://{bucket}/{prefix}"[:200])
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    known = Settings.__struct_fields__
    for name in query.keys() - set(known):
        near = difflib.get_close_matches(name, known, 1)
        raise unusable(", ".join(known), name[:60] + (f" (meant {near[0]}?)" if near else ""))
    try:
        settings = msgspec.convert(query, Settings, strict=False)
    except msgspec.ValidationError as trouble:
        raise unusable("timeout in seconds", str(trouble)) from None
    if not settings.timeout > 0:
        raise unusable("timeout above 0", str(settings.timeout))
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
        raise unusable(f"{name} as http://host:port or https://host", "something else")


def unusable(expected: str, got: str) -> ConfigError:
    return ConfigError(
        step="open the object store", expected=expected, got=got, remedy="Correct `object_store` in [uploads]."
    )
