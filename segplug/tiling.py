"""Probability of a large image from overlapping tiles, blended so that no seam shows; memory stays that of one tile."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["tiled_probability"]


def tiled_probability(
    image: NDArray[np.uint8],
    probability_of: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    tile: int,
    overlap: int,
) -> NDArray[np.float32]:
    """(H, W, 3) -> (H, W). Tiles of `tile` pixels overlap by at least `overlap`; weights fall off to their borders.

    An image that fits into one tile is predicted whole.
    """
    h, w = image.shape[:2]
    if h <= tile and w <= tile:
        return probability_of(image)
    if not 0 <= overlap < tile:
        raise ValueError(f"overlap must be at least 0 and below the tile's {tile} px, got {overlap}")
    total = np.zeros((h, w), dtype=np.float32)
    weight = np.zeros((h, w), dtype=np.float32)
    for top in _starts(h, tile, overlap):
        for left in _starts(w, tile, overlap):
            part = image[top : top + tile, left : left + tile]
            ramp = np.multiply.outer(_ramp(part.shape[0], overlap), _ramp(part.shape[1], overlap))
            total[top : top + tile, left : left + tile] += ramp * probability_of(part)
            weight[top : top + tile, left : left + tile] += ramp
    return total / weight


def _starts(length: int, tile: int, overlap: int) -> Iterator[int]:
    """Evenly spread first pixels; the last tile ends at the border."""
    if length <= tile:
        return iter([0])
    count = -(-(length - overlap) // (tile - overlap))
    return iter(round(i * (length - tile) / (count - 1)) for i in range(count))


def _ramp(length: int, overlap: int) -> NDArray[np.float32]:
    """1 inside, falling linearly over `overlap` pixels at both ends, never 0."""
    distance = np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1))
    return np.minimum(distance / (overlap + 1), 1).astype(np.float32)
