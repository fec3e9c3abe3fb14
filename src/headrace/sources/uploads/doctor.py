"""Looks at a source of uploads before it is used."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from headrace.findings import Finding, note, ok, warning
from headrace.sources import SourceSettings
from headrace.sources.uploads.address import check_url
from headrace.sources.uploads.source import MOST_UPLOADS


async def check(settings: SourceSettings) -> Sequence[Finding]:
    """Implements `headrace.sources.Doctor`."""
    check_url(settings.url)
    return [
        *_room(settings),
        ok("limits", f"documents of up to {settings.max_bytes} bytes, {MOST_UPLOADS} uploads at once"),
        *_unused(settings),
        note("way in", "POST /v1/documents, the page, or headrace upload FILE…"),
    ]


def _room(settings: SourceSettings) -> list[Finding]:
    """Uploads under way lie in the scratch folder."""
    folder = next((p for p in (Path(settings.scratch), *Path(settings.scratch).parents) if p.is_dir()), Path("/"))
    free, needed = shutil.disk_usage(folder).free, MOST_UPLOADS * settings.max_bytes
    if free >= needed:
        return []
    return [
        warning(
            "room",
            expected=f"{needed} bytes free at {folder}, for {MOST_UPLOADS} uploads of max_bytes at once",
            got=f"{free}",
            remedy="Make room, or lower the source's max_bytes.",
        )
    ]


def _unused(settings: SourceSettings) -> list[Finding]:
    given = {
        "tables": settings.tables != ("*",), "include": bool(settings.include), "exclude": bool(settings.exclude),
        "publication": "publication" in settings.options, "slot": "slot" in settings.options,
    }  # fmt: skip
    unused = [name for name, is_given in given.items() if is_given]
    if not unused:
        return []
    return [
        warning(
            "settings",
            expected="settings that a source of uploads has: name, url and max_bytes",
            got=", ".join(unused),
            remedy="Remove them: whoever uploads chooses what.",
        )
    ]
