"""The demo's configuration: the same text that a person would write for an airline of their own."""

from __future__ import annotations

from datetime import UTC
from importlib.resources import files
from pathlib import Path
from string import Template

import msgspec

from headrace.demo.personas import NOW


def config_text(
    *,
    airline: str,
    policies: Path | str = "./policies",
    data: Path | str = "./.headrace",
    host: str = "127.0.0.1",
    port: int = 8420,
) -> str:
    """The TOML of the demo. `airline` is the address of the airline's database, `policies` their folder."""
    template = Template(files("headrace.demo").joinpath("headrace.toml").read_text("utf-8"))
    return template.substitute(
        airline=_quoted(airline),
        policies=_quoted(f"file://{policies}"),
        data=_quoted(str(data)),
        host=_quoted(host),
        port=str(port),
        now=_quoted(NOW.replace(tzinfo=UTC).isoformat()),
    )


def _quoted(text: str) -> str:
    # A JSON string is a TOML basic string too.
    return msgspec.json.encode(text).decode()
