"""Whom a document is for, in rules and in columns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.access import (
    ANYBODY,
    EVERYBODY,
    NOBODY,
    OPEN,
    OPERATOR,
    Access,
    Readers,
    Rules,
    SourceRules,
    Viewer,
    access_of,
    checked_glob,
    readers,
)
from headrace.change import Change, Column, Op, Position, Schema
from headrace.errors import BadInput, ConfigError
from headrace.knowledge.rows import names_in, row_template

ADA = Viewer("ada", frozenset({"staff", "hr"}))
HR = Readers(None, ("hr",))
ROWS = Schema("shop", "public.t", (Column("id", "int4"), Column("who", "text"), Column("teams", "text[]")), ("id",))


def row(who: str | int | None, teams: str | bytes | None) -> Change:
    return Change(ROWS, Op.CREATE, Position(1), 0, 1, (1,), None, (1, who, teams))


def test_an_owner_or_any_group_lets_in_and_nothing_else_does() -> None:
    assert HR.let_in(ADA)
    assert Readers("ada").let_in(ADA)
    assert not Readers("bo", ("board",)).let_in(ADA)
    assert not Readers(None, ()).let_in(Viewer(None))
    assert Readers(None, (EVERYBODY,)).let_in(ANYBODY)


def test_source_and_document_must_both_let_in() -> None:
    assert OPEN.lets_in(ANYBODY)
    assert Access(HR, Readers("ada")).lets_in(ADA)
    assert not Access(HR, Readers("bo")).lets_in(ADA)
    assert not Access(NOBODY).lets_in(ADA)
    assert Access(NOBODY, NOBODY).lets_in(OPERATOR)


@given(st.builds(Access, *[st.none() | st.builds(Readers, st.none() | st.text(), st.tuples(st.text()))] * 2))
def test_access_is_stored_as_it_is(access: Access) -> None:
    assert access_of(access.to_object()) == access


def test_the_first_rule_that_fits_counts() -> None:
    rules = SourceRules({"docs": Rules(HR, (("hr/open/**", Readers(None, ("*",))), ("hr/**", NOBODY)))})
    assert rules.of("docs/hr/open/a.md") == Readers(None, ("*",))
    assert rules.of("docs/hr/a.md") == NOBODY
    assert rules.of("docs/a.md") == HR
    assert rules.of("other/a.md") is None


@pytest.mark.parametrize(
    ("glob", "fits", "others"),
    [
        ("hr/**", ("hr/a", "hr/b/c.md"), ("hr", "x/hr/a", "hrx/a")),
        ("hr", ("hr", "hr/a", "x/hr", "x/hr/a/b"), ("hrx", "x/ahr")),
        ("hr/", ("hr/a", "x/hr/a"), ("hrx/a",)),
        ("/hr", ("hr", "hr/a"), ("x/hr",)),
        ("*.key", ("a.key", "b/c.key"), ("a.keys", "key")),
        ("a/*/c", ("a/b/c", "a/b/c/d"), ("a/c", "a/b/b/c")),
        ("a/**/c", ("a/c", "a/b/c", "a/b/b/c", "a/c/d"), ("b/c", "a/cc")),
        ("[ab]?.md", ("a1.md", "x/b2.md"), ("c1.md", "a.md", "a/.md")),
        ("[!a].md", ("b.md",), ("a.md",)),
        ("**", ("a", "a/b\nc"), ()),
        ("public.pay(roll)/**", ("public.pay(roll)/1",), ("publicxpay(roll)/1",)),
    ],
)
def test_globs_fit_as_those_of_include_do(glob: str, fits: tuple[str, ...], others: tuple[str, ...]) -> None:
    rules = Rules(None, ((checked_glob(glob), HR),))
    assert [name for name in (*fits, *others) if rules.of(name)] == list(fits)


@pytest.mark.parametrize("glob", ["", "/", "../x", "a/../b"])
def test_a_glob_that_can_fit_nothing_is_refused(glob: str) -> None:
    with pytest.raises(ConfigError):
        checked_glob(glob)


def test_names_are_cleaned_and_bad_ones_refused() -> None:
    assert readers(None, None) is None
    assert readers(" ada ", None) == Readers("ada")
    assert readers("", ["b", " a", "b", ""]) == Readers(None, ("a", "b"))
    for name in ("a\0b", "x" * 401, "a\nb"):
        with pytest.raises(ValueError, match="a name"):
            readers(name, None)
        with pytest.raises(ValueError, match="a name"):
            readers(None, [name])


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (None, [""]),
        ("hr, legal", ["hr", " legal"]),
        ('["hr", 7, null]', ["hr", "7"]),
        ("[]", []),
        ("{}", []),
        ("{hr,legal}", ["hr", "legal"]),
        ('{"a, b","say \\"x\\"","NULL",NULL,c\\\\d}', ["a, b", 'say "x"', "NULL", "c\\d"]),
        (7, ["7"]),
    ],
)
def test_groups_are_read_from_arrays_json_and_lists(text: str | int | None, names: list[str]) -> None:
    assert list(names_in(text)) == names


@pytest.mark.parametrize("text", ["{a", "{{a},{b}}", "[1", '["a", {}]', '{"a}', "{a,}", b"x", True])
def test_groups_that_cannot_be_understood_are_refused(text: str | bytes | bool) -> None:
    with pytest.raises(ValueError, match=r"."):
        names_in(text)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)))
def test_what_array_out_writes_is_read_back(names: list[str]) -> None:
    written = "{" + ",".join('"' + n.replace("\\", "\\\\").replace('"', '\\"') + '"' for n in names) + "}"
    assert list(names_in(written)) == names


def test_a_row_is_for_those_whom_its_columns_name() -> None:
    both = row_template("shop.public.t", "x", "who", "teams")
    assert both.readers(row("ada", "{hr}")) == Readers("ada", ("hr",))
    assert both.readers(row(7, None)) == Readers("7")
    assert both.readers(row(None, "{}")) == both.readers(row("", None)) == NOBODY
    assert both.readers(row(None, '["*"]')) == Readers(None, ("*",))
    assert row_template("shop.public.t", "x").readers(row("ada", "{hr}")) is None
    for template, bad in ((both, row("a", b"x")), (row_template("shop.public.t", "x", "gone"), row("a", None))):
        with pytest.raises(BadInput):
            template.readers(bad)
