"""Adapter: Amazon Comprehend finds personal data; the texts go to Amazon.

    comprehend:?region=eu-west-1&language=en&score=0.5

Credentials are those of boto3. https://docs.aws.amazon.com/comprehend/latest/APIReference/API_DetectPiiEntities.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from headrace.errors import ConfigError, RedactionError, without_extra
from headrace.redaction import Detection

try:
    import boto3  # pyright: ignore[reportMissingTypeStubs]
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError as missing:
    raise without_extra("comprehend", "open the detector comprehend:", missing) from None

KINDS: Mapping[str, str] = {
    "NAME": "name",
    "ADDRESS": "address",
    "EMAIL": "email",
    "PHONE": "phone",
    "CREDIT_DEBIT_NUMBER": "card",
    "INTERNATIONAL_BANK_ACCOUNT_NUMBER": "iban",
    "IP_ADDRESS": "ip",
    "MAC_ADDRESS": "mac",
    "SSN": "us_ssn",
    "PASSPORT_NUMBER": "passport",
    "DRIVER_ID": "driver_license",
    "UK_NATIONAL_INSURANCE_NUMBER": "uk_nino",
    "IN_AADHAAR": "in_aadhaar",
    "IN_PERMANENT_ACCOUNT_NUMBER": "in_pan",
    "PASSWORD": "secret",
    "AWS_ACCESS_KEY": "secret",
    "AWS_SECRET_KEY": "secret",
}
"""Comprehend's types that are taken; the others (dates, ages, addresses of pages) hide too much."""
MOST = 100_000
"""Bytes of a text, at most (100 KB)."""
ATTEMPTS = 6


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the address says. `endpoint`: instead of Amazon's own, such as one inside a private network."""

    region: str = ""
    language: str = "en"
    score: float = 0.5
    endpoint: str = ""


class _Entity(msgspec.Struct):
    Score: float
    Type: str
    BeginOffset: int
    EndOffset: int


class _Answer(msgspec.Struct):
    Entities: list[_Entity] = []


class Comprehend:
    """Implements `headrace.redaction.Detector`."""

    slow = True

    def __init__(self, settings: Settings, client: Any) -> None:
        self._settings = settings
        self._client = client
        self.id = f"comprehend:1 {settings.language} {settings.score}"

    def detect(self, text: str) -> Sequence[Detection]:
        return [d for start, end in stretches(text) for d in self._detect(text[start:end], start)]

    def _detect(self, text: str, at: int) -> Iterator[Detection]:
        for e in self._asked(text).Entities:
            if e.Type in KINDS and e.Score >= self._settings.score and 0 <= e.BeginOffset < e.EndOffset <= len(text):
                yield Detection(at + e.BeginOffset, at + e.EndOffset, KINDS[e.Type], min(e.Score, 0.99))

    def _asked(self, text: str) -> _Answer:
        if not text.strip():
            return _Answer()
        try:
            answer: dict[str, object] = self._client.detect_pii_entities(
                Text=text, LanguageCode=self._settings.language
            )
            return msgspec.convert({"Entities": answer.get("Entities", [])}, _Answer)
        except ClientError as error:  # its text may repeat ours
            got = str(error.response.get("Error", {}).get("Code", "no code"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        except (BotoCoreError, msgspec.ValidationError) as error:
            got = type(error).__name__
        raise RedactionError(
            step="find personal data with Amazon Comprehend",
            expected=f"an answer within {ATTEMPTS} attempts",
            got=got,
            remedy="Look at its region, credentials and quotas; the text is tried again until it answers.",
        )


def stretches(text: str) -> Iterator[tuple[int, int]]:
    """Of at most `MOST` bytes in UTF-8, cut at the end of a line or else a word."""
    start = 0
    while start < len(text):
        end = _within(text, start)
        if end < len(text):
            cut = max(text.rfind("\n", start, end), text.rfind(" ", start + (end - start) // 2, end))
            end = cut + 1 if cut > start else end
        yield start, end
        start = end


def _within(text: str, start: int) -> int:
    """The furthest end at which the part still has no more than `MOST` bytes."""
    part = text[start : start + MOST].encode("utf-8", "replace")[:MOST]
    return start + len(part.decode("utf-8", "ignore"))


def open_detector(url: str) -> Comprehend:
    """Raises ConfigError; connects when it is first used."""
    try:
        settings = msgspec.convert(dict(parse_qsl(urlsplit(url).query)), Settings, strict=False)
        retries = {"mode": "standard", "total_max_attempts": ATTEMPTS}
        config = Config(retries=retries, connect_timeout=5, read_timeout=30, user_agent_extra="headrace")
        client: Any = boto3.client(  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            "comprehend",
            region_name=settings.region or None,
            endpoint_url=settings.endpoint or None,
            config=config,
        )
    except (msgspec.ValidationError, BotoCoreError, ValueError) as error:
        raise ConfigError(
            step="open the detector comprehend:",
            expected="region, language, score, endpoint, and credentials that boto3 finds",
            got=str(error),
            remedy="Correct `detectors` of that source.",
        ) from None
    return Comprehend(settings, client)
