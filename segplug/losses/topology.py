"""Soft clDice: do prediction and crack lie on each other's centrelines?

Paper: Shit et al. 2021, https://arxiv.org/abs/2003.07311, section 3 and algorithms 1 and 2.
Departs: an image without crack has no centreline to compare, and the soft skeleton of an even prediction is 0, which
would make an all-crack answer free of cost there. On such images the prediction itself stands in its skeleton's place,
as in soft Dice. On images with crack an all-crack prediction still costs nothing: train `0.5*dice + 0.5*cldice`, as the
paper does, not cldice alone.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from segplug.data.labels import NO_LABEL


def cldice(logits: Tensor, mask: Tensor, iterations: int = 10, smooth: float = 1.0) -> Tensor:
    """1 - 2·P·S / (P + S), with P the share of the prediction's skeleton in the crack and S that of the crack's in p.

    Sums over labelled pixels of the batch. iterations: at least half the width in pixels of the widest crack.
    """
    labelled = mask != NO_LABEL
    p = torch.sigmoid(logits).masked_fill(~labelled, 0)
    target = mask.masked_fill(~labelled, 0).to(p.dtype)
    empty = target.sum((1, 2, 3), keepdim=True) == 0
    line_found = torch.where(empty, p, soft_skeleton(p, iterations, labelled))
    line = soft_skeleton(target, iterations, labelled)
    precision = ((line_found * target).sum() + smooth) / (line_found.sum() + smooth)
    sensitivity = ((line * p).sum() + smooth) / (line.sum() + smooth)
    return 1 - 2 * precision * sensitivity / (precision + sensitivity)


def soft_skeleton(x: Tensor, iterations: int, labelled: Tensor | None = None) -> Tensor:
    """(N, 1, H, W) in [0, 1] -> the same shape: what each opening takes away while x is eroded step by step.

    Pixels that are not `labelled` are treated like those beyond the picture's border; their own value is 0.
    """
    beyond = torch.zeros_like(x, dtype=torch.bool) if labelled is None else ~labelled
    x = x.masked_fill(beyond, 0)
    eroded = _erode(x, beyond)
    skeleton = F.relu(x - _dilate(eroded, beyond))
    for _ in range(iterations):
        x, eroded = eroded, _erode(eroded, beyond)
        skeleton = skeleton + (1 - skeleton) * F.relu(x - _dilate(eroded, beyond))
    return skeleton


def _erode(x: Tensor, beyond: Tensor) -> Tensor:
    """Least of a pixel and its four neighbours; 0 beyond."""
    x = -x.masked_fill(beyond, 1)
    down = F.max_pool2d(x, (3, 1), 1, (1, 0))
    across = F.max_pool2d(x, (1, 3), 1, (0, 1))
    return -torch.maximum(down, across).masked_fill(beyond, 0)


def _dilate(x: Tensor, beyond: Tensor) -> Tensor:
    """Largest of a pixel and its eight neighbours; 0 beyond."""
    return F.max_pool2d(x, 3, 1, 1).masked_fill(beyond, 0)
