"""A depthwise convolution by torch, whose weight gradient, most of a training step on a CPU, is a kernel's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from yoloplug.native.use import by_torch, launch, real, workers

LANES = 16


def depthwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """conv2d of x (N, c, H, W) with weight (c, 1, k, k), k odd, and bias (c,), padded so that the size stays."""
    y: Tensor = _Depthwise.apply(x, weight, bias)
    return y


def _by_torch(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=len(weight))


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight, bias)
        return _by_torch(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias = ctx.saved_tensors
        recorded = by_torch(_by_torch, (x, weight, bias), gradients[0])
        if recorded is not None:
            return tuple(recorded)
        of_y, (c, _, k, _) = gradients[0], weight.shape
        of_x = of_weight = of_bias = None
        if ctx.needs_input_grad[0]:
            settings = ([1, 1], [k // 2, k // 2], [1, 1], False, [0, 0], c, [True, False, False])
            narrow = x.to(of_y.dtype), weight.to(of_y.dtype)  # under autocast y's type is the one it computed in
            of_x = torch.ops.aten.convolution_backward(of_y, *narrow, None, *settings)[0].to(x.dtype)
        if ctx.needs_input_grad[1]:
            of_weight = _gradient(x, of_y, k).to(weight.dtype)
        if ctx.needs_input_grad[2]:
            of_bias = of_y.sum((0, 2, 3)).to(weight.dtype)
        return of_x, of_weight, of_bias


def _gradient(x: Tensor, of_y: Tensor, k: int) -> Tensor:
    n, c, h, w = x.shape
    x, of_y = (tensor.detach().to(real(x)).contiguous() for tensor in (x, of_y))
    wide = -(-w // LANES) * LANES
    line = wide + k - 1
    room = (h + k - 1) * line + h * wide
    threads = workers(c, n * c * h * w * k * k)
    made, cache = x.new_empty(c, 1, k, k), x.new_empty(threads, room)
    launch("depthwise_gradient", c, threads, (x, of_y, made, cache), (n, c, h, w, k, wide, line, room))
    return made
