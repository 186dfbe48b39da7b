"""Sample: one labelled photograph, and how its files are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segplug.data.images.reading import read_image
from segplug.data.labels import Label
from segplug.data.labels.mask_file import read_mask
from segplug.errors import SegplugError

__all__ = ["Arrays", "Sample", "read_sample", "valid_pixels"]

Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@dataclass(frozen=True)
class Sample:
    """One labelled photograph, its `name` unlike any other of the split.

    valid: mask file that is 0 where the label says nothing. group: source photograph, where the data names it.
    """

    name: str
    image: Path
    label: Label
    valid: Path | None = None
    group: str | None = None


def read_sample(sample: Sample) -> Arrays:
    """(H, W, 3) RGB image and (H, W) label values, those of a MaskFile as stored. Raises SegplugError with the file."""
    image = read_image(sample.image)
    return image, sample.label.values(image.shape[0], image.shape[1], sample.image)


def valid_pixels(path: Path, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(H, W): where the label counts. Raises SegplugError when the file is not of that shape."""
    valid = read_mask(path) > 0
    if valid.shape != shape:
        raise SegplugError(f"{path}: {valid.shape[1]}x{valid.shape[0]} but its image is {shape[1]}x{shape[0]}; redo it")
    return valid
