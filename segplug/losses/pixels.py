"""Losses that are sums over pixels, or over sorted pixels: BCE, focal, Lovász hinge.

Papers: Lin et al. 2017, https://arxiv.org/abs/1708.02002, equation 5; Berman et al. 2018,
https://arxiv.org/abs/1705.08790, section 2.2. All three keep a gradient on masks without crack.
"""

from __future__ import annotations

from segmentation_models_pytorch.losses import BINARY_MODE, FocalLoss, LovaszLoss
from torch import Tensor
from torch.nn import functional as F

__all__ = ["bce", "focal", "lovasz"]


def bce(logits: Tensor, mask: Tensor, pos_weight: float = 1.0) -> Tensor:
    """Mean binary cross entropy; crack pixels count `pos_weight` times."""
    return F.binary_cross_entropy_with_logits(logits, mask, pos_weight=logits.new_tensor(pos_weight))


def focal(logits: Tensor, mask: Tensor, gamma: float = 2.0, alpha: float = 0.25) -> Tensor:
    """Mean of alpha_t (1 - p_t)^gamma · BCE, alpha_t being `alpha` on crack and 1 - alpha elsewhere."""
    return FocalLoss(BINARY_MODE, alpha=alpha, gamma=gamma)(logits, mask)


def lovasz(logits: Tensor, mask: Tensor, per_image: bool = False) -> Tensor:
    """Convex surrogate of 1 - IoU of crack by hinge errors, over the whole batch or the mean over images.

    On a mask without crack only the most crack-like pixel has a gradient: add BCE where such images are many.
    """
    return LovaszLoss(BINARY_MODE, per_image=per_image)(logits[:, 0], mask[:, 0])
