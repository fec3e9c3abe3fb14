"""The last transaction that was given is known again, or the server's history is another one."""

from __future__ import annotations

import pytest

from headrace.change import Position
from headrace.sources.postgres import pgoutput as wire
from headrace.sources.postgres.assemble import Assembler
from headrace.sources.postgres.last import Forked, LastGiven
from headrace.sources.postgres.values import INT4, TEXT
from tests.unit.test_pgoutput import begin, commit, insert, positions, relation, shapes

AT = 1_000_000
LAST = LastGiven(500, AT + wire.EPOCH_US)


def resumed(last: LastGiven = LAST) -> Assembler:
    """After a restart: two changes of the transaction at 500 were given, and up to 800 nothing more was to give."""
    made = Assembler(shapes(), Position(500, 2), 800, set(), 100, 1 << 20, last=last)
    made.feed(relation(("id", INT4, True), ("v", TEXT, False)))
    made.resume()
    return made


def transaction(lsn: int, *, at: int = AT) -> list[bytes]:
    return [begin(lsn, at), insert("1", "a"), insert("2", "b"), commit(lsn, lsn + 50)]


def feed(made: Assembler, *messages: bytes) -> None:
    for message in messages:
        made.feed(message)


@pytest.mark.parametrize("last", [LAST, LastGiven(500, 0)])
def test_it_comes_again_and_the_stream_goes_on(last: LastGiven) -> None:
    made = resumed(last)
    made.keepalive(450)
    feed(made, *transaction(400))
    assert not made.proved
    feed(made, *transaction(500))
    assert made.proved
    made.keepalive(700)
    feed(made, *transaction(700), *transaction(900))

    # then what was given, and what comes before the frontier that was told, is dropped
    assert positions(made) == [(900, 1), (900, 2)]


def test_another_one_in_its_place() -> None:
    with pytest.raises(Forked, match="another time"):
        feed(resumed(), *transaction(500, at=AT + 1))


def test_a_later_one_without_it() -> None:
    with pytest.raises(Forked, match="0/2BC"):
        feed(resumed(), *transaction(700))


def test_the_end_of_the_log_without_it() -> None:
    made = resumed()
    made.keepalive(500)
    with pytest.raises(Forked, match="0/1F4, which was captured"):
        made.keepalive(501)
