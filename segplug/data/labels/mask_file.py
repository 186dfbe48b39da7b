"""Mask pictures: their stored values, and what these mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segplug.arrays import Pixels
from segplug.data.images.reading import UNREADABLE, decode, is_lossy
from segplug.data.labels.mask_encoding import MaskRules, Stored, find_encoding
from segplug.data.labels.size import sized
from segplug.errors import SegplugError


@dataclass(frozen=True)
class MaskFile:
    """A picture of stored values that the encoding found for the whole data set turns into 0, 1 and 255."""

    path: Path
    rules: MaskRules

    def values(self, height: int, width: int, image: Path) -> Pixels:
        return sized(read_mask_values(self.path), self.path, height, width, image)


@dataclass(frozen=True)
class MappedMask:
    """A picture of class ids: stored value -> 0, 1 or 255. Other values are refused."""

    path: Path
    table: Mapping[int, int]

    def values(self, height: int, width: int, image: Path) -> Pixels:
        stored = sized(read_mask_values(self.path), self.path, height, width, image)
        for value in np.flatnonzero(np.bincount(stored.ravel(), minlength=256)):
            if int(value) not in self.table:
                raise SegplugError(
                    f"{self.path}: mask value {value} is no class id of the data set; add "
                    f"`label_mapping: {{{value}: 1}}` to its YAML if it is crack, 0 if background"
                )
        table = np.zeros(256, dtype=np.uint8)
        table[list(self.table)] = list(self.table.values())
        return table[stored]


def read_mask(path: Path) -> Pixels:
    """(H, W) uint8 of 0 and 1, from this file alone. Raises SegplugError naming the file."""
    values = read_mask_values(path)
    return find_encoding([stored(path, values)], MaskRules()).table[values]


def read_mask_values(path: Path) -> Pixels:
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
        raise SegplugError(f"{path}: mask has {pixels.dtype} pixels", "save it as 8-bit 0/255 or 0/1")
    return pixels


def read_grey(path: Path) -> NDArray[Any]:
    """(H, W) values as stored, of whatever type. Raises SegplugError on a colour or transparent file, or no image."""
    pixels = decode(path, cv2.IMREAD_UNCHANGED)
    return _single_channel(pixels, path) if pixels.ndim == 3 else pixels


def stored(path: Path, values: Pixels) -> Stored:
    """What `find_encoding` asks of a mask file."""
    return Stored(path, np.bincount(values.ravel(), minlength=256), is_lossy(path))


def _palette_indices(path: Path) -> Pixels | None:
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


def _single_channel(pixels: Pixels, path: Path) -> Pixels:
    """Colour file whose channels agree -> one of them. An opaque alpha channel is dropped."""
    channels = pixels.shape[2]
    colour, alpha = (pixels[..., : channels - 1], pixels[..., -1]) if channels in (2, 4) else (pixels, None)
    if alpha is not None and alpha.min() < np.iinfo(alpha.dtype).max:
        raise SegplugError(f"{path}: mask has a transparent alpha channel", "save it as one grey channel")
    spread = colour.max(axis=2).astype(int) - colour.min(axis=2)
    tolerance = 8 if is_lossy(path) else 0
    if spread.max() > tolerance:
        raise SegplugError(f"{path}: mask is a colour image", "save it as one grey channel, 0/255 or 0/1")
    return np.ascontiguousarray(colour[..., 0])
