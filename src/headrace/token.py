"""Tokens: sets of positions, opaque to clients, that say what was seen or must be seen."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from headrace.change import HIGHEST, Position, parse_position
from headrace.errors import BadRequest

EVERY = "*"
"""Stands for every operator: a position at the source itself."""

_PREFIX = "h1."
_Number = Annotated[int, msgspec.Meta(ge=0, le=HIGHEST)]


@dataclass(frozen=True, slots=True)
class Token:
    """source -> operator (or EVERY) -> position.

    A token from an answer names for each operator how far it had applied each source in the answer's snapshot; a
    token of the sources' heads names one position for every operator.
    """

    positions: Mapping[str, Mapping[str, Position]] = field(default_factory=dict[str, Mapping[str, Position]])

    def position(self, source: str, operator: str) -> Position | None:
        """What this token says of a source as an operator has seen it; None when it says nothing."""
        found = self.positions.get(source)
        if found is None:
            return None
        return found.get(operator, found.get(EVERY))

    def encode(self) -> str:
        """The opaque form: URL-safe text."""
        raw = {s: {o: [p.major, p.minor] for o, p in ops.items()} for s, ops in self.positions.items()}
        return _PREFIX + base64.urlsafe_b64encode(msgspec.msgpack.encode(raw)).decode().rstrip("=")


def heads(positions: Mapping[str, Position]) -> Token:
    """A token of sources' heads."""
    return Token({source: {EVERY: position} for source, position in positions.items()})


def parse_token(text: str) -> Token:
    """A token as handed out, or `source@position[,source@position]` by a client that knows its own LSN.

    Raises BadRequest.
    """
    return _decode(text) if text.startswith(_PREFIX) else _by_hand(text)


def _decode(text: str) -> Token:
    body = text.removeprefix(_PREFIX)
    try:
        raw = msgspec.msgpack.decode(
            base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=dict[str, dict[str, tuple[_Number, _Number]]]
        )
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise _bad(text) from None
    return Token({s: {o: Position(*p) for o, p in ops.items()} for s, ops in raw.items()})


def _by_hand(text: str) -> Token:
    positions: dict[str, Position] = {}
    for part in text.split(","):
        source, at, position = part.strip().rpartition("@")
        if not at or not source or source in positions:
            raise _bad(text)
        positions[source] = parse_position(position)
    return heads(positions)


def _bad(text: str) -> BadRequest:
    return BadRequest(
        step="read a token",
        expected="a token from /v1/token or an answer, or source@position",
        got=repr(text[:60]),
        remedy="Pass a token unchanged, or name a source and one of its positions, such as airline@0/16B3748.",
    )
