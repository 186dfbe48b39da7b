"""Losses of a binary crack mask by name, and weighted sums of them as text: `LossSum("0.83*bce + 0.17*dice")`."""

from segplug.losses.cldice import cldice, soft_skeleton
from segplug.losses.overlap import dice, tversky
from segplug.losses.pixels import bce, focal, lovasz
from segplug.losses.weighted_sum import LOSSES, LossSum

__all__ = ["LOSSES", "LossSum", "bce", "cldice", "dice", "focal", "lovasz", "soft_skeleton", "tversky"]
