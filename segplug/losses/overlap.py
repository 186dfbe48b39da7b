"""Dice and Tversky: soft overlap of prediction and crack.

Papers: Milletari et al. 2016, https://arxiv.org/abs/1606.04797, section 3; Salehi et al. 2017,
https://arxiv.org/abs/1706.05721, equation 3. Departs from both, and from smp: the smoothing term stands in numerator
and denominator, so that a mask without crack costs nothing when nothing is found, and up to 1 when everything is. smp
sets that loss to 0 whatever was found.
"""

import torch
from torch import Tensor

from segplug.data.labels import NO_LABEL


def dice(logits: Tensor, mask: Tensor, smooth: float = 1.0, per_image: bool = False) -> Tensor:
    """1 - (2·Σpt + s) / (Σp + Σt + s), sums over labelled pixels of the batch, or per image and then the mean."""
    return tversky(logits, mask, 0.5, 0.5, smooth / 2, per_image)


def tversky(
    logits: Tensor, mask: Tensor, alpha: float = 0.3, beta: float = 0.7, smooth: float = 1.0, per_image: bool = False
) -> Tensor:
    """1 - (TP + s) / (TP + alpha·FP + beta·FN + s); beta above alpha makes a missed crack dearer than a false alarm.

    per_image: the mean over images that have a labelled pixel.
    """
    rows = len(logits) if per_image else 1
    labelled = (mask != NO_LABEL).reshape(rows, -1)
    # Where nothing is labelled, prediction and target are 0 and add to no sum.
    p = torch.sigmoid(logits).reshape(rows, -1).masked_fill(~labelled, 0)
    target = mask.reshape(rows, -1).masked_fill(~labelled, 0).to(p.dtype)
    some = labelled.any(1)
    tp, predicted, cracked = (part.sum(1)[some] for part in (p * target, p, target))
    fp, fn = predicted - tp, cracked - tp
    terms = 1 - (tp + smooth) / (tp + alpha * fp + beta * fn + smooth)
    return terms.sum() / max(1, len(terms))
