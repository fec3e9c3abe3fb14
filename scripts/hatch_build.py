"""Hatch's build hook: without the page or the model file a wheel would start and then fail, so it is not built."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NEEDED = {
    "src/headrace/server/static/index.html": "the page",
    "src/headrace/models/data/all-MiniLM-L6-v2/model.onnx": "the model file",
}


class CustomBuildHook(BuildHookInterface[Any]):
    """Stops the build when something is absent; an editable install needs neither, as both are built on the spot."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before each build; `version` is "editable" or "standard"."""
        if version == "editable":
            return
        absent = [f"{what} ({path})" for path, what in NEEDED.items() if not (Path(self.root) / path).is_file()]
        if absent:
            raise SystemExit(f"Not built: {' and '.join(absent)} missing. `make wheel` makes them first.")
