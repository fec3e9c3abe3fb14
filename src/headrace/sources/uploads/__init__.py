"""The `upload:` source: documents that are given to Headrace, `POST /v1/documents` and the page.

What is committed: an upload once it was answered, and that is once the log has it on disk. The source's head is what
was accepted last. A document was committed when it was accepted.

The originals stand in the source's state, `b:<digest>` once for each content, beside `d:<name>`, what each document is:
written and taken away with the change itself, in one append. So they are there as long as their documents are, however
short the log's retention; they are given again when they are to be read in another way, and what `headrace verify`
finds wrong is repaired from them.

A request that has a name (`Once`) leaves `o:<name>` there, what came of it, as long as somebody may come back with it.

Order: as requests come; a position is (hybrid clock of the append, place in it).
"""

from __future__ import annotations

from headrace.sources import Source, SourceSettings
from headrace.sources.uploads.address import check_url
from headrace.sources.uploads.source import UploadSource


def open(settings: SourceSettings) -> Source:
    """The source that the settings describe. Raises ConfigError."""
    check_url(settings.url)
    return UploadSource(settings)
