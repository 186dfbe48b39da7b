"""The spatial unit of SCConv behind its norm by its kernels, forward and backward."""

from __future__ import annotations

import struct
from typing import Any

import torch
from torch import Tensor

from yoloplug.native.use import by_torch, launch, real, workers


def separated(x: Tensor, logits: Tensor, threshold: float) -> Tensor:
    """rich + (poor with its channel halves swapped), of x (N, 2c, H, W) and logits of its shape, in x's layout.

    rich is x where logits > threshold and x * sigmoid(logits) elsewhere; poor is 0 there and the same elsewhere. Only
    x and logits are kept for the backward pass.
    """
    y: Tensor = _Separated.apply(x, logits, threshold)
    return y


def _by_torch(x: Tensor, logits: Tensor, threshold: float) -> Tensor:
    informative = logits > threshold
    poor = (x * logits.sigmoid()).masked_fill(informative, 0)
    return torch.where(informative, x, poor) + torch.cat(poor.chunk(2, dim=1)[::-1], dim=1)


class _Separated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, logits: Tensor, threshold: float) -> Tensor:
        ctx.save_for_backward(x, logits)
        ctx.threshold = threshold
        given = _laid_out(x, x, logits)
        y = torch.empty_like(given[0])
        _launch("separate_forward", (*given, y), threshold)
        return y.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, logits = ctx.saved_tensors
        recorded = by_torch(lambda x, logits: _by_torch(x, logits, ctx.threshold), (x, logits), gradients[0])
        if recorded is not None:
            return recorded[0], recorded[1], None
        given = _laid_out(x, x, logits, gradients[0])
        of_x, of_logits = torch.empty_like(given[0]), torch.empty_like(given[0])
        _launch("separate_backward", (*given, of_x, of_logits), ctx.threshold)
        return of_x.to(x.dtype), of_logits.to(logits.dtype), None


def _laid_out(x: Tensor, *tensors: Tensor) -> list[Tensor]:
    pixelwise = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if pixelwise else torch.contiguous_format
    return [tensor.detach().to(real(x)).contiguous(memory_format=layout) for tensor in tensors]


def _launch(name: str, tensors: tuple[Tensor, ...], threshold: float) -> None:
    x = tensors[0]
    run = (x[0].numel() if x.is_contiguous() else x.shape[1]) // 2
    items = x.numel() // (2 * run)
    small = struct.unpack("q", struct.pack("d", threshold))  # a double among whole numbers
    launch(name, items, workers(items, 8 * x.numel()), tensors, (run, *small))
