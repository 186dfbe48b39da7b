"""Crack metrics, each exactly as its name says: counts are summed first, then scored.

Class 1 is crack. Pooled metrics sum TP, FP, FN, TN over the set; when nothing was labelled and nothing predicted the
ratio 0/0 counts as 1. `iou_per_image` is the mean over images, where an image with neither crack nor prediction is 1.
ODS and OIS (BSDS) use thresholds .01 to .99 and zero pixel tolerance: ODS takes the one threshold best for the pooled
counts, OIS each image's own best F1 threshold and then pools the counts found there.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Counts", "ImageCounts", "MetricSum", "f1", "iou_crack", "miou", "precision", "recall"]

BINS = 100


@dataclass(frozen=True)
class Counts:
    """Pixels of a prediction against a mask; adds up over images."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn)


@dataclass(frozen=True)
class ImageCounts:
    """One image's counts at the fixed threshold."""

    name: str
    counts: Counts

    def row(self) -> dict[str, str | int | float]:
        return {"name": self.name, **asdict(self.counts), "iou_crack": iou_crack(self.counts)}


def iou_crack(c: Counts) -> float:
    """TP / (TP + FP + FN)."""
    return _ratio(c.tp, c.tp + c.fp + c.fn)


def miou(c: Counts) -> float:
    """Mean of `iou_crack` and the background's IoU. An all-background prediction scores near .49: read it with F1."""
    return (iou_crack(c) + _ratio(c.tn, c.tn + c.fp + c.fn)) / 2


def precision(c: Counts) -> float:
    """TP / (TP + FP); 1 when nothing was predicted and nothing labelled, 0 when only cracks were missed."""
    return _ratio(c.tp, c.tp + c.fp) if c.tp + c.fp else float(c.fn == 0)


def recall(c: Counts) -> float:
    """TP / (TP + FN); 1 when nothing was labelled and nothing predicted, 0 when there are only false alarms."""
    return _ratio(c.tp, c.tp + c.fn) if c.tp + c.fn else float(c.fp == 0)


def f1(c: Counts) -> float:
    """2 TP / (2 TP + FP + FN)."""
    return _ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn)


class MetricSum:
    """Sums what every metric needs; memory does not grow with the number or size of images (rows aside)."""

    def __init__(self, threshold: float = 0.5) -> None:
        if not 0 < threshold < 1:
            raise ValueError(f"threshold must lie between 0 and 1, got {threshold}")
        self.threshold = threshold
        self.counts = Counts()
        self.images = 0
        self._iou_sum = 0.0
        self._pooled = np.zeros((2, BINS), dtype=np.int64)
        self._ois = Counts()

    def add(self, probability: NDArray[np.floating], mask: NDArray[np.integer]) -> Counts:
        """Add one image: (H, W) crack probability and (H, W) mask of 0 and 1. Returns its counts."""
        if probability.shape != mask.shape:
            raise ValueError(f"probability {probability.shape} and mask {mask.shape} differ in shape")
        truth = mask.astype(bool).ravel()
        flat = probability.ravel()
        if not np.isfinite(flat).all():
            raise ValueError("probability holds NaN or infinity")
        hit = flat >= self.threshold
        tp, predicted, labelled = int((hit & truth).sum()), int(hit.sum()), int(truth.sum())
        counts = Counts(tp, predicted - tp, labelled - tp, truth.size - predicted - labelled + tp)
        histogram = _histogram(flat, truth)
        self.counts += counts
        self.images += 1
        self._iou_sum += iou_crack(counts)
        self._pooled += histogram
        curve = _curve(histogram)
        self._ois += max(curve, key=f1)
        return counts

    def scores(self) -> dict[str, float]:
        """Every metric by its name. Raises ValueError before the first image."""
        if self.images == 0:
            raise ValueError("no image was added")
        c, curve = self.counts, _curve(self._pooled)
        return {
            "iou_crack": iou_crack(c),
            "miou": miou(c),
            "f1": f1(c),
            "precision": precision(c),
            "recall": recall(c),
            "iou_per_image": self._iou_sum / self.images,
            "ods_f1": max(map(f1, curve)),
            "ods_iou": max(map(iou_crack, curve)),
            "ods_threshold": (1 + max(range(len(curve)), key=lambda k: f1(curve[k]))) / BINS,
            "ois_f1": f1(self._ois),
        }


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _histogram(probability: NDArray[np.floating], truth: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(2, BINS): pixels of background and crack by floor(100·p)."""
    bins = np.minimum((probability.astype(np.float64) * BINS).astype(np.int64), BINS - 1)
    return np.bincount(bins + BINS * truth, minlength=2 * BINS).reshape(2, BINS)


def _curve(histogram: NDArray[np.int64]) -> list[Counts]:
    """Counts at thresholds .01 … .99."""
    above = histogram[:, ::-1].cumsum(axis=1)[:, ::-1]
    (negative, positive), (fp, tp) = above[:, 0], above[:, 1:]
    return [Counts(int(t), int(f), int(positive - t), int(negative - f)) for t, f in zip(tp, fp, strict=True)]
