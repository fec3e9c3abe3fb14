"""The model file is made from pinned sources, whole or not at all, and the same each time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headrace.models import build_minilm
from headrace.models.build_minilm import TARGET, BuildFailed, build, is_current


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("models") / "model"
    build(target)
    return target


def test_what_was_built_is_current_and_small_enough_for_a_wheel(built: Path) -> None:
    assert is_current(built)
    assert (built / "model.onnx").stat().st_size < 30_000_000
    assert [path.name for path in built.parent.iterdir()] == [built.name]


def test_building_again_gives_the_same_bytes(built: Path) -> None:
    before = {path.name: path.read_bytes() for path in built.iterdir()}
    build(built)

    assert {path.name: path.read_bytes() for path in built.iterdir()} == before


def test_the_manifest_names_sources_and_licences(built: Path) -> None:
    manifest = json.loads((built / "manifest.json").read_bytes())

    assert {source["sha256"] for source in manifest["sources"]} == set(build_minilm.SHA256.values())
    assert set(manifest["licences"].values()) == {"Apache-2.0", "MIT"}
    assert "Apache License" in (built / "LICENSE").read_text()
    assert "MIT License" in (built / "LICENSE-MIT").read_text()
    assert "Apache License 2.0" in (built / "NOTICE").read_text()


def test_the_tokenizer_leaves_padding_and_truncation_to_its_users(built: Path) -> None:
    settings = json.loads((built / "tokenizer.json").read_bytes())

    assert settings["padding"] is None
    assert settings["truncation"] is None


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json", "NOTICE"])
def test_a_changed_or_absent_file_is_not_current(built: Path, file: str) -> None:
    whole = (built / file).read_bytes()

    (built / file).write_bytes(whole + b" ")
    changed = is_current(built)
    (built / file).unlink()
    absent = is_current(built)
    (built / file).write_bytes(whole)

    assert not changed
    assert not absent
    assert is_current(built)


def test_another_recipe_is_not_current(built: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    changed = tmp_path / "calibration.txt"
    changed.write_text("other texts")
    monkeypatch.setattr(build_minilm, "RECIPE", (changed,))

    assert not is_current(built)


def test_other_weights_are_refused_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(build_minilm.SHA256, build_minilm.WEIGHTS, "0" * 64)

    with pytest.raises(BuildFailed, match="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"):
        build(tmp_path / "model")

    assert list(tmp_path.iterdir()) == []


def test_absent_weights_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build_minilm, "MODULE", "no_such_package_of_weights")

    with pytest.raises(BuildFailed, match="uv sync --group build"):
        build(tmp_path / "model")


def test_a_failing_graph_program_leaves_what_was_there(
    built: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(build_minilm, "HERE", tmp_path)  # no calibration texts there

    with pytest.raises(BuildFailed, match=r"calibration\.txt"):
        build(built)

    assert is_current(built)


def test_when_current_the_program_does_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    if not is_current(TARGET):
        build(TARGET)
    before = (TARGET / "manifest.json").stat().st_ino

    assert build_minilm.main() == 0

    assert (TARGET / "manifest.json").stat().st_ino == before
    assert "current" in capsys.readouterr().out
