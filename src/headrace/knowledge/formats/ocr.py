"""Text in pictures, by RapidOCR's models, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from headrace.errors import ConfigError
from headrace.knowledge.parsed import File
from headrace.registry import OCR, lookup

Picture = NDArray[np.uint8]


class Reader(Protocol):
    """Reads pictures (height, width, colours: blue, green, red): their text, lines from top to bottom."""

    def read(self, picture: Picture) -> str: ...
    def frames(self, file: File) -> Iterator[Picture]:
        """A picture file's frames. Raises BadInput for one that is damaged or too large."""
        ...


def reader(file: File) -> Reader:
    """What reads pictures. Raises BadInput when OCR is switched off or not installed."""
    if not file.limits.ocr:
        raise file.refused("a document with text in it", "only pictures of text", "Set [documents] ocr = true.")
    try:
        return lookup("ocr", OCR, "rapidocr")()
    except ModuleNotFoundError as error:
        raise file.refused(
            "the packages that read pictures of text",
            f"no module named {error.name}",
            "Install them: pip install 'headrace[ocr]'.",
        ) from None
    except ConfigError as error:
        raise file.refused(error.expected, error.got, error.remedy) from None
