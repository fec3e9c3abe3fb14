"""Small edits of the written policies, there and back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from headrace.demo.policies import save


@dataclass(frozen=True, slots=True)
class PolicyEdit:
    """A place in a policy: `pattern`'s first group is what takes each of `values` in turn."""

    name: str
    pattern: re.Pattern[str]
    values: Sequence[str]

    def applied(self, text: str) -> str | None:
        """The text with the next value; None when the place is not there, or holds what a person wrote."""
        found = self.pattern.search(text)
        if found is None or found[1] not in self.values:
            return None
        value = self.values[(self.values.index(found[1]) + 1) % len(self.values)]
        return text[: found.start(1)] + value + text[found.end(1) :]


EDITS = (
    PolicyEdit("baggage.md", re.compile(r"Each extra checked bag is (\d+) dollars"), ("50", "60")),
    PolicyEdit("insurance.md", re.compile(r"Travel insurance is (\d+) dollars"), ("30", "35")),
    PolicyEdit("refunds.md", re.compile(r"in (\d+ to \d+) business days"), ("5 to 7", "3 to 5")),
    PolicyEdit("compensation.md", re.compile(r"delayed flights .*\$(\d+) times"), ("50", "75")),
)


def edit_policy(folder: Path, chance: Random) -> bool:
    """Changes one policy; False when what it would change is not there or is a person's own."""
    edit = chance.choice(EDITS)
    path = folder / edit.name
    if path.is_symlink() or not path.is_file():
        return False
    after = edit.applied(path.read_text("utf-8"))
    if after is None:
        return False
    save(path, after)
    return True
