"""RapidOCR, loaded once a process."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError
from rapidocr import RapidOCR

from headrace.knowledge.parsed import File

_THREADS = 1  # several pages at a time, in as many processes, use a machine better


class Rapid:
    """Implements `headrace.knowledge.formats.ocr.Reader`."""

    def __init__(self) -> None:
        logging.getLogger("RapidOCR").setLevel(logging.ERROR)
        self._engine = RapidOCR(
            params={
                "Global.log_level": "error",
                "EngineConfig.onnxruntime.intra_op_num_threads": _THREADS,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )

    def read(self, picture: NDArray[np.uint8]) -> str:
        found = self._engine(picture)
        return "\n".join(found.txts or ())

    def frames(self, file: File) -> Iterator[NDArray[np.uint8]]:
        Image.MAX_IMAGE_PIXELS = None  # the limit below is ours
        try:
            with Image.open(io.BytesIO(file.content)) as image:
                for frame in ImageSequence.Iterator(image):
                    width, height = frame.size
                    if width * height > file.limits.pixels:
                        got = f"{width} x {height}"
                        raise file.excess(f"at most {file.limits.pixels:,} pixels", got, "pixels")
                    upright = ImageOps.exif_transpose(frame).convert("RGB")
                    yield np.ascontiguousarray(np.asarray(upright)[:, :, ::-1])
                    if image.format == "GIF":
                        return  # an animation: its first picture stands for it
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
            got = " ".join(str(error).split())[:200]
            raise file.refused("a picture that is whole", f"a damaged one ({got})", "Save it again.") from None


@lru_cache(maxsize=1)
def engine() -> Rapid:
    return Rapid()
