"""Features times the sigmoid of their gates by its kernels, forward and backward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from yoloplug.native.use import by_torch, launch, real, workers


def gated(z: Tensor, elu: bool) -> Tensor:
    """act(f) * sigmoid(g) of the halves f, g of z's channels, act ELU or nothing: (N, 2c, H, W) -> (N, c, H, W).

    In z's layout. Only z is kept for the backward pass.
    """
    y: Tensor = _Gated.apply(z, elu)
    return y


def _by_torch(z: Tensor, elu: bool) -> Tensor:
    features, gate = z.chunk(2, dim=1)
    return (F.elu(features) if elu else features) * gate.sigmoid()


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, elu: bool) -> Tensor:
        ctx.save_for_backward(z)
        ctx.elu = elu
        given, layout = _laid_out(z)
        n, c, h, w = z.shape
        y = torch.empty(n, c // 2, h, w, dtype=given.dtype, memory_format=layout)
        _launch("gate_forward", given, y, None, elu)
        return y.to(z.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        (z,) = ctx.saved_tensors
        recorded = by_torch(lambda z: _by_torch(z, ctx.elu), (z,), gradients[0])
        if recorded is not None:
            return recorded[0], None
        given, layout = _laid_out(z)
        of_y = gradients[0].to(given.dtype).contiguous(memory_format=layout)
        of_z = torch.empty_like(given)
        _launch("gate_backward", given, of_y, of_z, ctx.elu)
        return of_z.to(z.dtype), None


def _laid_out(z: Tensor) -> tuple[Tensor, torch.memory_format]:
    pixelwise = not z.is_contiguous() and z.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if pixelwise else torch.contiguous_format
    return z.detach().to(real(z)).contiguous(memory_format=layout), layout


def _launch(name: str, z: Tensor, y: Tensor, of_z: Tensor | None, elu: bool) -> None:
    run = y[0].numel() if z.is_contiguous() else y.shape[1]
    items = y.numel() // run
    launch(name, items, workers(items, 8 * y.numel()), (z, y, of_z), (run, int(elu)))
