"""TP, FP, FN, TN of crack pixels, and the scores that follow from them. Counts are summed first, then scored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segplug.arrays import Mask


@dataclass(frozen=True)
class Counts:
    """Pixels of a prediction against a mask; adds up over images."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn)


def count(prediction: Mask, target: Mask) -> Counts:
    """Counts of two boolean arrays of one shape."""
    tp, predicted, labelled = (int(np.count_nonzero(a)) for a in (prediction & target, prediction, target))
    return Counts(tp, predicted - tp, labelled - tp, target.size - predicted - labelled + tp)


def iou_crack(c: Counts) -> float:
    """TP / (TP + FP + FN)."""
    return ratio(c.tp, c.tp + c.fp + c.fn)


def miou(c: Counts) -> float:
    """Mean of `iou_crack` and the background's IoU. An all-background prediction scores near .49: read it with F1."""
    return (iou_crack(c) + ratio(c.tn, c.tn + c.fp + c.fn)) / 2


def precision(c: Counts) -> float:
    """TP / (TP + FP); 1 when nothing was predicted and nothing labelled, 0 when only cracks were missed."""
    return ratio(c.tp, c.tp + c.fp) if c.tp + c.fp else float(c.fn == 0)


def recall(c: Counts) -> float:
    """TP / (TP + FN); 1 when nothing was labelled and nothing predicted, 0 when there are only false alarms."""
    return ratio(c.tp, c.tp + c.fn) if c.tp + c.fn else float(c.fp == 0)


def f1(c: Counts) -> float:
    """2 TP / (2 TP + FP + FN)."""
    return ratio(2 * c.tp, 2 * c.tp + c.fp + c.fn)


def ratio(part: int, whole: int) -> float:
    """part / whole, 1 for 0/0: nothing to find and nothing found."""
    return part / whole if whole else 1.0
