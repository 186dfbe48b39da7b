"""clDice: do the centre lines of prediction and label lie in each other? Breaks and false branches show, width hardly.

Paper: Shit et al. 2021, https://arxiv.org/abs/2003.07311, section 3. Skeletons by Lee's thinning (Lee et al. 1994,
https://doi.org/10.1006/cgip.1994.1042), as `segplug measure` takes them: Zhang and Suen's, scikit-image's default for
pictures, wears some strips along the 135-degree diagonal down to a single pixel.
"""

import numpy as np

from segplug.arrays import Mask
from segplug.metrics.tolerance import ToleranceCounts, f1_tolerance


def count_skeletons(prediction: Mask, target: Mask) -> ToleranceCounts:
    """Counts of one image's (H, W) masks: predicted skeleton pixels on the label, labelled ones on the prediction."""
    predicted_line, labelled_line = _skeleton(prediction), _skeleton(target)
    return ToleranceCounts.of(predicted_line & target, predicted_line, labelled_line & prediction, labelled_line)


def cldice(c: ToleranceCounts) -> float:
    """Harmonic mean of topology precision and sensitivity; 1 when both masks are empty, 0 when one is."""
    return f1_tolerance(c)


def _skeleton(mask: Mask) -> Mask:
    from skimage.morphology import skeletonize

    return np.asarray(skeletonize(mask, method="lee")) > 0  # 0 and 255 before scikit-image 0.23
