"""What happens with what is found: tokens, places, and texts that are read again."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import ConfigError, RedactionError
from headrace.knowledge import cutting
from headrace.knowledge.chunk import chunk
from headrace.knowledge.formats.markdown import headings
from headrace.knowledge.operator import Knowledge
from headrace.knowledge.parsed import Parsed, Span
from headrace.knowledge.redacting import cleared, cleared_failure
from headrace.place import Place
from headrace.redaction import GROUPS, KINDS, Detection
from headrace.redaction.policy import Action, Policy, Redactor
from headrace.redaction.rules import Rules
from headrace.stores.values import Failure
from tests.unit.test_chunk import tokenizer
from tests.unit.test_knowledge_operator import Embedder, Work, document

KEY = "a key of many letters"
PII = [
    "ada@example.com", "Dr. Ada King", "4532 2766 4457 7020", "GB82 WEST 1234 5698 7654 32", "+49 30 901820",
    "536-22-1234", "203.0.113.9", "password: hunter2!", "born on May 4, 1990", "12 Old Mill Road", "my name is Bo Quux",
    "[EMAIL]", "[NAME:0123456789abcdef]", "Springfield, IL 62704", "postgres://bob:s3cr3t@db.example/x",
]  # fmt: skip
FILLER = ["the", "fee", "is", "Dear", "7", "12", "\n", "# Terms", "|", ",", "call", "Name:", "key=", "Grüße", "東京"]
texts = st.lists(st.one_of(st.sampled_from(PII), st.sampled_from(FILLER)), max_size=25).map(" ".join)


def redactor(default: Action = "mask", **kinds: Action) -> Redactor:
    return Redactor([Rules()], Policy(kinds, default, KEY))


def test_a_value_is_masked_hashed_or_kept_by_its_kind() -> None:
    by = redactor(email="hash", ip="keep")

    done = by.redact("ada@example.com asked from 203.0.113.9, tel. +49 30 901820; ADA@example.com again")

    first, second = re.findall(r"\[EMAIL:([0-9a-f]{16})\]", done.text)
    assert first == second, "the same value is the same token, however it is written"
    assert done.text == f"[EMAIL:{first}] asked from 203.0.113.9, tel. [PHONE]; [EMAIL:{first}] again"


def test_other_values_and_other_keys_give_other_tokens() -> None:
    policy = Policy({"email": "hash"}, "mask", KEY)

    tokens = {policy.token("email", "ada@example.com"), policy.token("email", "bo@example.com")}
    tokens.add(Policy({"email": "hash"}, "mask", KEY + "!").token("email", "ada@example.com"))

    assert len(tokens) == 3


def test_a_group_stands_for_its_kinds_and_a_kind_goes_before_it() -> None:
    policy = Policy({"national_id": "keep", "us_ssn": "mask"})

    assert {policy.action(kind) for kind in GROUPS["national_id"] if kind != "us_ssn"} == {"keep"}
    assert policy.action("us_ssn") == policy.action("email") == "mask"


@pytest.mark.parametrize(("name", "hint"), [("emial", "`email`"), ("nationalid", "`national_id`"), ("zzz", "Known:")])
def test_an_unknown_kind_is_an_error_with_the_near_one(name: str, hint: str) -> None:
    with pytest.raises(ConfigError) as told:
        Policy({name: "mask"})

    assert hint in told.value.remedy


@pytest.mark.parametrize("key", ["", "short"])
def test_hashes_need_a_key_and_no_error_shows_it(key: str) -> None:
    with pytest.raises(ConfigError) as told:
        Policy({"email": "hash"}, "mask", key)

    assert "short" not in str(told.value).replace("a shorter one", "")


def test_the_version_of_a_policy_changes_with_all_that_counts_and_only_then() -> None:
    ids = [
        redactor().id, redactor(email="hash").id, redactor("keep").id,
        Redactor([Rules()], Policy({"email": "hash"}, "mask", KEY + "2")).id,
    ]  # fmt: skip

    assert len(set(ids)) == 4
    assert redactor(email="hash").id == ids[1]


@settings(deadline=None, max_examples=150)
@given(texts, st.sampled_from(["mask", "hash"]))
def test_a_redacted_text_has_nothing_left_to_redact(text: str, default: Action) -> None:
    by = redactor(default)

    done = by.redact(text)

    assert by.redact(done.text).text == done.text
    assert by.redact(text).text == done.text


@settings(deadline=None, max_examples=150)
@given(texts)
def test_places_lead_to_the_same_words(text: str) -> None:
    done = redactor("hash").redact(text)

    last = 0
    for r in done.replaced:
        assert text[last : r.start] == done.text[done.moved(last) : r.at], "what lies between is as it was"
        assert done.text[r.at : r.at + len(r.token)] == r.token
        assert done.moved(r.start) == r.at
        assert done.moved(r.end) == r.at + len(r.token)
        last = r.end
    assert done.text[done.moved(last) :] == text[last:]
    assert done.moved(len(text)) == len(done.text)


def test_a_name_told_once_goes_everywhere() -> None:
    done = redactor().redact("Patient name: Zoltan Quux\n\nThe ward saw Zoltan Quux twice; zoltan sleeps.")

    assert "Zoltan" not in done.text
    assert "saw [NAME] twice" in done.text


def test_a_document_is_cleared_with_its_places_title_and_headings() -> None:
    text = "# For Dr. Ada King\n\nWrite to ada@example.com.\n\n# Pay\n\nGB82 WEST 1234 5698 7654 32\n"
    cut = text.index("# Pay")
    spans = (Span(0, cut, Place(page=1, member="Ada King.pdf")), Span(cut, len(text), Place(page=2)))
    parsed = Parsed("For Dr. Ada King", text, True, spans=spans, outline=((0, 1, "For Dr. Ada King"), (cut, 1, "Pay")))

    done = cleared(parsed, redactor())

    assert done.title == "For Dr. [NAME]"
    assert done.outline == tuple(headings(done.text))
    assert [done.text[s.start : s.end] for s in done.spans] == [
        "# For Dr. [NAME]\n\nWrite to [EMAIL].\n\n", "# Pay\n\n[IBAN]\n"
    ]  # fmt: skip
    assert [s.place for s in done.spans] == [Place(page=1, member="[NAME].pdf"), Place(page=2)]


@settings(deadline=None, max_examples=60)
@given(st.lists(texts.filter(bool), min_size=1, max_size=4))
def test_chunks_of_a_cleared_document_stand_on_their_pages(pages: list[str]) -> None:
    text, spans = "", list[Span]()
    for n, page in enumerate(pages, start=1):
        spans.append(Span(len(text), len(text) + len(page) + 2, Place(page=n)))
        text += page + "\n\n"

    done = cleared(Parsed("t", text, False, spans=tuple(spans)), redactor())

    assert done.spans[-1].end == len(done.text)
    assert all(a.end == b.start for a, b in zip(done.spans, done.spans[1:], strict=False))
    for piece in chunk(done, tokenizer()):
        assert done.text[piece.start : piece.end] == piece.text
        assert piece.place is not None


def test_a_failure_does_not_tell_what_it_failed_at() -> None:
    failure = Failure("render", "a date", "ValueError: 'ada@example.com' is no date", "Correct it.")

    assert cleared_failure(failure, redactor()).got == "ValueError: '[EMAIL]' is no date"


class Moody:
    """A detector that cannot work the first times."""

    id = "moody"
    slow = True

    def __init__(self, times: int) -> None:
        self.times = times

    def detect(self, text: str) -> list[Detection]:
        if self.times:
            self.times -= 1
            raise RedactionError(step="look", expected="an answer", got="none", remedy="It is tried again.")
        at = text.find("Zoltan")
        return [Detection(at, at + 6, "name", 0.9)] if at >= 0 else []


async def test_texts_wait_for_a_detector_that_cannot_work_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "FIRST_PAUSE_S", 0.001)
    moody = Moody(3)
    embedder = Embedder()
    redactors = {"docs": Redactor([moody], Policy({}))}
    knowledge = Knowledge(frozenset({"docs"}), {}, embedder, Work(), None, redactors)

    prepared = await knowledge.prepare(
        [document(1, "a.md", b"Zoltan pays."), document(2, "b.md", b"x")], background=False
    )

    assert moody.times == 0
    assert [d.text for d in prepared.drafts] == ["[NAME] pays.", "x"]
    assert not prepared.letters
    assert not [t for t in embedder.embedded if "Zoltan" in t]


def test_every_kind_has_a_token_that_is_known_again() -> None:
    for default in ("mask", "hash"):
        by = redactor(default)
        line = " ".join(by.policy.token(kind, "value of some kind 7") for kind in KINDS)
        assert by.redact(line).text == line
