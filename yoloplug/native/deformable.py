"""Sampling at predicted places by its kernels, and the deformable convolutions and aggregations built on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from yoloplug.native.use import by_torch, launch, real, workers

LANES = 16
_COLUMNS = 1 << 18
"""Samples of a convolution that are held at once, about: they stay in the cache between sampling and multiplying."""

Size2 = tuple[int, int]


def deform_aggregate(
    value: Tensor,
    across: Tensor,
    down: Tensor,
    weights: Tensor,
    taps: tuple[list[float], list[float]],
    scale: float,
    operation: Callable[..., Tensor],
) -> Tensor:
    """`yoloplug.blocks`' deform_aggregate: value (N, c, H, W); across, down, weights (N, groups, taps, H, W).

    taps: rows and columns of all taps relative to the pixel, before `scale`. operation: the same of the four tensors
    by torch. Returns (N, c, H, W) in channels_last.
    """
    y: Tensor = _Aggregate.apply(value, across, down, weights, taps, scale, operation)
    return y.permute(0, 3, 1, 2)


class _Aggregate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        value: Tensor,
        across: Tensor,
        down: Tensor,
        weights: Tensor,
        taps: tuple[list[float], list[float]],
        scale: float,
        operation: Callable[..., Tensor],
    ) -> Tensor:
        ctx.save_for_backward(value, across, down, weights)
        ctx.taps, ctx.scale, ctx.operation = taps, scale, operation
        n, c, h, w = value.shape
        sampler = _Sampler(value, down, across, weights, taps, scale, (1, 1), summed=True)
        y = sampler.x.new_empty(n, h, w, c)
        sampler.forward(y, 0, n, 0, h)
        return y.to(value.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        value, across, down, weights = ctx.saved_tensors
        recorded = by_torch(
            lambda *given: ctx.operation(*given).permute(0, 2, 3, 1), (value, across, down, weights), gradients[0]
        )
        if recorded is not None:
            return (*recorded, None, None, None)
        sampler = _Sampler(value, down, across, weights, ctx.taps, ctx.scale, (1, 1), summed=True)
        wanted = ctx.needs_input_grad
        sampler.want(wanted[0], wanted[2], wanted[1], wanted[3])
        of_y = gradients[0].to(sampler.x.dtype).contiguous()
        sampler.backward(of_y, 0, len(value), 0, value.shape[2])
        of_x, of_down, of_across, of_weights = sampler.gradients()
        return (of_x, of_across, of_down, of_weights, None, None, None)


def deform_conv2d(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mask: Tensor | None,
    settings: tuple[Size2, Size2, Size2, int],
    operation: Callable[..., Tensor],
) -> Tensor:
    """`yoloplug.blocks.deform_conv2d`, not grouped; settings: its stride, padding, dilation and offset_groups.

    operation: the same of the five tensors and these by torch. The backward pass samples again instead of keeping nine
    maps. The layout of the result is that of x. Under autocast it multiplies, and answers, in autocast's type.
    """
    kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else weight.dtype
    with torch.autocast("cpu", enabled=False):
        y: Tensor = _Convolution.apply(x, offset, weight, bias, mask, settings, kind, operation)
    return y


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        offset: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        mask: Tensor | None,
        settings: tuple[Size2, Size2, Size2, int],
        kind: torch.dtype,
        operation: Callable[..., Tensor],
    ) -> Tensor:
        ctx.save_for_backward(x, offset, weight, bias, mask)
        ctx.settings, ctx.kind, ctx.operation = settings, kind, operation
        sampler, matrix = _sampler_of(x, offset, weight, mask, settings), _matrix(weight, kind)
        (n, _, high, wide), c2 = offset.shape, len(weight)
        y = torch.empty(n, c2, high, wide, dtype=kind, memory_format=_layout(x))
        for image, first, last in sampler.parts():
            columns = sampler.columns(image, first, last).to(kind)
            if y.is_contiguous():
                y[image, :, first:last] = (matrix @ columns.t()).view(c2, last - first, wide)
            else:
                y[image, :, first:last] = (columns @ matrix.t()).view(last - first, wide, c2).permute(2, 0, 1)
        return y if bias is None else y.add_(bias.to(kind)[:, None, None])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        x, offset, weight, bias, mask = ctx.saved_tensors
        recorded = by_torch(
            lambda *given: ctx.operation(*given, ctx.settings), (x, offset, weight, bias, mask), gradients[0]
        )
        if recorded is not None:
            return (*recorded, None, None, None)
        wanted = ctx.needs_input_grad
        with torch.autocast("cpu", enabled=False):
            sampler, matrix = _sampler_of(x, offset, weight, mask, ctx.settings), _matrix(weight, ctx.kind)
            sampler.want(wanted[0], wanted[1], wanted[1], wanted[4])
            of_matrix = sampler.x.new_zeros(matrix.shape) if wanted[2] else None
            of_y = gradients[0].to(ctx.kind)
            for image, first, last in sampler.parts():
                rows = of_y[image, :, first:last].reshape(len(weight), -1)
                if of_matrix is not None:
                    of_matrix += rows @ sampler.columns(image, first, last).to(ctx.kind)
                if wanted[0] or wanted[1] or wanted[4]:
                    sampler.backward((rows.t() @ matrix).to(sampler.x.dtype), image, 1, first, last)
            of_x, of_down, of_across, of_mask = sampler.gradients()
        of_offset = of_weight = of_bias = None
        if of_down is not None and of_across is not None:
            of_offset = torch.stack([of_down, of_across], 3).flatten(1, 3)
        if of_matrix is not None:
            c2, depth, kh, kw = weight.shape
            of_weight = of_matrix.view(c2, kh, kw, depth).permute(0, 3, 1, 2).to(weight.dtype)
        if bias is not None and wanted[3]:
            of_bias = of_y.sum((0, 2, 3), dtype=sampler.x.dtype).to(bias.dtype)
        return of_x, of_offset, of_weight, of_bias, None if of_mask is None else of_mask.flatten(1, 2), None, None, None


def _sampler_of(
    x: Tensor, offset: Tensor, weight: Tensor, mask: Tensor | None, settings: tuple[Size2, Size2, Size2, int]
) -> _Sampler:
    stride, padding, dilation, groups = settings
    kh, kw = weight.shape[2:]
    moved = offset.unflatten(1, (groups, kh * kw, 2))
    taps = (
        [float(row * dilation[0] - padding[0]) for row in range(kh) for _ in range(kw)],
        [float(column * dilation[1] - padding[1]) for _ in range(kh) for column in range(kw)],
    )
    modulation = None if mask is None else mask.unflatten(1, (groups, kh * kw))
    return _Sampler(x, moved[:, :, :, 0], moved[:, :, :, 1], modulation, taps, 1.0, stride, summed=False)


def _matrix(weight: Tensor, kind: torch.dtype) -> Tensor:
    """(c2, kh * kw * c1), as the samples of one place lie."""
    return weight.permute(0, 2, 3, 1).reshape(len(weight), -1).to(kind)


def _layout(x: Tensor) -> torch.memory_format:
    pixelwise = not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if pixelwise else torch.contiguous_format


class _Sampler:
    """A map, where it is sampled, and the gradients of both. down, across, modulation: (N, groups, taps, H', W')."""

    def __init__(
        self,
        x: Tensor,
        down: Tensor,
        across: Tensor,
        modulation: Tensor | None,
        taps: tuple[list[float], list[float]],
        scale: float,
        stride: Size2,
        summed: bool,
    ) -> None:
        self.given = (x, down, across, modulation)
        self.kind = real(x)
        self.x = x.detach().permute(0, 2, 3, 1).to(self.kind).contiguous()
        self.places = [None if t is None else t.detach().to(self.kind) for t in (down, across, modulation)]
        n, groups, count, self.high, self.wide = down.shape
        self.groups, self.taps, self.channels = groups, count, x.shape[1] // groups
        rows, columns = ([scale * tap for tap in along] for along in taps)
        self.table = torch.tensor([*rows, *columns, scale], dtype=self.kind)
        h, w = x.shape[2:]
        self.numbers = (n, groups, self.channels, h, w, self.high, self.wide, count, *stride, int(summed))
        self.strides = [s for t in self.places for s in ((0,) * 5 if t is None else t.stride())]
        self.shape = down.shape
        self.wanted: tuple[bool, ...] = (False,) * 4

    def parts(self) -> Iterator[tuple[int, int, int]]:
        """Image, first and last row of what a convolution takes at once."""
        rows = max(1, min(self.high, _COLUMNS // (self.wide * self.taps * self.channels * self.groups)))
        for image in range(self.shape[0]):
            for first in range(0, self.high, rows):
                yield image, first, min(self.high, first + rows)

    def columns(self, image: int, first: int, last: int) -> Tensor:
        """Samples of rows [first, last) of an image: (places, taps * c)."""
        y = self.x.new_empty((last - first) * self.wide, self.taps * self.channels * self.groups)
        self.forward(y, image, 1, first, last)
        return y

    def forward(self, y: Tensor, image: int, images: int, first: int, last: int) -> None:
        items = images * (last - first)
        threads = workers(items, 4 * items * self.wide * self.taps * self.channels * self.groups)
        tensors = (self.x, *self.places, self.table, self.x.new_empty(threads, self.channels), y)
        launch("deformable_forward", items, threads, tensors, self._sizes(image, first, last, 1))

    def want(self, *wanted: bool) -> None:
        """Make room for the gradients of x, down, across and modulation."""
        given = zip(wanted, self.given, strict=True)
        self.wanted = tuple(want and tensor is not None for want, tensor in given)
        self.split = max(1, min(-(-torch.get_num_threads() // self.groups), self.channels // LANES))
        of_x = torch.zeros_like(self.x) if self.wanted[0] else None
        self.made = [of_x, *(self.x.new_empty(self.split, *self.shape) if want else None for want in self.wanted[1:])]

    def backward(self, of_y: Tensor, image: int, images: int, first: int, last: int) -> None:
        items = images * self.groups * self.split
        threads = workers(items, 12 * images * (last - first) * self.wide * self.taps * self.channels * self.groups)
        room = self.x.new_empty(threads, self.channels + 4 * LANES * LANES)
        tensors = (self.x, *self.places, self.table, room, of_y, *self.made)
        launch("deformable_backward", items, threads, tensors, self._sizes(image, first, last, self.split))

    def gradients(self) -> list[Tensor | None]:
        """Of x, down, across and modulation, in their types; None where not wanted."""
        of_x, *others = self.made
        summed = [of_x.permute(0, 3, 1, 2) if of_x is not None else None]
        summed += [None if t is None else t[0] if len(t) == 1 else t.sum(0) for t in others]
        given = zip(summed, self.given, strict=True)
        return [None if made is None or t is None else made.to(t.dtype) for made, t in given]

    def _sizes(self, image: int, first: int, last: int, split: int) -> tuple[int, ...]:
        return (*self.numbers, image, first, last, split, *self.strides)
