"""Looks at a source that is pushed to before it is used."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.findings import Finding, note, ok, warning
from headrace.sources import SourceSettings
from headrace.sources.push.address import options_of

MUCH_WAITING = 100_000
"""Changes: with a kilobyte each this much memory is hundreds of megabytes."""
_DAY_US = 24 * 3600 * 1_000_000


async def check(settings: SourceSettings) -> Sequence[Finding]:
    """Implements `headrace.sources.Doctor`."""
    options = options_of(settings.url)
    found = [ok("repetitions", f"keys and ids are remembered for {options.keep_us / _DAY_US:.3g} days")]
    if options.inbox > MUCH_WAITING:
        found.append(
            warning(
                "inbox",
                expected=f"at most {MUCH_WAITING} changes that wait: they wait in memory",
                got=f"inbox={options.inbox}",
                remedy="Lower it: senders are answered 429 with Retry-After, and lose nothing.",
            )
        )
    else:
        found.append(ok("inbox", f"up to {options.inbox} changes wait, then senders are answered 429"))
    unused = [name for name, given in _given(settings).items() if given]
    if unused:
        found.append(
            warning(
                "settings",
                expected="settings that a pushed source has: name and url",
                got=", ".join(unused),
                remedy="Remove them: everything that is pushed is taken; its sender chooses the tables.",
            )
        )
    found.append(note("way in", f"POST /v1/changes/{settings.name}, or headrace push {settings.name}"))
    return found


def _given(settings: SourceSettings) -> dict[str, bool]:
    """What belongs to other kinds of source."""
    return {
        "tables": settings.tables != ("*",),
        "include": bool(settings.include),
        "exclude": bool(settings.exclude),
        "publication": "publication" in settings.options,
        "slot": "slot" in settings.options,
    }
