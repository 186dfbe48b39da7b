"""Augmentation of a training crop. Photometric changes stay mild: a thin crack is only a few grey levels deep."""

from __future__ import annotations

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["TrainCrop"]


class TrainCrop:
    """Random crop of `size` pixels, half of the time around a crack, with flips, quarter turns, light and noise.

    Images smaller than the crop are mirrored at their borders. The result depends only on the arrays and `seed`.
    """

    def __init__(self, size: int) -> None:
        cv2.setNumThreads(0)  # one OpenCV pool in each loader worker would fight with torch for the cores
        self._compose = A.Compose(
            [
                A.PadIfNeeded(size, size, border_mode=cv2.BORDER_REFLECT_101),
                A.OneOf([A.RandomCrop(size, size), A.CropNonEmptyMaskIfExists(size, size)], p=1.0),
                A.D4(p=1.0),
                A.RandomBrightnessContrast(0.2, 0.2, p=0.5),
                A.HueSaturationValue(10, 20, 0, p=0.3),
                A.OneOf([A.GaussNoise(std_range=(0.01, 0.04)), A.GaussianBlur((3, 3))], p=0.15),
            ]
        )

    def __call__(
        self, image: NDArray[np.uint8], mask: NDArray[np.uint8], seed: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """(H, W, 3) and (H, W) uint8 -> (size, size, 3) and (size, size)."""
        self._compose.set_random_seed(seed)
        out = self._compose(image=image, mask=mask)
        return out["image"], out["mask"]
