"""Addresses to adapters: ours by name, others by entry points."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from headrace import registry
from headrace.errors import ConfigError
from headrace.registry import EMBEDDERS, GENERATORS, LOGS, MIGRATIONS, SERVERS, SOURCES, STORES, lookup


@pytest.mark.parametrize("table", [SOURCES, LOGS, STORES, SERVERS, MIGRATIONS, EMBEDDERS, GENERATORS])
def test_every_name_can_be_loaded(table: dict[str, str]) -> None:
    for scheme in table:
        assert callable(lookup("any", table, f"{scheme}://somewhere"))


def test_an_unknown_address_is_told_what_there_is() -> None:
    with pytest.raises(ConfigError) as caught:
        lookup("sources", SOURCES, "oracle://root:s3cr3t@db/shop")

    assert caught.value.got == "oracle:"
    assert caught.value.expected == "one of " + ", ".join(f"{scheme}:" for scheme in sorted(SOURCES))
    assert "s3cr3t" not in str(caught.value)


def test_a_plugin_adds_an_address_and_takes_none_away(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        def __init__(self, name: str) -> None:
            self.name = name

        def load(self) -> type[Point]:
            return Point

    def points(*, group: str) -> Sequence[Point]:
        return [Point("file"), Point("oracle")] if group == "headrace.sources" else []

    monkeypatch.setattr(registry, "entry_points", points)

    assert lookup("sources", SOURCES, "oracle://db/shop") is Point
    assert lookup("sources", SOURCES, "file://x") is not Point
    with pytest.raises(ConfigError):
        lookup("stores", STORES, "oracle://db/shop")
