"""The protocol of SCSegamba (CVPR 2025, https://arxiv.org/abs/2503.01113), for comparison with its tables only.

Pictures and labels are resized to 512x512 (cubic; labels cut above 127 of 255). A prediction is saved as
round(255 logit / max(logit)), clipped to 0 … 255, without a sigmoid: 0 is about p = .5, and a picture whose logits
are all negative comes out all white. Thresholds are 0, .01 … .99 of 255. P, R and F1: counts pooled at threshold 0.
ODS: the best over thresholds of the mean per-image F1. OIS: mean of each image's best F1. mIoU: the best over
thresholds of the mean per-image half of crack and background IoU. An image without labelled pixels scores F1 0, even
when nothing was predicted. Where the published division is 0/0 over the whole set, recall and F1 are 0.
"""

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from segplug.arrays import Floats, Mask, Pixels, Points

Map = TypeVar("Map", Pixels, Floats)
FRAME_PX = 512
STEPS = np.arange(0.0, 1.0, 0.01)
# For each threshold the lowest 8-bit value above it, compared in float64 as the published code does.
LOWEST = (np.arange(256) / 255 > STEPS[:, None]).argmax(axis=1)


@dataclass(frozen=True)
class ScsCounts:
    """One image: `pooled` TP, FP, FN at threshold 0, and `f1` and `miou` at each of the 100 thresholds."""

    pooled: NDArray[np.int64]
    f1: Points
    miou: Points


def scs_counts(saved: Pixels, target: Mask) -> ScsCounts:
    """From the saved prediction (see `saved_prediction`) and the label, of one shape."""
    values, crack = np.bincount(saved.ravel(), minlength=256), np.bincount(saved[target], minlength=256)
    above = np.stack([values - crack, crack])[:, ::-1].cumsum(axis=1)[:, ::-1]
    (negative, positive), (fp, tp) = above[:, 0], above[:, LOWEST]
    fn, tn = positive - tp, negative - fp
    iou = (_divide(tp, tp + fp + fn, 0.0) + _divide(tn, tn + fp + fn, 0.0)) / 2
    return ScsCounts(np.array([tp[0], fp[0], fn[0]]), _f1(tp, fp, fn), np.where(tp + fp + fn == 0, 0.0, iou))


def scs_scores(times: NDArray[np.integer], pooled: NDArray[np.int64], f1: Points, miou: Points) -> dict[str, float]:
    """The six numbers of the published tables, from the n images' ScsCounts, stacked; image i counts times[i] times."""
    images = int(times.sum())
    tp, fp, fn = (np.array([v]) for v in times @ pooled)
    return {
        "scs_compat_ods": float((times @ f1).max()) / images,
        "scs_compat_ois": float(times @ f1.max(axis=1)) / images,
        "scs_compat_precision": float(_divide(tp, tp + fp, 1.0)[0]),
        "scs_compat_recall": float(_divide(tp, tp + fn, 0.0)[0]),
        "scs_compat_f1": float(_f1(tp, fp, fn)[0]),
        "scs_compat_miou": float((times @ miou).max()) / images,
    }


def saved_prediction(logits: NDArray[np.floating], valid: Mask | None = None) -> Pixels:
    """(H, W) logits -> the 8-bit picture that the published code saves. The maximum is taken over `valid` pixels."""
    highest = (logits if valid is None else logits[valid]).max()
    if highest == 0:  # the published division gives NaN and infinity, which OpenCV saves as 0
        return np.zeros(logits.shape, dtype=np.uint8)
    return np.rint(255 * (logits / highest)).clip(0, 255).astype(np.uint8)  # OpenCV too rounds half to even


def to_frame(picture: Map) -> Map:
    """(H, W) or (H, W, 3) of 8-bit or float32 values -> 512x512, cubic."""
    return cv2.resize(picture, (FRAME_PX, FRAME_PX), interpolation=cv2.INTER_CUBIC)  # type: ignore[return-value]


def target_in_frame(mask: Mask) -> Mask:
    """(H, W) label -> 512x512, cut above 127 of 255."""
    return to_frame(mask.astype(np.uint8) * 255) > 127


def _f1(tp: NDArray[np.int64], fp: NDArray[np.int64], fn: NDArray[np.int64]) -> Points:
    precision, recall = _divide(tp, tp + fp, 1.0), _divide(tp, tp + fn, 0.0)
    both = precision + recall
    return np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)


def _divide(part: NDArray[np.int64], whole: NDArray[np.int64], empty: float) -> Points:
    return np.divide(part, whole, out=np.full(part.shape, empty), where=whole > 0)
