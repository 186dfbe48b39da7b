"""Parts of the re-parameterisable blocks: conv-norm pairs, and the arithmetic that merges parallel ones into one."""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.folding.batch_norm import bn_affine
from yoloplug.blocks.parts.norms.normalised import Chain
from yoloplug.blocks.parts.padding import autopad

Kernel = tuple[Tensor, Tensor]
"""(c2, c1 / g, k, k) weight and (c2,) bias of a plain convolution."""


def conv_norm(c1: int, c2: int, k: int, s: int = 1, g: int = 1) -> nn.Sequential:
    """Convolution `conv` without bias that keeps the size at stride 1, then BatchNorm `bn`."""
    conv = nn.Conv2d(c1, c2, k, s, autopad(k), groups=g, bias=False)
    return Chain(OrderedDict(conv=conv, bn=nn.BatchNorm2d(c2)))


def folded(weight: Tensor, bn: nn.Module, bias: Tensor | None = None) -> Kernel:
    """The kernel of a convolution with this weight, followed by `bn` in eval mode."""
    assert isinstance(bn, nn.BatchNorm2d)
    scale, shift = bn_affine(bn)
    return weight * scale[:, None, None, None], shift if bias is None else shift + bias * scale


def folded_pair(pair: nn.Sequential) -> Kernel:
    """The kernel of a `conv_norm`."""
    return folded(pair.get_submodule("conv").get_parameter("weight"), pair.get_submodule("bn"))


@torch.no_grad()
def plain_conv(kernels: list[Kernel], s: int, padding: int, d: int = 1, g: int = 1) -> nn.Conv2d:
    """One convolution equal to the sum of convolutions with these kernels of odd sides, smaller ones at its centre."""
    k = max(side for kernel, _ in kernels for side in kernel.shape[-2:])
    weight = torch.stack([grown(kernel, k) for kernel, _ in kernels]).sum(0)
    bias = torch.stack([shift for _, shift in kernels]).sum(0)
    c2, depth, *_ = weight.shape
    conv = torch.nn.utils.skip_init(
        nn.Conv2d, depth * g, c2, k, s, padding, d, g, device=weight.device, dtype=weight.dtype
    )
    conv.weight.copy_(weight)
    conv.bias.copy_(bias)
    return conv


def grown(weight: Tensor, k: int) -> Tensor:
    """A kernel with odd sides, zero-padded around its centre to k x k."""
    down, across = ((k - side) // 2 for side in weight.shape[-2:])
    return F.pad(weight, (across, across, down, down))
