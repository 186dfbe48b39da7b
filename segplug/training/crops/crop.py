"""The training crop: where it is cut, then the augmentations."""

from collections.abc import Sequence
from typing import Any

import albumentations as A
import cv2
import numpy as np

from segplug.arrays import Pixels
from segplug.data.labels import NO_LABEL
from segplug.training.crops.augmentation import DEFAULT, build_transforms

CRACK_SHARE = 0.4
"""Below a half, so that a hair crack keeps its line when the photo shrinks."""


class TrainCrop:
    """Crop of `size` pixels, a share of them laid around a crack pixel, then augmented.

    crack_share: share of the crops that hold crack wherever the image has any; the others are laid at random. augment:
    transforms as `crops.augmentation` reads them, None for its DEFAULT. smallest_scale: the image is shrunk first, by a
    factor drawn log-uniformly from this to 1. Images smaller than the crop are mirrored at their borders. The result
    depends only on the arrays and `seed`.
    """

    def __init__(
        self, size: int, crack_share: float = 0.5, augment: Sequence[Any] | None = None, smallest_scale: float = 1.0
    ) -> None:
        self.smallest_scale = smallest_scale
        cv2.setNumThreads(0)  # one OpenCV pool in each loader worker would fight with torch for the cores
        anywhere = A.RandomCrop(size, size, p=1 - crack_share)  # in OneOf, p is the share
        on_crack = A.CropNonEmptyMaskIfExists(size, size, ignore_values=[NO_LABEL], p=crack_share)
        self._compose = A.Compose(
            [
                A.PadIfNeeded(size, size, border_mode=cv2.BORDER_REFLECT_101),
                A.OneOf([anywhere, on_crack], p=1.0),
                *build_transforms(DEFAULT if augment is None else augment, size),
            ]
        )

    def __call__(self, image: Pixels, mask: Pixels, seed: int) -> tuple[Pixels, Pixels]:
        """(H, W, 3) and (H, W) uint8 -> (size, size, 3) and (size, size)."""
        image, mask = self._shrunk(image, mask, seed)
        self._compose.set_random_seed(seed)
        out = self._compose(image=image, mask=mask)
        return out["image"], out["mask"]

    def _shrunk(self, image: Pixels, mask: Pixels, seed: int) -> tuple[Pixels, Pixels]:
        """A pixel is crack where CRACK_SHARE of what it shows is, without label where any of it is."""
        if self.smallest_scale == 1:
            return image, mask
        factor = self.smallest_scale ** np.random.default_rng(seed).random()
        size = tuple(max(8, round(side * factor)) for side in (image.shape[1], image.shape[0]))
        crack, bare = (
            cv2.resize((mask == value).astype(np.float32), size, interpolation=cv2.INTER_AREA)
            for value in (1, NO_LABEL)
        )
        shrunk = np.where(bare > 0, NO_LABEL, crack >= CRACK_SHARE).astype(np.uint8)
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), shrunk
