"""Grounds to draw on: noise of several sizes, as plaster and concrete have it."""

import cv2
import numpy as np
from numpy.typing import NDArray


def noise(rng: np.random.Generator, side: int, coarsest: int) -> NDArray[np.float32]:
    """(side, side) of zero mean and unit deviation: octaves from single pixels to blotches of `coarsest` px."""
    total = np.zeros((side, side), np.float32)
    size, weight = 1, 1.0
    while size <= coarsest:
        cells = max(2, side // size)
        grid = rng.standard_normal((cells, cells)).astype(np.float32)
        total += weight * cv2.resize(grid, (side, side), interpolation=cv2.INTER_CUBIC)
        size, weight = size * 2, weight * 1.15
    return (total - total.mean()) / total.std()


def save_image(path: str, image: NDArray[np.uint8]) -> None:
    """Write an image (BGR or grey); a failed write raises, where cv2 only returns False."""
    if not cv2.imwrite(path, image):
        raise OSError(f"cannot write {path}")
