"""What a label is: (H, W) uint8 in the size of its image, 0 background, 1 crack, 255 no label.

mask_file reads pictures, mask_encoding says what their values mean, outlines draws polygons, mat_file reads CFD's .mat.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from segplug.arrays import Pixels

__all__ = ["NO_LABEL", "CrackFree", "Label"]

NO_LABEL = 255  # in every mask that leaves segplug.data


class Label(Protocol):
    """A label of one image."""

    @property
    def path(self) -> Path:
        """The file that holds it."""

    def values(self, height: int, width: int, image: Path) -> Pixels:
        """(H, W) uint8. Raises SegplugError that names the file and the remedy."""


@dataclass(frozen=True)
class CrackFree:
    """An image that came without label and, when asked so, counts as empty."""

    path: Path

    def values(self, height: int, width: int, image: Path) -> Pixels:
        return np.zeros((height, width), dtype=np.uint8)
