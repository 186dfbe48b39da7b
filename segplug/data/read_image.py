"""Read an image or a crack mask from a file, and refuse what cannot be read for certain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from segplug.data.mask_encoding import MaskRules, Stored, find_encoding
from segplug.errors import SegplugError

__all__ = [
    "UNREADABLE",
    "is_lossy",
    "orientation",
    "read_grey",
    "read_image",
    "read_mask",
    "read_mask_values",
    "stored",
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
    pixels: NDArray[Any] = _decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
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


def read_mask(path: Path) -> NDArray[np.uint8]:
    """(H, W) uint8 of 0 and 1, from this file alone. Raises SegplugError naming the file."""
    values = read_mask_values(path)
    return find_encoding([stored(path, values)], MaskRules()).table[values]


def read_mask_values(path: Path) -> NDArray[np.uint8]:
    """(H, W) uint8 as stored: grey values, or the indices of a coloured palette. Raises SegplugError naming the file.

    A palette of greys is read as those greys. 16 bits are read where they hold 0 and 65535, or values below 256.
    """
    indices = _palette_indices(path)
    pixels = read_grey(path) if indices is None else indices
    if pixels.dtype == np.uint16:
        if set(np.unique(pixels).tolist()) <= {0, 65535}:
            return (pixels > 0).astype(np.uint8) * 255
        if pixels.max() <= 255:
            return pixels.astype(np.uint8)
    if pixels.dtype != np.uint8:
        raise SegplugError(f"{path}: mask has {pixels.dtype} pixels; save it as 8-bit 0/255 or 0/1")
    return pixels


def read_grey(path: Path) -> NDArray[Any]:
    """(H, W) values as stored, of whatever type. Raises SegplugError on a colour or transparent file, or no image."""
    pixels = _decode(path, cv2.IMREAD_UNCHANGED)
    return _single_channel(pixels, path) if pixels.ndim == 3 else pixels


def stored(path: Path, values: NDArray[np.uint8]) -> Stored:
    """What `find_encoding` asks of a mask file."""
    return Stored(path, np.bincount(values.ravel(), minlength=256), is_lossy(path))


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


def _palette_indices(path: Path) -> NDArray[np.uint8] | None:
    """(H, W) of a palette file: grey values where all used colours are grey, else indices. None: no palette."""
    if is_lossy(path):
        return None
    try:
        with Image.open(path) as image:
            if image.mode != "P":
                return None
            indices, flat = np.asarray(image), image.getpalette()
    except UNREADABLE:  # OpenCV reads it, or says why not
        return None
    colours = np.zeros((256, 3), dtype=np.uint8)
    known = np.array(flat, dtype=np.uint8).reshape(-1, 3)
    colours[: len(known)] = known
    used = colours[np.unique(indices)]
    return colours[:, 0][indices] if (used == used[:, :1]).all() else indices


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
    tolerance = 8 if is_lossy(path) else 0
    if spread.max() > tolerance:
        raise SegplugError(f"{path}: mask is a colour image; save it as one grey channel, 0/255 or 0/1")
    return np.ascontiguousarray(colour[..., 0])
