"""Normalisation and the activation behind it by their kernels, forward and backward: batch and group statistics."""

from __future__ import annotations

import math
import struct
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from yoloplug.native.use import by_torch, launch, real, workers

LANES = 16

Act = Literal["", "relu", "silu"]
_ACTS: tuple[Act, ...] = ("", "relu", "silu")


def batch_normalise(x: Tensor, gain: Tensor, shift: Tensor, eps: float, act: Act = "") -> tuple[Tensor, Tensor, Tensor]:
    """act((x - mean) / sqrt(variance + eps) * gain + shift) of the batch's own statistics.

    x: (N, c, H, W), two values a channel or more. Returns the map in x's layout, mean and (biased) variance (c,).
    """
    y, mean, variance = _Normalise.apply(x, gain, shift, 0, eps, act)
    return y, mean, variance


def group_normalise(x: Tensor, gain: Tensor, shift: Tensor, groups: int, eps: float, act: Act = "") -> Tensor:
    """The same of the statistics of each image's groups of channels: F.group_norm and the activation."""
    y: Tensor = _Normalise.apply(x, gain, shift, groups, eps, act)[0]
    return y


def _by_torch(x: Tensor, gain: Tensor, shift: Tensor, groups: int, eps: float, act: Act) -> Tensor:
    if groups:
        y = F.group_norm(x, groups, gain, shift, eps)
    else:
        y = F.batch_norm(x, None, None, gain, shift, True, 0.0, eps)
    return {"": lambda y: y, "relu": F.relu, "silu": F.silu}[act](y)


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, gain: Tensor, shift: Tensor, groups: int, eps: float, act: Act
    ) -> tuple[Tensor, Tensor, Tensor]:
        run = _Run(x, gain, shift, groups, eps, act)
        sets = (len(x), groups) if groups else (x.shape[1],)
        mean, root, variance = (run.x.new_empty(sets) for _ in range(3))
        y = torch.empty_like(run.x)
        run.launch("forward", mean, root, variance, y)
        ctx.save_for_backward(x, gain, shift, mean, root)
        ctx.settings = groups, eps, act
        ctx.mark_non_differentiable(mean, variance)
        return y.to(x.dtype), mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        x, gain, shift, mean, root = ctx.saved_tensors
        groups, eps, act = ctx.settings
        recorded = by_torch(lambda *given: _by_torch(*given, *ctx.settings), (x, gain, shift), gradients[0])
        if recorded is not None:
            return (*recorded, None, None, None)
        run = _Run(x, gain, shift, groups, eps, act)
        of_y = gradients[0].to(run.x.dtype).contiguous(memory_format=run.layout)
        of_x = torch.empty_like(run.x)
        sets = (len(x), x.shape[1]) if groups else (x.shape[1],)
        of_gain, of_shift = run.x.new_empty(sets), run.x.new_empty(sets)
        run.launch("backward", of_y, mean, root, of_x, of_gain, of_shift)
        if groups:
            of_gain, of_shift = of_gain.sum(0), of_shift.sum(0)
        return of_x.to(x.dtype), of_gain.to(gain.dtype), of_shift.to(shift.dtype), None, None, None


class _Run:
    """What both passes hand to the kernels."""

    def __init__(self, x: Tensor, gain: Tensor, shift: Tensor, groups: int, eps: float, act: Act) -> None:
        n, c, h, w = x.shape
        pixelwise = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
        self.layout = torch.channels_last if pixelwise else torch.contiguous_format
        kind = real(x)
        self.x = x.detach().to(kind).contiguous(memory_format=self.layout)
        self.affine = [t.detach().to(kind).contiguous() for t in (gain, shift)]
        row = math.lcm(c, LANES)  # of a pixelwise map, kernels/normalise.c
        parts = n * max(groups, 1) if groups or not pixelwise else row // LANES if row == c else 1
        self.threads = workers(parts, 8 * x.numel())
        places = -(-row // LANES // self.threads) * LANES
        self.items = (n if pixelwise else n * groups) if groups else (-(-row // places) if pixelwise else c)
        self.room = self.x.new_empty(self.threads, 5 * row)
        small = struct.unpack("q", struct.pack("d", eps))  # a double among whole numbers
        self.sizes = (n, c, h * w, groups, int(pixelwise), _ACTS.index(act), places, row, *small)

    def launch(self, name: str, *tensors: Tensor) -> None:
        given = (self.x, *self.affine, *tensors, self.room)
        launch(f"normalise_{name}", self.items, self.threads, given, self.sizes)
