"""Presidio as it is installed, without a language model; Comprehend's client against an endpoint that answers like it.

The endpoint is ours: it shows that requests, limits, retries and offsets are right, not what Amazon's models find.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import ConfigError, RedactionError
from headrace.redaction.comprehend import MOST, Comprehend, open_detector, stretches
from headrace.redaction.policy import Policy, Redactor
from headrace.redaction.presidio import STRETCH, Presidio
from headrace.redaction.presidio import open_detector as open_presidio
from headrace.redaction.rules import Rules

# ---- presidio --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def presidio(tmp_path_factory: pytest.TempPathFactory) -> Presidio:
    """With a model that only cuts words: what is found, Presidio's own recognisers find."""
    spacy = import_module("spacy")
    model = tmp_path_factory.mktemp("model") / "blank"
    spacy.blank("en").to_disk(model)
    return open_presidio(f"presidio:?model={model}&score=0.4")


def test_presidio_s_entities_become_our_kinds(presidio: Presidio) -> None:
    text = "Mail ada@example.com, card 4532276644577020, account GB82WEST12345698765432."

    found = {(d.kind, text[d.start : d.end]) for d in presidio.detect(text)}

    assert found >= {("email", "ada@example.com"), ("card", "4532276644577020"), ("iban", "GB82WEST12345698765432")}
    assert Redactor([Rules(), presidio], Policy({})).redact(text).text == "Mail [EMAIL], card [CARD], account [IBAN]."


def test_long_texts_are_given_to_presidio_in_parts(presidio: Presidio) -> None:
    text = ("Nothing here.\n" * (STRETCH // 14 + 1)) + "Mail ada@example.com now."

    (found,) = [d for d in presidio.detect(text) if d.kind == "email"]

    assert text[found.start : found.end] == "ada@example.com"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("presidio:?model=no_such_model", "no_such_model"),
        ("presidio:?entities=PERSON,DATE_TIME", "DATE_TIME"),
        ("presidio:?modle=x", "modle"),
        ("presidio:?score=high", "score"),
    ],
)
def test_a_wrong_address_of_presidio_says_what_is_wrong(url: str, words: str) -> None:
    with pytest.raises(ConfigError) as told:
        open_presidio(url)

    assert words in str(told.value)


@pytest.mark.parametrize(("adapter", "needs"), [("presidio", "presidio_analyzer"), ("comprehend", "boto3")])
def test_without_its_packages_an_adapter_names_the_extra(
    adapter: str, needs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, needs, None)
    monkeypatch.delitem(sys.modules, f"headrace.redaction.{adapter}")

    with pytest.raises(ConfigError) as told:
        import_module(f"headrace.redaction.{adapter}")

    assert f"headrace[{adapter}]" in told.value.remedy


# ---- comprehend ------------------------------------------------------------------------------------------------------


class _Endpoint(ThreadingHTTPServer):
    """Finds every `Ada`; refuses texts that are too long, and the first requests with the given errors."""

    def __init__(self, *errors: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.errors = list(errors)
        self.texts: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _endpoint(self) -> _Endpoint:
        assert isinstance(self.server, _Endpoint)
        return self.server

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        request = msgspec.json.decode(content, type=dict[str, str])
        assert self.headers["x-amz-target"] == "Comprehend_20171127.DetectPiiEntities"
        assert "Signature=" in self.headers["authorization"]
        if self._endpoint.errors:
            error = self._endpoint.errors.pop(0)
            status = 500 if error.startswith("Internal") else 400
            self._answer(status, {"__type": f"com.amazonaws.comprehend#{error}", "message": "no"})
            return
        text = request["Text"]
        self._endpoint.texts.append(text)
        if len(text.encode()) > MOST:
            self._answer(400, {"__type": "com.amazonaws.comprehend#TextSizeLimitExceededException", "message": "no"})
            return
        entities: list[object] = []
        at = text.find("Ada")
        while at >= 0:
            entities.append({"Type": "NAME", "Score": 0.98, "BeginOffset": at, "EndOffset": at + 3})
            at = text.find("Ada", at + 1)
        entities.append({"Type": "DATE_TIME", "Score": 0.99, "BeginOffset": 0, "EndOffset": 1})
        self._answer(200, {"Entities": entities})

    def _answer(self, status: int, body: object) -> None:
        content = msgspec.json.encode(body)
        self.send_response(status)
        self.send_header("content-type", "application/x-amz-json-1.1")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextmanager
def endpoint(monkeypatch: pytest.MonkeyPatch, *errors: str) -> Generator[tuple[Comprehend, _Endpoint]]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with _Endpoint(*errors) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield open_detector(f"comprehend:?region=eu-west-1&endpoint=http://127.0.0.1:{server.server_port}"), server
        finally:
            server.shutdown()
            thread.join(60)


def test_comprehend_s_answers_are_detections_at_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Grüße 東京: Ada wrote.\n" * 8000

    with endpoint(monkeypatch) as (detector, server):
        found = detector.detect(text)

    assert len(server.texts) > 1, "one request would be beyond the limit"
    assert "".join(server.texts) == text
    assert len(found) == 8000
    assert {(d.kind, text[d.start : d.end]) for d in found} == {("name", "Ada")}


def test_comprehend_is_asked_again_when_it_throttles(monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint(monkeypatch, "ThrottlingException", "InternalServerException") as (detector, server):
        assert [d.kind for d in detector.detect("Ada")] == ["name"]
        assert len(server.texts) == 1


def test_what_comprehend_refuses_waits_and_its_text_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        endpoint(monkeypatch, "UnsupportedLanguageException") as (detector, _),
        pytest.raises(RedactionError) as told,
    ):
        detector.detect("Ada")

    assert told.value.got == "UnsupportedLanguageException"
    assert "Ada" not in str(told.value)


def test_nothing_is_asked_about_an_empty_text(monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint(monkeypatch) as (detector, server):
        assert detector.detect(" \n") == []
        assert server.texts == []


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.sampled_from(["a", "é", "東", "🎺", " ", "\n", "word " * 3000, "x" * 60_000, "東" * 40_000]), max_size=9
    )
)
def test_stretches_cover_a_text_within_the_limit(parts: list[str]) -> None:
    text = "".join(parts)

    found = list(stretches(text))

    assert "".join(text[start:end] for start, end in found) == text
    assert all(0 < len(text[start:end].encode()) <= MOST for start, end in found)


@pytest.mark.parametrize("url", ["comprehend:?regoin=x", "comprehend:?score=x&region=eu-west-1"])
def test_a_wrong_address_of_comprehend_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        open_detector(url)
