"""How durations are written."""

from __future__ import annotations

import re

from headrace.config.problems import bad


def duration_us(text: str) -> int:
    """`7d`, `12h`, `30m`, `45s` to microseconds. Raises ConfigError."""
    match = re.fullmatch(r"([0-9]+)\s*([smhd])", text.strip())
    if match is None:
        raise bad("read a duration", "a number with s, m, h or d, such as 7d", repr(text), "Correct it.")
    return int(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[match[2]] * 1_000_000
