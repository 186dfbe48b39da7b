"""Distances between masks in pixels, and HD95 from them.

HD95: the outlines (pixels of a mask that touch a pixel outside it, or the picture's border, by a side); for each
outline the 95th percentile (linear interpolation) of the distances from its pixels to the nearest pixel of the other;
the larger of the two. As MONAI's `compute_hausdorff_distance(percentile=95)`, but defined for empty masks: 0 when both
are empty, the picture's diagonal when one is, so that a missed crack costs something instead of leaving the average.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

from segplug.arrays import Floats, Mask

CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def distance_to_outline(mask: Mask) -> Floats:
    """(H, W) Euclidean distance in px from every pixel's centre to the outline; inf for an empty mask.

    Each is the root of a whole number, rounded to float32 (below 4096 px), whatever the machine and its threads.
    """
    if not mask.any():
        return np.full(mask.shape, np.inf, dtype=np.float32)
    with _without_ipp():
        away = cv2.distanceTransform((~_outline(mask)).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away, dtype=np.float32)


@contextmanager
def _without_ipp() -> Iterator[None]:
    """Intel's library, which OpenCV takes with one thread or for small pictures, is off in the last digits."""
    used = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)
    try:
        yield
    finally:
        cv2.ipp.setUseIPP(used)


def hd95_px(
    prediction: Mask, target: Mask, to_prediction: Floats, to_target: Floats, diagonal_px: float, percentile: float = 95
) -> float:
    """HD95 of two (H, W) masks in px, given `distance_to_outline` of each; percentile 100: Hausdorff distance."""
    empty = (not prediction.any(), not target.any())
    if all(empty):
        return 0.0
    if any(empty):
        return diagonal_px
    return max(
        float(np.percentile(to_target[_outline(prediction)], percentile)),
        float(np.percentile(to_prediction[_outline(target)], percentile)),
    )


def _outline(mask: Mask) -> Mask:
    inside = cv2.erode(mask.view(np.uint8), CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return mask & (np.asarray(inside) == 0)
