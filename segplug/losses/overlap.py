"""Dice and Tversky: soft overlap of prediction and crack.

Papers: Milletari et al. 2016, https://arxiv.org/abs/1606.04797, section 3; Salehi et al. 2017,
https://arxiv.org/abs/1706.05721, equation 3. Departs from both, and from smp: the smoothing term stands in numerator
and denominator, so that a mask without crack costs nothing when nothing is found, and up to 1 when everything is. smp
sets that loss to 0 whatever was found.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["dice", "tversky"]


def dice(logits: Tensor, mask: Tensor, smooth: float = 1.0, per_image: bool = False) -> Tensor:
    """1 - (2·Σpt + s) / (Σp + Σt + s), sums over the whole batch, or per image and then the mean."""
    return tversky(logits, mask, 0.5, 0.5, smooth / 2, per_image)


def tversky(
    logits: Tensor,
    mask: Tensor,
    alpha: float = 0.3,
    beta: float = 0.7,
    smooth: float = 1.0,
    per_image: bool = False,
) -> Tensor:
    """1 - (TP + s) / (TP + alpha·FP + beta·FN + s); beta above alpha makes a missed crack dearer than a false alarm."""
    pixels = (1, 2, 3) if per_image else (0, 1, 2, 3)
    p = torch.sigmoid(logits)
    tp, fp, fn = (p * mask).sum(pixels), (p * (1 - mask)).sum(pixels), ((1 - p) * mask).sum(pixels)
    return (1 - (tp + smooth) / (tp + alpha * fp + beta * fn + smooth)).mean()
