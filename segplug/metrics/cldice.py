"""clDice: do the centre lines of prediction and label lie in each other? Breaks and false branches show, width hardly.

Paper: Shit et al. 2021, https://arxiv.org/abs/2003.07311, section 3, with scikit-image's thinning for the skeleton.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segplug.metrics.tolerance import ToleranceCounts, f1_tolerance

__all__ = ["cldice", "count_skeletons"]


def count_skeletons(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> ToleranceCounts:
    """Counts of one image's (H, W) masks: predicted skeleton pixels on the label, labelled ones on the prediction."""
    from skimage.morphology import skeletonize

    found_line, true_line = skeletonize(found), skeletonize(truth)
    return ToleranceCounts(
        int(np.count_nonzero(found_line & truth)),
        int(np.count_nonzero(found_line)),
        int(np.count_nonzero(true_line & found)),
        int(np.count_nonzero(true_line)),
    )


def cldice(c: ToleranceCounts) -> float:
    """Harmonic mean of topology precision and sensitivity; 1 when both masks are empty, 0 when one is."""
    return f1_tolerance(c)
