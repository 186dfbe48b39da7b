"""The photo with its cracks marked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["draw_overlay"]

RED = np.array([230, 30, 30], dtype=np.float32)


def draw_overlay(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(H, W, 3) RGB photo with the mask's pixels tinted red."""
    drawn = image.copy()
    drawn[mask] = (0.4 * image[mask] + 0.6 * RED).astype(np.uint8)
    return drawn
