"""Soft clDice: do prediction and crack lie on each other's centrelines?

Paper: Shit et al. 2021, https://arxiv.org/abs/2003.07311, section 3 and algorithms 1 and 2.
Departs: an image without crack has no centreline to compare, and the soft skeleton of an even prediction is 0, which
would make an all-crack answer free of cost there. On such images the prediction itself stands in its skeleton's place,
as in soft Dice. On images with crack an all-crack prediction still costs nothing: train `0.5*dice + 0.5*cldice`, as the
paper does, not cldice alone.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["cldice", "soft_skeleton"]


def cldice(logits: Tensor, mask: Tensor, iterations: int = 10, smooth: float = 1.0) -> Tensor:
    """1 - 2·P·S / (P + S), with P the share of the prediction's skeleton in the crack and S that of the crack's in p.

    Sums over the whole batch. iterations: at least half the width in pixels of the widest crack.
    """
    p = torch.sigmoid(logits)
    empty = mask.sum((1, 2, 3), keepdim=True) == 0
    found = torch.where(empty, p, soft_skeleton(p, iterations))
    line = soft_skeleton(mask, iterations)
    precision = ((found * mask).sum() + smooth) / (found.sum() + smooth)
    sensitivity = ((line * p).sum() + smooth) / (line.sum() + smooth)
    return 1 - 2 * precision * sensitivity / (precision + sensitivity)


def soft_skeleton(x: Tensor, iterations: int) -> Tensor:
    """(N, 1, H, W) in [0, 1] -> the same shape: what each opening takes away while x is eroded step by step."""
    skeleton = F.relu(x - _open(x))
    for _ in range(iterations):
        x = _erode(x)
        skeleton = skeleton + (1 - skeleton) * F.relu(x - _open(x))
    return skeleton


def _erode(x: Tensor) -> Tensor:
    """Least of a pixel and its four neighbours."""
    down = F.max_pool2d(-x, (3, 1), 1, (1, 0))
    across = F.max_pool2d(-x, (1, 3), 1, (0, 1))
    return -torch.maximum(down, across)


def _open(x: Tensor) -> Tensor:
    return F.max_pool2d(_erode(x), 3, 1, 1)
