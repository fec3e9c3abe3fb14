# What Headrace uses of RapidOCR: text found and read, lines from top to bottom.
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

class RapidOCROutput:
    txts: tuple[str, ...] | None

class RapidOCR:
    def __init__(self, *, params: Mapping[str, object] | None = None) -> None: ...
    def __call__(self, picture: NDArray[np.uint8]) -> RapidOCROutput: ...
