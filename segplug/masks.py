"""Read an image or a crack mask from a file, and refuse what cannot be read for certain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from segplug.errors import SegplugError

__all__ = ["binarise_mask", "read_grey", "read_image", "read_mask"]

LOSSY_SUFFIXES = {".jpg", ".jpeg", ".webp"}
LOSSY_LEVEL = 127


def read_image(path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) RGB uint8; the camera's orientation tag is applied. Raises SegplugError on a file that is no image."""
    return np.ascontiguousarray(_decode(path, cv2.IMREAD_COLOR)[..., ::-1])


def read_mask(path: Path) -> tuple[NDArray[np.uint8], bool]:
    """(H, W) uint8 of 0 and 1, and whether it was lossy (binarised at 127). Raises SegplugError naming the file."""
    pixels = read_grey(path)
    if pixels.dtype != np.uint8:
        raise SegplugError(f"{path}: mask has {pixels.dtype} pixels; save it as 8-bit 0/255 or 0/1")
    return binarise_mask(pixels, lossy=path.suffix.lower() in LOSSY_SUFFIXES, name=str(path))


def read_grey(path: Path) -> NDArray[Any]:
    """(H, W) values as stored, of whatever type. Raises SegplugError on a colour or transparent file, or no image."""
    pixels = _decode(path, cv2.IMREAD_UNCHANGED)
    return _single_channel(pixels, path) if pixels.ndim == 3 else pixels


def binarise_mask(pixels: NDArray[np.uint8], lossy: bool, name: str) -> tuple[NDArray[np.uint8], bool]:
    """Grey values to 0 and 1. {0, 1} and {0, 255} are exact; a lossy file that reaches above 127 is cut there.

    The second result says whether it was cut. Everything else (class ids, soft edges, trimaps) raises SegplugError.
    """
    values = np.flatnonzero(np.bincount(pixels.ravel(), minlength=256))
    found = set(values.tolist())
    if found <= {0, 1}:
        return pixels, False
    if found <= {0, 255}:
        return (pixels == 255).astype(np.uint8), False
    if lossy and max(found) > LOSSY_LEVEL:
        return (pixels > LOSSY_LEVEL).astype(np.uint8), True
    shown = ", ".join(map(str, values[:6])) + (", …" if len(values) > 6 else "")
    raise SegplugError(f"{name}: mask values {shown} are neither 0/255 nor 0/1; binarise it and save it as PNG")


def _decode(path: Path, flags: int) -> NDArray[np.uint8]:
    raw = np.fromfile(path, dtype=np.uint8)  # not cv2.imread: that fails on non-ASCII Windows paths and hides why
    pixels: Any = cv2.imdecode(raw, flags) if raw.size else None
    if pixels is None:
        raise SegplugError(f"{path}: not a readable image ({raw.size} bytes); restore or remove the file")
    return pixels


def _single_channel(pixels: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
    """Colour file whose channels agree -> one of them. An opaque alpha channel is dropped."""
    channels = pixels.shape[2]
    colour, alpha = (pixels[..., : channels - 1], pixels[..., -1]) if channels in (2, 4) else (pixels, None)
    if alpha is not None and alpha.min() < np.iinfo(alpha.dtype).max:
        raise SegplugError(f"{path}: mask has a transparent alpha channel; save it as one grey channel")
    spread = colour.max(axis=2).astype(int) - colour.min(axis=2)
    tolerance = 8 if path.suffix.lower() in LOSSY_SUFFIXES else 0
    if spread.max() > tolerance:
        raise SegplugError(f"{path}: mask is a colour image; save it as one grey channel, 0/255 or 0/1")
    return np.ascontiguousarray(colour[..., 0])
