"""Which files `headrace upload` sends, and by which names."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.errors import BadRequest
from headrace.uploading import files_of


def names(*paths: Path, named: str = "") -> list[str]:
    return [f.name for f in files_of(paths, named)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in ("handbook/a.md", "handbook/deep/b.md", "handbook/.git/config", "handbook/.hidden", "c.md"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    return tmp_path


def test_a_folder_is_sent_by_its_paths_without_what_is_hidden(folder: Path) -> None:
    assert names(folder / "handbook", folder / "c.md") == ["handbook/a.md", "handbook/deep/b.md", "c.md"]


def test_the_current_folder_has_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "handbook")

    assert names(Path()) == ["handbook/a.md", "handbook/deep/b.md"]


def test_one_file_may_be_named_otherwise(folder: Path) -> None:
    assert names(folder / "c.md", named="guides/c.md") == ["guides/c.md"]
    with pytest.raises(BadRequest):
        names(folder / "handbook", named="x.md")


def test_what_is_not_there_is_refused_before_anything_is_sent(folder: Path) -> None:
    with pytest.raises(BadRequest, match="nothing was sent"):
        names(folder / "c.md", folder / "none")
