"""The local filter by its kernels, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from yoloplug.native.use import by_torch, launch, real, workers

LANES = 16
_CACHED = 1 << 16
"""Numbers of x that one item keeps in the cache, about."""

Settings = tuple[int, int, int, Literal["mul", "add"]]
ByTorch = Callable[[Tensor, Tensor, Tensor | None, Settings], Tensor]


def local_filter(x: Tensor, filters: Tensor, gains: Tensor | None, settings: Settings, operation: ByTorch) -> Tensor:
    """`yoloplug.blocks.local_filter` of x (N, c, H, W), filters (N, groups, k * k, H', W') and gains (N, c, k * k).

    settings: k, s, d and how gains combine. operation: the same by torch, for derivatives of the backward pass.
    A map in channels_last gives one in channels_last.
    """
    pixelwise = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    y: Tensor = _LocalFilter.apply(x, filters, gains, settings, operation)
    return y.contiguous(memory_format=torch.channels_last) if pixelwise else y


class _LocalFilter(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, filters: Tensor, gains: Tensor | None, settings: Settings, operation: ByTorch
    ) -> Tensor:
        ctx.save_for_backward(x, filters, gains)
        ctx.settings, ctx.operation = settings, operation
        given = _contiguous(x, filters, gains)
        n, _, _, high, wide = filters.shape
        y = given[0].new_empty(n, x.shape[1], high, wide)
        run = _Run(x, filters, gains, settings, high)
        run.launch("forward", (*given, y))
        return y.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        x, filters, gains = ctx.saved_tensors
        recorded = by_torch(lambda *given: ctx.operation(*given, ctx.settings), (x, filters, gains), gradients[0])
        if recorded is not None:
            return (*recorded, None, None)
        of_x = of_filters = of_gains = None
        given = _contiguous(x, filters, gains)
        (of_y,) = _contiguous(gradients[0].to(real(x)))
        if ctx.needs_input_grad[0]:
            run = _Run(x, filters, gains, ctx.settings, x.shape[2])
            made = torch.empty_like(given[0])
            run.launch("backward_map", (of_y, *given[1:], made))
            of_x = made.to(x.dtype)
        if any(ctx.needs_input_grad[1:3]):
            run = _Run(x, filters, gains, ctx.settings, filters.shape[3])
            made = torch.empty_like(given[1])
            sums = None if gains is None else made.new_empty(run.items, x.shape[1] // filters.shape[1], gains.shape[2])
            run.launch("backward_filters", (*given, of_y), (made, sums))
            of_filters = made.to(filters.dtype)
            if gains is not None and sums is not None:
                by_rows = sums.unflatten(0, (len(x), filters.shape[1], -1))
                of_gains = by_rows.sum(2).reshape(gains.shape).to(gains.dtype)
        return of_x, of_filters, of_gains, None, None


class _Run:
    """Items of `rows` rows each of one of the two maps, and room for each thread's."""

    def __init__(self, x: Tensor, filters: Tensor, gains: Tensor | None, settings: Settings, height: int) -> None:
        (n, c, h, w), (_, groups, taps, high, wide) = x.shape, filters.shape
        k, s, d, combine = settings
        channels, reach, whole = c // groups, (k - 1) * d // s, -(-wide // LANES) * LANES
        line = whole + 2 * reach + LANES
        rows = max(1, min(8, height, _CACHED // (channels * s * line) - (k - 1) * d))
        cached = channels * max(((rows - 1) * s + (k - 1) * d + 1) * s, (rows + (k - 1) * d) // s + 1) * line
        self.room = cached + taps * line + channels * (whole + (taps + 1) * LANES)
        self.items = n * groups * -(-height // rows)
        self.threads = workers(self.items, n * c * high * wide * taps)
        mode = 0 if gains is None else 1 + ("mul", "add").index(combine)
        self.sizes = (n, groups, channels, h, w, high, wide, k, s, d, mode, rows, self.room)

    def launch(self, name: str, given: tuple[Tensor | None, ...], made: tuple[Tensor | None, ...] = ()) -> None:
        assert given[0] is not None
        room = given[0].new_empty(self.threads, self.room)
        launch(f"local_filter_{name}", self.items, self.threads, (*given, room, *made), self.sizes)


def _contiguous(*tensors: Tensor | None) -> list[Any]:
    return [None if x is None else x.detach().to(real(x)).contiguous() for x in tensors]
