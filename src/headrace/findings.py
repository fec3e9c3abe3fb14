"""What a look at something before its use found: `headrace doctor` prints these."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from headrace.errors import HeadraceError


class Level(StrEnum):
    """`note`: worth knowing, nothing to do. `warning`: works, but not as it should. `error`: does not work."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """`check`: what was looked at, `got`: what was seen; a warning or an error also says what was expected and what to
    do.

    No text holds a secret.
    """

    level: Level
    check: str
    got: str
    expected: str = ""
    remedy: str = ""

    @property
    def problem(self) -> bool:
        return self.level in (Level.WARNING, Level.ERROR)


def ok(check: str, got: str) -> Finding:
    return Finding(Level.OK, check, got)


def note(check: str, got: str) -> Finding:
    return Finding(Level.NOTE, check, got)


def warning(check: str, *, expected: str, got: str, remedy: str) -> Finding:
    return Finding(Level.WARNING, check, got, expected, remedy)


def error(check: str, *, expected: str, got: str, remedy: str) -> Finding:
    return Finding(Level.ERROR, check, got, expected, remedy)


def failed(problem: HeadraceError, check: str = "") -> Finding:
    """What raised is an error."""
    return Finding(Level.ERROR, check or problem.step, problem.got, problem.expected, problem.remedy)
