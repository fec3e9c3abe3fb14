"""Named SQL statements: what a file may look like, and what each mistake in it is called."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.sqlfile import SqlFileError, load, parse

GOOD = """\
-- Statements about documents.

-- name: present
-- The present version of a document,
-- or nothing.
select id, title
  from documents   -- only what is not closed
 where id = %(id)s and closed_at is null;

-- name: count_all
-- How many there are.
select count(*) from documents;
"""


def test_a_file_reads_as_statements_by_name_in_its_order(tmp_path: Path) -> None:
    path = tmp_path / "documents.sql"
    path.write_text(GOOD, encoding="utf-8")

    statements = load(path)

    assert list(statements) == ["present", "count_all"]
    assert len(statements) == 2
    assert statements["count_all"] == b"select count(*) from documents;"
    assert statements["present"].startswith(b"select id, title\n  from documents   -- only")
    assert statements.statement("present").about == "The present version of a document, or nothing."
    assert statements.statement("present").line == 3


def test_text_outside_ascii_arrives_as_utf8() -> None:
    statements = parse("-- name: a\n-- Grüße.\nselect 'é';\n", source="x.sql")

    assert statements["a"] == "select 'é';".encode()
    assert statements.statement("a").about == "Grüße."


def test_a_statement_that_is_not_there_names_the_near_one() -> None:
    statements = parse(GOOD, source="documents.sql")

    with pytest.raises(SqlFileError) as raised:
        statements["count_al"]

    assert "'count_al'" in raised.value.expected
    assert "'count_all'" in raised.value.got
    assert "count_al" not in statements
    assert "present" in statements


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("-- name: a\n-- For a.\nselect 1;\n-- name: a\n-- Again.\nselect 2;\n", 4, "'a' again, first on line 1"),
        ("select 1;\n-- name: a\n-- For a.\nselect 1;\n", 1, "before the first statement"),
        ("-- name: a\nselect 1;\n", 1, "says what it is for"),
        ("-- name: a\n--\nselect 1;\n", 1, "says what it is for"),
        ("\n-- name: a\n-- For a.\n\n-- name: b\n-- For b.\nselect 1;\n", 2, "a statement after the name 'a'"),
        ("-- name:\n-- For whom?\nselect 1;\n", 1, "a name of lower-case letters"),
        ("-- name: Two Words\n-- For a.\nselect 1;\n", 1, "'Two Words'"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(SqlFileError) as raised:
        parse(text, source="x.sql")

    assert f"x.sql, line {line}" in raised.value.step
    assert says in str(raised.value)


def test_a_file_that_is_not_there_or_not_text_is_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "latin.sql"
    broken.write_bytes(b"-- name: a\n-- \xff\nselect 1;")

    for path in (tmp_path / "none.sql", broken):
        with pytest.raises(SqlFileError) as raised:
            load(path)
        assert str(path) in raised.value.expected


_names = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True)
_bodies = st.from_regex(r"select [a-z0-9_ ,()*]{0,30}[a-z0-9]", fullmatch=True)


@given(st.dictionaries(_names, _bodies, max_size=8))
def test_what_is_written_is_what_is_read(given_statements: dict[str, str]) -> None:
    text = "".join(f"-- name: {name}\n-- What for.\n{body}\n\n" for name, body in given_statements.items())

    read = parse(text, source="x.sql")

    assert dict(read) == {name: body.encode() for name, body in given_statements.items()}
