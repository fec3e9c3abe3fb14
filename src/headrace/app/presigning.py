"""Uploads that do not pass through Headrace: the object store that they go to, and what signs for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headrace.config.documents import UploadSettings
from headrace.config.durations import duration_us
from headrace.folder import own_key
from headrace.objects import ObjectStore
from headrace.registry import OBJECT_STORES, lookup
from headrace.ticket import KEY_BYTES, Tickets


@dataclass(frozen=True, slots=True)
class Presigning:
    """Uploads by way of an object store: where they lie, what signs for them, and for how long (seconds)."""

    objects: ObjectStore
    tickets: Tickets
    seconds: int
    min_bytes: int
    keep_objects: bool


def open_presigning(settings: UploadSettings, data: Path) -> Presigning:
    """Blocks while it opens. Raises ConfigError, StoreError."""
    url = settings.object_store or ""
    objects: ObjectStore = lookup("objects", OBJECT_STORES, url)(url)
    tickets = Tickets(own_key(data, "tickets.key", KEY_BYTES))
    seconds = duration_us(settings.expires) // 1_000_000
    return Presigning(objects, tickets, seconds, settings.min_bytes, settings.keep_objects)
