"""A checkout that was only synced has no model file yet: its first use makes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.models import build_minilm, onnx_minilm
from headrace.models.onnx_minilm import open_embedder


async def test_the_models_file_is_made_when_it_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / build_minilm.NAME
    monkeypatch.setattr(build_minilm, "TARGET", target)
    monkeypatch.setattr(onnx_minilm, "DATA", tmp_path)

    embedder = open_embedder("onnx:all-MiniLM-L6-v2")
    vectors = await embedder.embed(["a seat by the window"])
    await embedder.close()

    assert build_minilm.is_current(target)
    assert vectors.shape == (1, embedder.dimensions)
