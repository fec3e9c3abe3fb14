"""Port: what finds personal data and secrets in a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

KINDS: Mapping[str, str] = {
    "name": "names of people",
    "address": "postal addresses and their parts",
    "location": "places (presidio only)",
    "email": "e-mail addresses",
    "phone": "telephone numbers",
    "card": "payment cards",
    "iban": "bank accounts",
    "birth_date": "dates of birth",
    "us_ssn": "US social security number",
    "uk_nino": "UK national insurance number",
    "de_tax_id": "German tax identification number",
    "fr_nir": "French social security number",
    "es_dni": "Spanish DNI and NIE",
    "it_codice_fiscale": "Italian tax code",
    "in_aadhaar": "Indian Aadhaar number",
    "in_pan": "Indian permanent account number",
    "ch_ahv": "Swiss AHV number",
    "passport": "passport numbers",
    "driver_license": "driving licence numbers",
    "ip": "IPv4 and IPv6 addresses",
    "mac": "hardware addresses",
    "url_credentials": "user and password in an address",
    "secret": "keys, tokens, passwords",
}
"""Every kind that a policy may name, and what it is."""

NATIONAL_ID = "national_id"
GROUPS: Mapping[str, Sequence[str]] = {
    NATIONAL_ID: (
        "us_ssn", "uk_nino", "de_tax_id", "fr_nir", "es_dni", "it_codice_fiscale", "in_aadhaar", "in_pan", "ch_ahv",
        "passport", "driver_license",
    )
}  # fmt: skip
"""Names for several kinds at once."""


@dataclass(frozen=True, slots=True)
class Detection:
    """Characters `start` to `end` of a text are of a kind; `score` from 0 to 1 says how sure that is."""

    start: int
    end: int
    kind: str
    score: float


class Detector(Protocol):
    """Finds personal data and secrets.

    `detect` gives detections in any order; they may overlap. It depends on the text alone and runs in a thread when
    `slow`. Raises RedactionError when it cannot be done now: the text is then tried again, and not let through.
    """

    @property
    def id(self) -> str:
        """Kind, settings and version: changes when the same text may give other detections."""
        ...

    @property
    def slow(self) -> bool: ...
    def detect(self, text: str) -> Sequence[Detection]: ...
