"""What kind of error a crack model makes: wrong pixels beside a crack's edge, and cracks missed or invented.

Own definition: 1 - iou_crack, split into shares of TP + FP + FN (summed over the set). A wrong pixel within EDGE_PX
(Euclidean) of the other mask is a matter of width, `too_wide` or `too_thin`; any other is a `false_alarm` or `missed`.
"""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from segplug.metrics import count_within, distance_to_outline

EDGE_PX = 2
CRACK_ERRORS = ("too_wide", "too_thin", "false_alarm", "missed")
Mask = NDArray[np.bool_]


class CrackErrors:
    """Sums over images; memory does not grow with their number."""

    def __init__(self) -> None:
        self._pixels: Counter[str] = Counter()

    def add(self, prediction: Mask, target: Mask) -> None:
        """(H, W) masks of one image, False where nothing is labelled."""
        near = count_within(prediction, target, distance_to_outline(prediction), distance_to_outline(target), EDGE_PX)
        hits = int(np.count_nonzero(prediction & target))
        self._pixels.update(
            too_wide=near.right - hits,
            too_thin=near.recalled - hits,
            false_alarm=near.predicted - near.right,
            missed=near.labelled - near.recalled,
            union=near.predicted + near.labelled - hits,
        )

    def shares(self) -> dict[str, float]:
        """CRACK_ERRORS in [0, 1]; with iou_crack they sum to 1. Empty where there is neither crack nor prediction."""
        union = self._pixels["union"]
        return {kind: self._pixels[kind] / union for kind in CRACK_ERRORS} if union else {}
