"""The memory that the embedded server's buffers are measured by."""

from __future__ import annotations

from pathlib import Path

from headrace.stores.embedded.memory import memory_mb


def test_a_container_has_what_it_is_given(tmp_path: Path) -> None:
    limit, none = tmp_path / "memory.max", tmp_path / "unlimited"
    limit.write_text("67108864\n")
    none.write_text("max\n")

    assert memory_mb((str(limit), str(none))) == 64
    assert memory_mb((str(none), str(tmp_path / "missing"))) == memory_mb(()) > 64
