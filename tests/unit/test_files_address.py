"""Which folder a file:// address names."""

from pathlib import Path

import pytest

from headrace.errors import ConfigError
from headrace.sources import SourceSettings
from headrace.sources.files import open as open_source
from headrace.sources.files.address import folder_of


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///srv/policies", "/srv/policies"),
        ("file:///srv/policies/", "/srv/policies"),
        ("file://localhost/srv/policies", "/srv/policies"),
        ("file:///srv/my%20docs", "/srv/my docs"),
        ("file:///srv/my docs #1?", "/srv/my docs #1?"),
    ],
)
def test_absolute_folders(url: str, path: str) -> None:
    assert folder_of(url) == Path(path)


def test_a_relative_folder_counts_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert folder_of("file://./docs") == tmp_path / "docs"
    assert folder_of("file://.") == tmp_path


@pytest.mark.parametrize("url", ["file://docs", "file://host/share", "file://", "docs", "http://x/y"])
def test_other_addresses_are_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        folder_of(url)

    assert "three slashes" in caught.value.remedy


def test_the_source_says_what_it_is(tmp_path: Path) -> None:
    source = open_source(SourceSettings("docs", f"file://{tmp_path}", "id"))

    assert (source.name, source.kind, source.style.value) == ("docs", "file", "number")
    assert source.address == tmp_path.as_uri()
    assert source.problem is None
    assert source.snapshot is None
