"""Whether a stream is still being read, for those who close its source."""

from __future__ import annotations

from types import AsyncGeneratorType
from typing import Any


def flowing(stream: AsyncGeneratorType[Any, None]) -> bool:
    """Whether somebody is inside it, reading or ending it.

    `ag_running` alone does not say so: it stays true for good where `aclose()` was cancelled in its middle (Python 3.11
    does not take it back then); what has ended has no frame any more.
    """
    return stream.ag_running and stream.ag_frame is not None


async def finish(stream: AsyncGeneratorType[Any, None]) -> None:
    """Ends a stream that nobody is inside of; of one that has ended there is nothing to do."""
    if stream.ag_frame is not None and not stream.ag_running:
        await stream.aclose()
