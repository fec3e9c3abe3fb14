"""Settings that cannot be: how a wrong one is told."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from headrace.errors import ConfigError

READ = "read the configuration"
"""The step in which most of them are found."""


def bad(step: str, expected: str, got: str, remedy: str) -> ConfigError:
    return ConfigError(step=step, expected=expected, got=got, remedy=remedy)


def hint(name: str, known: Iterable[str], called: str) -> str:
    """The remedy for a name that is not known: the nearest one, or all that there are, as `called`."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"Did you mean `{near[0]}`?" if near else f"{called}: {', '.join(names) or 'none'}."
