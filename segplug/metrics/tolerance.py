"""F1 with a tolerance of some pixels: a crack drawn one pixel beside its label is not an error twice.

A predicted pixel is right within r pixels (Euclidean) of a labelled one, a labelled pixel is found within r of a
predicted one. Counts are pooled over images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segplug.arrays import Floats, Mask
from segplug.metrics.counts import ratio

__all__ = ["TOLERANCES_PX", "ToleranceCounts", "count_within", "f1_tolerance"]

TOLERANCES_PX = (1, 2, 5)


@dataclass(frozen=True)
class ToleranceCounts:
    """`right` of `predicted` pixels lie near a label, `found` of `labelled` ones near a prediction."""

    right: int = 0
    predicted: int = 0
    found: int = 0
    labelled: int = 0

    def __add__(self, other: ToleranceCounts) -> ToleranceCounts:
        return ToleranceCounts(
            self.right + other.right,
            self.predicted + other.predicted,
            self.found + other.found,
            self.labelled + other.labelled,
        )


def count_within(found: Mask, truth: Mask, to_found: Floats, to_truth: Floats, tolerance_px: float) -> ToleranceCounts:
    """Counts of one image: (H, W) masks, and `distance_to_outline` of each of them."""
    return ToleranceCounts(
        int(np.count_nonzero(found & (truth | (to_truth <= tolerance_px)))),
        int(np.count_nonzero(found)),
        int(np.count_nonzero(truth & (found | (to_found <= tolerance_px)))),
        int(np.count_nonzero(truth)),
    )


def f1_tolerance(c: ToleranceCounts) -> float:
    """Harmonic mean of right/predicted and found/labelled; 1 when both masks are empty, 0 when one is."""
    if (c.predicted == 0) != (c.labelled == 0):
        return 0.0
    precision, recall = ratio(c.right, c.predicted), ratio(c.found, c.labelled)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
