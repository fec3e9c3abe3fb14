"""What passes between the simulator and who started it: a JSON object a line, commands in, reports out."""

from __future__ import annotations

import msgspec

MIN_SPEED = 0.05
MAX_SPEED = 100.0
RATE = 4.0
"""Changes a second at speed 1."""


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`{"running": false}`, `{"speed": 2.5}` or both; `speed` is a multiple of RATE."""

    running: bool | None = None
    speed: float | None = None


class Report(msgspec.Struct, frozen=True):
    """How the simulator is now. `counts` are changes by kind since it started, `problem` is what it last met."""

    running: bool
    speed: float
    connected: bool
    changes: int
    counts: dict[str, int]
    problem: str | None = None


def bounded(speed: float) -> float:
    """A speed within what the simulator plays; NaN is as slow as it gets."""
    return min(max(speed, MIN_SPEED), MAX_SPEED) if speed == speed else MIN_SPEED


decode_command = msgspec.json.Decoder(Command).decode
decode_report = msgspec.json.Decoder(Report).decode
encode = msgspec.json.Encoder().encode
