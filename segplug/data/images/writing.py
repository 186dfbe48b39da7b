"""Pictures as files that are either whole or absent. `segplug.data.images.reading` reads them."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from segplug.arrays import Pixels
from segplug.errors import SegplugError
from yoloplug.files import write_bytes

JPEG_QUALITY = 93


def encode_picture(pixels: NDArray[Any], suffix: str, jpeg_quality: int = JPEG_QUALITY) -> Pixels:
    """(H, W) or (H, W, 3) RGB, 8 or (PNG) 16 bits -> the bytes of a file. suffix: ".png" or ".jpg".

    JPEG keeps colour at full resolution, for thin coloured lines. Raises SegplugError on pixels that the format lacks.
    """
    stored = np.ascontiguousarray(pixels if pixels.ndim == 2 else pixels[..., ::-1])
    full = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    options = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, full]
    try:
        done, encoded = cv2.imencode(suffix, stored, options if suffix == ".jpg" else [])
    except cv2.error:  # an empty picture; OpenCV has no word for why
        done = False
    if not done:  # also a JPEG of more than 65500 px a side
        raise SegplugError(f"OpenCV could not encode {pixels.shape} {pixels.dtype} pixels as {suffix}")
    return np.asarray(encoded, dtype=np.uint8)


def write_picture(path: Path, pixels: NDArray[Any]) -> None:
    """Write `encode_picture`'s bytes for path's suffix; an earlier file stays until the new one is whole."""
    try:
        encoded = encode_picture(pixels, path.suffix)
    except SegplugError as error:
        raise SegplugError(f"{path}: {error}") from error
    write_bytes(path, encoded.tobytes())
