"""Tokens: opaque ones and those that a client writes by hand."""

from __future__ import annotations

import base64
import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.change import Position
from headrace.errors import BadRequest
from headrace.token import EVERY, Token, heads, parse_token

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
positions = st.builds(Position, st.integers(0, 2**63 - 1), st.integers(0, 2**62))
tokens = st.builds(Token, st.dictionaries(names, st.dictionaries(names, positions, max_size=4), max_size=4))


@given(tokens)
def test_a_token_reads_back_and_fits_a_url(token: Token) -> None:
    text = token.encode()

    assert parse_token(text) == token
    assert all(c.isascii() and (c.isalnum() or c in "-_.") for c in text)


def test_a_head_stands_for_every_operator_unless_one_is_named() -> None:
    token = Token({"airline": {EVERY: Position(9), "profiles": Position(7)}})

    assert token.position("airline", "knowledge") == Position(9)
    assert token.position("airline", "profiles") == Position(7)
    assert token.position("policies", "profiles") is None
    assert heads({"a": Position(3)}).position("a", "any") == Position(3)


def test_a_client_may_name_its_own_position() -> None:
    assert parse_token("airline@0/16B3748") == heads({"airline": Position(0x16B3748)})
    assert parse_token("airline@0/16B3748:2, policies@1763732100000000") == heads(
        {"airline": Position(0x16B3748, 2), "policies": Position(1_763_732_100_000_000)}
    )


@pytest.mark.parametrize(
    "text",
    ["", "airline", "@0/1", "airline@", "airline@x", "a@1,,b@2", "a@1,a@2", "h1.", "h1.!", "h1.\xfc", "h2.gA"],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_token(text)


@given(st.binary(max_size=60))
def test_any_other_bytes_are_a_token_or_refused(body: bytes) -> None:
    text = "h1." + base64.urlsafe_b64encode(body).decode()
    with contextlib.suppress(BadRequest):
        assert isinstance(parse_token(text), Token)


@pytest.mark.parametrize("pair", [(-1, 0), (2**63, 0), (0, -1), (0, 2**63)])
def test_a_position_that_no_source_has_is_refused(pair: tuple[int, int]) -> None:
    body = base64.urlsafe_b64encode(msgspec.msgpack.encode({"s": {"*": pair}})).decode()

    with pytest.raises(BadRequest):
        parse_token("h1." + body)
