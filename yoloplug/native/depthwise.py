"""A depthwise convolution by its kernels: in NCHW both ways, in channels_last the gradient of wide windows' weights.

In channels_last torch's own 3x3 is nearly as fast as a copy of the map; in NCHW it takes two to six times a kernel's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from yoloplug.native.use import by_torch, launch, real, workers

LANES = 16

KERNELS = (3, 5, 7)
"""Sizes of the window with a kernel in C; others are torch's."""


def depthwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """conv2d of x (N, c, H, W) with weight (c, 1, k, k), k odd, and bias (c,), padded so that the size stays."""
    y: Tensor = _Depthwise.apply(x, weight, bias)
    return y


def depthwise_forward(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The same, with no gradient."""
    return _filtered(x, weight, bias) if _planes(x, weight) else _by_torch(x, weight, bias)


def _planes(x: Tensor, weight: Tensor) -> bool:
    """Whether a kernel convolves: autocast asks for torch's bfloat16."""
    narrow = x.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu")
    return weight.shape[-1] in KERNELS and not narrow and not _pixelwise(x)


def _pixelwise(x: Tensor) -> bool:
    """Whether the map lies in channels_last, or is a slice of one that does."""
    return x.stride(1) == 1 and x.shape[1] > 1


def _by_torch(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=len(weight))


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight, bias)
        return depthwise_forward(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias = ctx.saved_tensors
        recorded = by_torch(_by_torch, (x, weight, bias), gradients[0])
        if recorded is not None:
            return tuple(recorded)
        of_y, (c, _, k, _) = gradients[0], weight.shape
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0] and _planes(of_y, weight):
            of_x = _filtered(of_y, weight, None, back=True).to(x.dtype)
        elif ctx.needs_input_grad[0]:
            settings = ([1, 1], [k // 2, k // 2], [1, 1], False, [0, 0], c, [True, False, False])
            narrow = x.to(of_y.dtype), weight.to(of_y.dtype)  # under autocast y's type is the one it computed in
            of_x = torch.ops.aten.convolution_backward(of_y, *narrow, None, *settings)[0].to(x.dtype)
        if ctx.needs_input_grad[1]:
            of_weight = _gradient(x, of_y, k).to(weight.dtype)
        if ctx.needs_input_grad[2]:
            of_bias = of_y.sum((0, 2, 3)).to(weight.dtype)
        return of_x, of_weight, of_bias


def _filtered(x: Tensor, weight: Tensor, bias: Tensor | None, back: bool = False) -> Tensor:
    """The convolution, or with `back` that with the kernels turned by 180 degrees, which carries gradients back."""
    n, c, h, w = x.shape
    k = weight.shape[-1]
    x, weight = _planewise(x), weight.detach().to(real(x)).contiguous()
    bias = None if bias is None else bias.detach().to(x.dtype).contiguous()
    line = -(-w // LANES) * LANES + k - 1
    threads = workers(n * c, n * c * h * w * k * k)
    y, cache = x.new_empty(n, c, h, w), x.new_empty(threads, (h + k - 1) * line)
    sizes = (c, h, w, k, line, int(back), x.stride(0))
    launch("depthwise_forward", n * c, threads, (x, weight, bias, y, cache), sizes)
    return y


def _planewise(x: Tensor) -> Tensor:
    """x in the kernels' type, a slice of the channels of a map in NCHW as it lies."""
    x, (_, _, h, w) = x.detach().to(real(x)), x.shape
    return x if x.stride()[1:] == (h * w, w, 1) else x.contiguous()


def _gradient(x: Tensor, of_y: Tensor, k: int) -> Tensor:
    n, c, h, w = x.shape
    x, of_y = _planewise(x), of_y.detach().to(real(x)).contiguous()
    wide = -(-w // LANES) * LANES
    line = wide + k - 1
    room = (h + k - 1) * line + h * wide
    threads = workers(c, n * c * h * w * k * k)
    made, cache = x.new_empty(c, 1, k, k), x.new_empty(threads, room)
    launch("depthwise_gradient", c, threads, (x, of_y, made, cache), (n, c, h, w, k, wide, line, room, x.stride(0)))
    return made
