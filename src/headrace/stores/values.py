"""What every port of the store speaks of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

JSON = None | bool | int | float | str | list["JSON"] | dict[str, "JSON"]
Object = Mapping[str, JSON]
Tenant = str
DEFAULT_TENANT: Tenant = "default"
Vector = NDArray[np.float32]
Terms = NDArray[np.int64]
Counts = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one step could not be done, as HeadraceError says it."""

    step: str
    expected: str
    got: str
    remedy: str
