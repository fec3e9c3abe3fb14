"""Adapter: Presidio's recognisers and a language model of spaCy, in this process.

    presidio:?model=en_core_web_sm&language=en&score=0.5&entities=PERSON,LOCATION

`model`: an installed spaCy package, or a folder; nothing is downloaded. https://microsoft.github.io/presidio/
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import msgspec

from headrace.errors import ConfigError, without_extra
from headrace.redaction import Detection

try:
    import spacy
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NlpEngineProvider
except ImportError as missing:
    raise without_extra("presidio", "open the detector presidio:", missing) from None

KINDS: Mapping[str, str] = {
    "PERSON": "name",
    "LOCATION": "location",
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "CREDIT_CARD": "card",
    "IBAN_CODE": "iban",
    "IP_ADDRESS": "ip",
    "MAC_ADDRESS": "mac",
    "US_SSN": "us_ssn",
    "US_PASSPORT": "passport",
    "US_DRIVER_LICENSE": "driver_license",
    "UK_NINO": "uk_nino",
    "ES_NIF": "es_dni",
    "ES_NIE": "es_dni",
    "IT_FISCAL_CODE": "it_codice_fiscale",
    "IN_AADHAAR": "in_aadhaar",
    "IN_PAN": "in_pan",
}
"""Presidio's entities that are taken; the others (dates, addresses of pages, nationalities) hide too much."""
STRETCH = 100_000
"""Characters given to the model at once: spaCy refuses more than a million."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the address says."""

    model: str = "en_core_web_sm"
    language: str = "en"
    score: float = 0.5
    entities: str = ",".join(KINDS)


class Presidio:
    """Implements `headrace.redaction.Detector`."""

    slow = True

    def __init__(self, settings: Settings, engine: AnalyzerEngine) -> None:
        self._settings = settings
        self._engine = engine
        self._one = threading.Lock()  # spaCy's pipelines share state between calls
        wanted = settings.entities.split(",")
        self._entities = [e for e in engine.get_supported_entities(settings.language) if e in wanted]
        self.id = f"presidio:{version('presidio-analyzer')} {version('spacy')} {settings}"

    def detect(self, text: str) -> Sequence[Detection]:
        found: list[Detection] = []
        for start, end in _stretches(text):
            with self._one:
                results = self._engine.analyze(
                    text[start:end],
                    self._settings.language,
                    entities=self._entities,
                    score_threshold=self._settings.score,
                )
            found += [
                Detection(start + r.start, start + r.end, KINDS[r.entity_type], min(r.score, 0.99)) for r in results
            ]
        return found


def _stretches(text: str) -> list[tuple[int, int]]:
    """Cut at the ends of lines."""
    found: list[tuple[int, int]] = []
    start = 0
    while start < len(text):
        end = min(start + STRETCH, len(text))
        if end < len(text):
            cut = text.rfind("\n", start, end)
            end = cut + 1 if cut > start else end
        found.append((start, end))
        start = end
    return found


def open_detector(url: str) -> Presidio:
    """Loads the model. Raises ConfigError."""
    try:
        settings = msgspec.convert(dict(parse_qsl(urlsplit(url).query)), Settings, strict=False)
    except msgspec.ValidationError as error:
        raise _bad("model, language, score, entities", str(error), "Correct `detectors` of that source.") from None
    unknown = sorted(set(settings.entities.split(",")) - set(KINDS))
    if unknown:
        raise _bad(f"entities of {', '.join(KINDS)}", ", ".join(unknown), "Correct `detectors` of that source.")
    if not (spacy.util.is_package(settings.model) or Path(settings.model).is_dir()):
        remedy = f"Install it (python -m spacy download {settings.model}), or name another with model=."
        raise _bad(f"the spaCy model {settings.model}", "no such package or folder", remedy)
    nlp = {"lang_code": settings.language, "model_name": settings.model}
    engine = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": [nlp]}).create_engine()
    registry = RecognizerRegistry(supported_languages=[settings.language])
    registry.load_predefined_recognizers(languages=[settings.language], nlp_engine=engine)
    return Presidio(settings, AnalyzerEngine(registry, engine, supported_languages=[settings.language]))


def _bad(expected: str, got: str, remedy: str) -> ConfigError:
    return ConfigError(step="open the detector presidio:", expected=expected, got=got, remedy=remedy)
