"""Read an image from a file, and refuse what cannot be read for certain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from segplug.errors import SegplugError

__all__ = [
    "UNREADABLE",
    "decode",
    "is_lossy",
    "orientation",
    "read_image",
]

LOSSY_SUFFIXES = {".jpg", ".jpeg", ".webp"}
DIM_16_BIT = 1 << 14
# Beside Ultralytics, which patches Pillow, an unknown file asks for pi-heif: ImportError where that is missing.
UNREADABLE = (UnidentifiedImageError, OSError, ValueError, SyntaxError, ImportError)
EXIF_ORIENTATION = 0x0112


def read_image(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) RGB uint8; the camera's orientation tag is applied, grey becomes three channels, alpha is dropped.

    Of 16 bits the upper 8 are kept. Raises SegplugError on a file that is no image or would come out black.
    """
    pixels: NDArray[Any] = decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if pixels.dtype == np.uint16:
        if pixels.max() < DIM_16_BIT:
            raise SegplugError(
                f"{path}: 16-bit image whose highest value is {pixels.max()} of 65535, near black in 8 bits; "
                "stretch it to 0-255 and save it with 8 bits"
            )
        pixels = (pixels >> 8).astype(np.uint8)
    if pixels.dtype != np.uint8:
        raise SegplugError(f"{path}: image has {pixels.dtype} pixels; save it with 8 bits a channel")
    return np.ascontiguousarray(pixels[..., ::-1])


def is_lossy(path: Path) -> bool:
    """Whether the file's format changes grey values."""
    return path.suffix.lower() in LOSSY_SUFFIXES


def orientation(path: Path) -> int:
    """The camera's EXIF orientation, 1 (upright) where there is none."""
    try:
        with Image.open(path) as image:
            return int(image.getexif().get(EXIF_ORIENTATION, 1))
    except UNREADABLE:  # pictures of which Pillow knows no metadata
        return 1


def decode(path: Path, flags: int) -> NDArray[np.uint8]:
    """As OpenCV reads it. Raises SegplugError on a file that is no image."""
    raw = np.fromfile(path, dtype=np.uint8)  # not cv2.imread: that fails on non-ASCII Windows paths and hides why
    pixels: Any = cv2.imdecode(raw, flags) if raw.size else None
    if pixels is None:
        raise SegplugError(f"{path}: not a readable image ({raw.size} bytes); restore or remove the file")
    return pixels
