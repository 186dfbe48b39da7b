"""Metrics over all thresholds, from one histogram of probabilities: ODS, OIS (BSDS, zero tolerance) and AP.

ODS and OIS: Arbelaez et al. 2011, https://doi.org/10.1109/TPAMI.2010.161, section 3.1, with pixels in place of matched
boundaries. ODS takes the one threshold best for the pooled counts, OIS each image's own best F1 threshold and then
pools the counts found there. Thresholds are .01, .02 … .99.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segplug.arrays import Mask
from segplug.metrics.counts import Counts, f1, iou_crack

THRESHOLDS = 100
AP_BINS = 10_000
AT_ONCE = 1 << 15  # pixels: they stay in the processor's cache, in a third of the time


class CurveSum:
    """Sums over images: `pooled` histograms (see `histogram`), and `ois`, the counts at each image's best threshold."""

    def __init__(self, pooled: NDArray[np.int64] | None = None, ois: Counts | None = None) -> None:
        self._pooled = np.zeros((2, AP_BINS), dtype=np.int64) if pooled is None else pooled
        self._ois = ois or Counts()

    def add(self, probability: NDArray[np.floating], target: Mask) -> None:
        """Add one image's (pixels,) probabilities in [0, 1] and labels."""
        added = histogram(probability, target)
        self._pooled += added
        self._ois += best_counts(added)

    def __iadd__(self, other: CurveSum) -> CurveSum:
        self._pooled += other._pooled
        self._ois += other._ois
        return self

    def scores(self) -> dict[str, float]:
        """ods_f1, ods_iou, ods_threshold (of ods_f1; the lowest of equals), ois_f1, ap."""
        best, threshold = _best(self._pooled)
        return {
            "ods_f1": f1(best),
            "ods_iou": iou_crack(best),  # grows with F1: the same threshold is its best
            "ods_threshold": threshold,
            "ois_f1": f1(self._ois),
            "ap": _average_precision(self._pooled),
        }


def histogram(probability: NDArray[np.floating], target: Mask) -> NDArray[np.int64]:
    """(pixels,) probabilities in [0, 1] and labels -> (2, AP_BINS) pixels of background and crack by floor(10000 p)."""
    # In float64: a float32 product would round some values just below a threshold up to it.
    flat = np.zeros(2 * (AP_BINS + 1), dtype=np.int64)
    for start in range(0, probability.size, AT_ONCE):
        part = slice(start, start + AT_ONCE)
        bins = np.multiply(probability[part], AP_BINS, dtype=np.float64).astype(np.int32)
        bins += np.int32(AP_BINS + 1) * target[part]
        flat += np.bincount(bins, minlength=len(flat))
    pixels = flat.reshape(2, -1)
    pixels[:, -2] += pixels[:, -1]  # a probability of 1 belongs to the last bin
    return np.ascontiguousarray(pixels[:, :-1])


def best_counts(histogram: NDArray[np.int64]) -> Counts:
    """Counts at the threshold of best F1, the lowest of equals."""
    return _best(histogram)[0]


def _best(histogram: NDArray[np.int64]) -> tuple[Counts, float]:
    """Those counts, and the threshold: .01 … .99."""
    coarse = histogram.reshape(2, THRESHOLDS, -1).sum(axis=2)
    above = coarse[:, ::-1].cumsum(axis=1)[:, ::-1]
    (negative, positive), (fp, tp) = above[:, 0], above[:, 1:]
    whole = tp + fp + positive
    k = int(np.divide(2 * tp, whole, out=np.ones(len(tp)), where=whole > 0).argmax())
    return Counts(int(tp[k]), int(fp[k]), int(positive - tp[k]), int(negative - fp[k])), (1 + k) / THRESHOLDS


def _average_precision(histogram: NDArray[np.int64]) -> float:
    """Sum over falling thresholds of (recall gained) x (precision there), as scikit-learn defines it.

    Pixels of one bin count as equally likely. Without a labelled pixel: 1 when no probability reaches .5, else 0.
    """
    fp, tp = histogram[:, ::-1].cumsum(axis=1)
    if tp[-1] == 0:
        return float(histogram[0, AP_BINS // 2 :].sum() == 0)
    gained = np.diff(tp, prepend=0)
    reached = gained > 0
    return float((gained[reached] / tp[-1] * (tp[reached] / (tp + fp)[reached])).sum())
