"""Losses of a binary crack mask by name, and weighted sums of them as text: `LossSum("0.83*bce + 0.17*dice")`.

All take (N, 1, H, W) logits and masks of 0, 1 and 255, which is no label: the loss is that of the other pixels alone.
"""

from segplug.losses.overlap import dice, tversky
from segplug.losses.pixels import bce, focal, lovasz
from segplug.losses.topology import cldice, soft_skeleton
from segplug.losses.weighted_sum import LOSSES, LossSum

__all__ = ["LOSSES", "LossSum", "bce", "cldice", "dice", "focal", "lovasz", "soft_skeleton", "tversky"]
