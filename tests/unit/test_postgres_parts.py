"""Parts of the PostgreSQL source that need no server: addresses, names, COPY's text form, histories."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.change import Row
from headrace.errors import ConfigError
from headrace.sources.postgres.address import parse
from headrace.sources.postgres.lines import read_line, unescape
from headrace.sources.postgres.pgoutput import Relation, RelationColumn
from headrace.sources.postgres.replication import format_lsn, parse_lsn
from headrace.sources.postgres.setup import branch, object_name
from headrace.sources.postgres.shapes import Shapes
from headrace.sources.postgres.values import INT4, TEXT, Type


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:geheim@db.example:5433/shop", "postgresql://me@db.example:5433/shop"),
        ("postgres://me@db.example/shop?sslmode=verify-full", "postgresql://me@db.example/shop?sslmode=verify-full"),
        ("postgresql:///shop?host=/run/pg&user=me&password=geheim", "postgresql://me@/shop?host=/run/pg"),
        ("postgresql://[::1]:5432/shop?sslpassword=geheim", "postgresql://[::1]:5432/shop"),
        ("postgresql://a:1,b:2/x?options=-c%20geheim", "postgresql:///x?host=a,b&port=1,2"),
        ("postgresql://m%40e:ge%2Fheim@h/a%2Fb", "postgresql://m%40e@h/a%2Fb"),
    ],
)
def test_an_address_is_shown_without_secrets(url: str, shown: str) -> None:
    address = parse(url)

    assert address.shown == shown
    assert parse(shown).shown == shown
    assert "geheim" not in address.shown


@pytest.mark.parametrize("url", ["postgresql://me:geheim@[::1/x", "postgresql://me:geheim@h/x?nonsense=geheim"])
def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(url)

    assert "geheim" not in str(caught.value)


def test_sessions_share_one_form_of_values_whatever_the_url_asks_for() -> None:
    conninfo = parse("postgresql://h/x?options=-c%20datestyle%3DGerman&connect_timeout=3").conninfo()

    assert conninfo.index("datestyle=German") < conninfo.index("datestyle=ISO")
    assert "timezone=UTC" in conninfo
    assert "connect_timeout=3" in conninfo


@given(st.text(max_size=40), st.text(max_size=80))
def test_names_of_our_objects_are_valid_and_short(id: str, source: str) -> None:
    name = object_name(id, source)

    assert len(name) <= 63
    assert name.isascii()
    assert name.replace("_", "a").isalnum()
    assert name == name.lower()


def test_names_of_our_objects_differ_where_sources_do() -> None:
    assert object_name("ab12", "airline") == "headrace_ab12_airline"
    names = {object_name("ab12", n) for n in ("a-b", "a_b", "A_b", "a b", "x" * 70, "x" * 71)}
    assert len(names) == 6


@given(st.integers(0, 2**64 - 1))
def test_positions_in_the_wal_read_back(lsn: int) -> None:
    assert parse_lsn(format_lsn(lsn)) == lsn


ESCAPED = {"\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


@given(st.text(st.sampled_from("\\\b\f\n\r\t\vNn.é")))
def test_copys_escapes_read_back(text: str) -> None:
    written = "".join(ESCAPED.get(c, c) for c in text)

    assert unescape(written.encode()).decode() == text


def test_a_line_of_copy() -> None:
    shapes = Shapes("pg")
    shapes.learn([INT4, TEXT], {INT4: Type(INT4, "int4", INT4, 4), TEXT: Type(TEXT, "text", TEXT, -1)})
    columns = (RelationColumn("a", INT4, True), RelationColumn("b", TEXT, False), RelationColumn("c", TEXT, False))
    shape = shapes.of(Relation(1, "public", "t", "d", columns))

    def plainly(line: bytes) -> Row:
        return read_line(line, shape.readers)

    for read in (shape.read_line, plainly):
        assert read(b"7\tx\t\n") == (7, "x", "")
        assert read(b"7\t\\N\t\\\\N\n") == (7, None, "\\N")
        with pytest.raises(ValueError):
            read(b"7\tx\n")


def test_where_a_timeline_was_left() -> None:
    history = "1\t0/3000000\tno recovery target specified\n\n2\t0/5000060\tafter promotion\n"

    assert branch(history, 1) == 0x3000000
    assert branch(history, 2) == 0x5000060
    assert branch(history, 3) is None
