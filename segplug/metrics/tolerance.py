"""F1 with a tolerance of some pixels: a crack drawn one pixel beside its label is not an error twice.

A predicted pixel is right within r pixels (Euclidean) of a labelled one, a labelled pixel is recalled within r of a
predicted one. Counts are pooled over images.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from segplug.arrays import Floats, Mask
from segplug.metrics.counts import ratio

TOLERANCES_PX = (1, 2, 5)


class ToleranceCounts(NamedTuple):
    """`right` of `predicted` pixels lie near a label, `recalled` of `labelled` ones near a prediction."""

    right: int
    predicted: int
    recalled: int
    labelled: int

    @staticmethod
    def of(right: Mask, predicted: Mask, recalled: Mask, labelled: Mask) -> ToleranceCounts:
        """Masks of these pixels."""
        return ToleranceCounts(*(int(np.count_nonzero(mask)) for mask in (right, predicted, recalled, labelled)))


def count_within(
    prediction: Mask, target: Mask, to_prediction: Floats, to_target: Floats, tolerance_px: float
) -> ToleranceCounts:
    """Counts of one image: (H, W) masks, and `distance_to_outline` of each of them."""
    right = prediction & (target | (to_target <= tolerance_px))
    return ToleranceCounts.of(right, prediction, target & (prediction | (to_prediction <= tolerance_px)), target)


def f1_tolerance(c: ToleranceCounts) -> float:
    """Harmonic mean of right/predicted and recalled/labelled; 1 when both masks are empty, 0 when one is."""
    if (c.predicted == 0) != (c.labelled == 0):
        return 0.0
    precision, recall = ratio(c.right, c.predicted), ratio(c.recalled, c.labelled)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
