"""A depthwise convolution by a kernel where one pays: on a CPU torch takes up to six times as long for maps in NCHW."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from yoloplug.native.depthwise import KERNELS, depthwise
from yoloplug.native.use import applies, hooked

LEAST = 1 << 12
"""Values of a map, times the window's, below which a call without gradients costs more than it saves."""


def convolved(conv: nn.Module, x: Tensor) -> Tensor:
    """conv(x); any module is called where no kernel computes it, and so is one with hooks."""
    if (
        type(conv) is nn.Conv2d
        and 1 < conv.groups == conv.in_channels == conv.out_channels
        and conv.kernel_size[0] in KERNELS
        and conv.kernel_size == (conv.kernel_size[0],) * 2
        and conv.padding == (conv.kernel_size[0] // 2,) * 2
        and conv.stride == conv.dilation == (1, 1)
        and conv.padding_mode == "zeros"
        and x.dim() == 4
        and x.dtype == conv.weight.dtype == torch.float32
        and x.is_contiguous()
        and not torch.is_autocast_enabled("cpu")
        and (torch.is_grad_enabled() or x.numel() >= LEAST * conv.weight[0].numel())
        and applies(x, conv.weight, conv.bias)
        and not hooked(conv)
    ):
        return depthwise(x, conv.weight, conv.bias)
    y: Tensor = conv(x)
    return y
