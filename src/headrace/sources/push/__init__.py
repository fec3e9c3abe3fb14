"""The `push:` source: changes that others send, `POST /v1/changes/{source}`.

What is committed: a push once it was answered, and that is once the log has it on disk. The source's head is what was
accepted last, so its freshness says that nothing is missing that was accepted before; of what a sender still holds
back nothing is known here. A change was committed at the time that its record states, at the latest when it came.

Order: as the records of a push stand in it, and pushes as they came; a position is (hybrid clock of the part of a push
that was appended at once, place in it).

Once: a push with a key is whole once, however often it is sent. What an interrupted one brought in stands in the state
with the changes themselves, so the same push again goes on behind it. Records with an id of their own (CloudEvents)
come in once, whichever push brings them. Keys and ids are remembered for `keep`.
"""

from __future__ import annotations

from headrace.sources import Source, SourceSettings
from headrace.sources.push.address import options_of
from headrace.sources.push.source import PushSource


def open(settings: SourceSettings) -> Source:
    """The source that the settings describe. Raises ConfigError."""
    return PushSource(settings.name, options_of(settings.url))
