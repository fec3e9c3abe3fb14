"""Tickets: what is written is read again by the same key, in time, and nothing else is."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.access import Readers
from headrace.errors import BadRequest
from headrace.folder import own_key
from headrace.ticket import LONGEST, Expired, Ticket, Tickets

KEY = b"k" * 32
TICKETS = Tickets(KEY)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)
MADE = st.builds(
    Ticket,
    object=NAMES,
    until=st.integers(1, 1 << 60),
    source=NAMES,
    name=NAMES,
    size=st.integers(0, 1 << 50),
    digest=st.none() | NAMES,
    title=st.none() | st.text(st.characters(codec="utf-8"), max_size=60),
    time=st.none() | st.integers(-(1 << 60), 1 << 60),
    readers=st.none() | st.builds(Readers, owner=st.none() | NAMES, groups=st.lists(NAMES, max_size=4).map(tuple)),
    replace=st.booleans(),
    metadata=st.none() | st.text(st.characters(codec="utf-8"), max_size=60),
)
ONE = Ticket("key", 1000, "uploads", "a.md", 3)


@given(MADE)
def test_what_is_written_is_read_until_its_time_is_over(ticket: Ticket) -> None:
    written = TICKETS.write(ticket)

    assert TICKETS.read(written, ticket.until - 1) == ticket
    assert set(written) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    with pytest.raises(Expired):
        TICKETS.read(written, ticket.until)


@given(st.integers(0, 10_000), st.characters(codec="utf-8"))
def test_no_character_of_it_can_be_another(at: int, other: str) -> None:
    written = TICKETS.write(msgspec.structs.replace(ONE, readers=Readers("ada", ("legal",))))
    at %= len(written)
    changed = written[:at] + other + written[at + 1 :]

    if changed != written:
        with pytest.raises(BadRequest):
            TICKETS.read(changed, 0)


@given(st.text(st.characters(codec="utf-8")) | st.binary().map(lambda b: b.decode("latin-1")))
def test_what_nobody_wrote_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        TICKETS.read(text, 0)


def test_another_headrace_s_ticket_is_refused() -> None:
    with pytest.raises(BadRequest, match="as it was given"):
        Tickets(b"l" * 32).read(TICKETS.write(ONE), 0)


def test_one_that_says_too_much_for_a_url_is_refused() -> None:
    groups = tuple(f"group-{n:04}" for n in range(1000))

    with pytest.raises(BadRequest, match="fewer groups"):
        TICKETS.write(msgspec.structs.replace(ONE, readers=Readers(None, groups)))
    assert len(TICKETS.write(msgspec.structs.replace(ONE, readers=Readers(None, groups[:400])))) < LONGEST


def test_the_key_is_made_once_and_for_this_user_alone(tmp_path: Path) -> None:
    key = own_key(tmp_path, "tickets.key", 32)

    assert len(key) == 32
    assert own_key(tmp_path, "tickets.key", 32) == key
    assert stat.S_IMODE((tmp_path / "tickets.key").stat().st_mode) == 0o600
    assert own_key(tmp_path, "other.key", 32) != key
    (tmp_path / "tickets.key").write_bytes(key[:5])  # cut off by a crash
    assert len(own_key(tmp_path, "tickets.key", 32)) == 32


def test_a_short_key_signs_nothing() -> None:
    with pytest.raises(ValueError, match="5 bytes"):
        Tickets(b"short")
