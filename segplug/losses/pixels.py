"""Losses that are sums over pixels, or over sorted pixels: BCE, focal, Lovász hinge.

Papers: Lin et al. 2017, https://arxiv.org/abs/1708.02002, equation 5; Berman et al. 2018,
https://arxiv.org/abs/1705.08790, section 2.2. All three keep a gradient on masks without crack.
"""

from segmentation_models_pytorch.losses import BINARY_MODE, FocalLoss, LovaszLoss
from torch import Tensor
from torch.nn import functional as F

from segplug.data.labels import NO_LABEL


def bce(logits: Tensor, mask: Tensor, pos_weight: float = 1.0) -> Tensor:
    """Mean binary cross entropy of labelled pixels; crack pixels count `pos_weight` times."""
    logits, target = _labelled(logits, mask)
    weight = logits.new_tensor(pos_weight)
    total = F.binary_cross_entropy_with_logits(logits, target, pos_weight=weight, reduction="sum")
    return total / max(1, target.numel())


def focal(logits: Tensor, mask: Tensor, gamma: float = 2.0, alpha: float = 0.25) -> Tensor:
    """Mean of alpha_t (1 - p_t)^gamma · BCE, alpha_t being `alpha` on crack and 1 - alpha elsewhere."""
    logits, target = _labelled(logits, mask)
    return FocalLoss(BINARY_MODE, alpha=alpha, gamma=gamma, reduction="sum")(logits, target) / max(1, target.numel())


def lovasz(logits: Tensor, mask: Tensor, per_image: bool = False) -> Tensor:
    """Convex surrogate of 1 - IoU of crack by hinge errors, over the whole batch or the mean over labelled images.

    On a mask without crack only the most crack-like pixel has a gradient: add BCE where such images are many.
    """
    loss = LovaszLoss(BINARY_MODE)
    if not per_image:
        return loss(*_labelled(logits, mask))
    images = [_labelled(*image) for image in zip(logits, mask, strict=True)]
    terms = [loss(*pixels) for pixels in images if len(pixels[1])]
    return sum(terms, start=logits[:0].sum()) / max(1, len(terms))


def _labelled(logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and labels (0.0 and 1.0) of labelled pixels, in one dimension."""
    labelled = mask != NO_LABEL
    return logits[labelled], mask[labelled].to(logits.dtype)
