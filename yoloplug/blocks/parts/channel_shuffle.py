"""The channel shuffle of ShuffleNet: a fixed permutation that deals the channels of g groups out in turn.

Paper: Zhang et al. 2018 (ShuffleNet), https://arxiv.org/abs/1707.01083, section 3.1.
"""

import torch
from torch import Tensor

from yoloplug.blocks.parts.memory_format import memory_format


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Output channel i is input channel (i % groups) * (C / groups) + i // groups.

    Shape: (N, C, H, W) -> same; groups divides C. Its inverse is channel_shuffle(x, C // groups).
    """
    # unflatten would do, but in an ONNX file of dynamic size the layers behind it would see the example's size.
    n, c, h, w = x.shape
    if memory_format(x) is torch.channels_last:
        pixels = x.permute(0, 2, 3, 1).reshape(n, h, w, groups, c // groups)
        return pixels.transpose(3, 4).reshape(n, h, w, c).permute(0, 3, 1, 2)
    return x.reshape(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


def unshuffled(values: Tensor, groups: int) -> Tensor:
    """Values for the channels behind a shuffle, (C,), in the order that the channels have before it."""
    return values.reshape(-1, groups).t().reshape(-1)
