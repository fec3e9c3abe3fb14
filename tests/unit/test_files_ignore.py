"""Which paths are documents."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError
from headrace.sources.files.ignore import Ignore


@pytest.mark.parametrize(
    "path",
    [
        ".hidden.md",
        ".git/config",
        "a/.obsidian/x.md",
        "notes.md~",
        ".notes.md.swp",
        "notes.md.swp",
        "#notes.md#",
        ".#notes.md",
        "4913",
        "a/4913",
        "upload.tmp",
        "UPLOAD.TMP",
        "~$report.docx",
        "video.mp4.part",
        "a/b.crdownload",
    ],
)
def test_hidden_and_temporary_files_are_left_out_by_default(path: str) -> None:
    assert not Ignore().takes_file(path)


@pytest.mark.parametrize("path", ["a.md", "a/b/c.txt", "README", "a#b.md", "49130", "tmp", "part/x.md", "~x", "é/ü.md"])
def test_other_files_are_taken_by_default(path: str) -> None:
    assert Ignore().takes_file(path)


@pytest.mark.parametrize(
    ("glob", "fits", "misses"),
    [
        ("*.md", ["a.md", "x/y/a.md"], ["a.txt", "a.md.txt", "x.md/a"]),
        ("/*.md", ["a.md"], ["x/a.md"]),
        ("guides/*.md", ["guides/a.md"], ["guides/x/a.md", "x/guides/a.md"]),
        ("guides/**", ["guides/a", "guides/x/y"], ["guide/a", "x/guides/a"]),
        ("guides/", ["guides/a", "guides/x/y"], ["guides"]),
        ("**/guides/**/*.md", ["guides/a.md", "x/guides/y/z/a.md"], ["guides.md", "x/a.md"]),
        ("a?c", ["abc", "x/a-c"], ["ac", "abbc"]),
        ("[ab]*.md", ["a.md", "bc.md"], ["c.md"]),
        ("[!ab].md", ["c.md"], ["a.md"]),
        ("[z-a].md", [], ["a.md", "z.md"]),
        ("[.md", ["[.md"], ["a.md"]),
        ("a.b", ["a.b"], ["axb"]),
    ],
)
def test_globs(glob: str, fits: list[str], misses: list[str]) -> None:
    include = Ignore(include=[glob])

    assert [p for p in fits if not include.takes_file(p)] == []
    assert [p for p in misses if include.takes_file(p)] == []


def test_exclude_wins_and_takes_what_is_below_a_folder_along() -> None:
    ignore = Ignore(include=["*.md"], exclude=["drafts", "old/*.md"])

    assert ignore.takes_file("a.md")
    assert not ignore.takes_file("drafts/deep/a.md")
    assert not ignore.takes_file("x/drafts/a.md")
    assert not ignore.takes_file("old/a.md")
    assert ignore.takes_file("old/x/a.md")
    assert not ignore.takes_folder("drafts")
    assert ignore.takes_folder("old")


def test_hidden_and_temporary_files_are_taken_when_an_include_spells_them_out() -> None:
    ignore = Ignore(include=["**/*", ".github/**/*.md", "*.tmp"])

    assert ignore.takes_file("a.md")
    assert ignore.takes_file(".github/x/a.md")
    assert ignore.takes_file("x/y.tmp")
    assert not ignore.takes_file(".git/a.md")
    assert not ignore.takes_file("x/.y.md")
    assert not ignore.takes_file(".github/.x.md")
    assert ignore.takes_folder(".github")
    assert ignore.takes_folder(".github/x")
    assert not ignore.takes_folder(".git")


@pytest.mark.parametrize("glob", ["", "/", ".", "../x", "a/../b"])
def test_a_glob_that_fits_nothing_is_refused(glob: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Ignore(exclude=[glob])

    assert repr(glob) in str(caught.value)


PARTS = st.lists(st.sampled_from(["a", "b", ".c", "d.md", "e~", "[", "4913"]), min_size=1, max_size=5)
GLOBS = st.lists(st.sampled_from(["*", "**", "a", "?", ".*", "[ab]", "*.md", ".c"]), min_size=1, max_size=5)


@given(globs=st.lists(GLOBS, max_size=3), excluded=st.lists(GLOBS, max_size=2), parts=PARTS)
def test_a_file_is_never_taken_from_a_folder_that_is_not_entered(
    globs: list[list[str]], excluded: list[list[str]], parts: list[str]
) -> None:
    ignore = Ignore(["/" + "/".join(g) for g in globs], ["/".join(g) for g in excluded])

    if ignore.takes_file("/".join(parts)):
        assert all(ignore.takes_folder("/".join(parts[:n])) for n in range(len(parts)))
