"""Training loss: binary cross entropy + soft Dice, safe on batches without any crack."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["BCEDiceLoss", "dice_loss"]


class BCEDiceLoss(nn.Module):
    """bce_weight · BCE + dice_weight · Dice, on logits. BCE keeps a gradient where Dice has none (empty masks)."""

    def __init__(self, bce_weight: float = 1.0, dice_weight: float = 1.0, smooth: float = 1.0) -> None:
        super().__init__()
        if bce_weight < 0 or dice_weight < 0 or bce_weight + dice_weight == 0:
            raise ValueError(f"weights must be >= 0 and not both 0, got {bce_weight} and {dice_weight}")
        self.bce_weight = bce_weight
        self.dice_weight = dice_weight
        self.smooth = smooth

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """(N, 1, H, W) logits and mask of 0 and 1 -> scalar, computed in float32."""
        if logits.shape != mask.shape:
            raise ValueError(f"logits {tuple(logits.shape)} and mask {tuple(mask.shape)} differ in shape")
        logits, mask = logits.float(), mask.float()
        bce = F.binary_cross_entropy_with_logits(logits, mask)
        return self.bce_weight * bce + self.dice_weight * dice_loss(torch.sigmoid(logits), mask, self.smooth)


def dice_loss(probability: Tensor, mask: Tensor, smooth: float = 1.0) -> Tensor:
    """1 - (2·Σpt + s) / (Σp + Σt + s), sums over the whole batch: an image without crack adds only false alarms."""
    overlap = (probability * mask).sum()
    return 1 - (2 * overlap + smooth) / (probability.sum() + mask.sum() + smooth)
