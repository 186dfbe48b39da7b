"""The selective scan by its kernel, forward and backward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from yoloplug.native.use import launch, real, workers

LANES, STEPS = 16, 32
"""Features of one item (kernels/simd.h), and steps between kept states."""


def selective_scan(u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """(N, K, L, E) like u: `segplug.models.scsegamba.scan.selective_scan`, whose arguments these are."""
    k, length = u.shape[1:3]
    rows = torch.arange(k * length).reshape(k, length)
    return scan_paths(u.flatten(1, 2), delta, a, b, c, d, rows, rows).unflatten(1, (k, length))


def scan_paths(
    x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, source: Tensor, target: Tensor
) -> Tensor:
    """Scan K sequences of rows of x and add what they give to rows of the result, without copies of either.

    x: (N, R, E). source, target: (K, L) int64, which row each step reads and adds to. delta: (N, L, E). a: (E, S).
    b: (N, K, L, S). c: (N, L, S). d: (E,). Returns (N, R, E).
    """
    kind = torch.result_type(x, delta)
    y: Tensor = _Scan.apply(*(t.to(real(t)) for t in (x, delta, a, b, c, d)), source, target)
    return y.to(kind)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, source: Tensor, target: Tensor
    ) -> Tensor:
        given = tuple(t.contiguous() for t in (x, delta, a.t(), b, c, d, source, target))
        items, blocks, sizes = _sizes(given)
        k, _, _, s = sizes[:4]
        threads = workers(items, 3 * b.numel() * x.shape[2])
        y, starts, states = torch.zeros_like(given[0]), None, k * s * LANES
        if any(ctx.needs_input_grad):
            starts = x.new_empty(items, -(-source.shape[1] // STEPS), states)
        scratch = x.new_empty(threads, blocks * (states + s * LANES))
        launch("selective_scan_forward", items, threads, (*given, starts, scratch, y), sizes)
        if starts is not None:
            ctx.save_for_backward(*given, starts)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        *given, starts = ctx.saved_tensors
        x, delta, _, b, c, _ = given[:6]
        items, blocks, sizes = _sizes(given)
        k, _, e, s = sizes[:4]
        states = k * s * LANES
        threads = workers(items, 8 * b.numel() * e)
        kept, once = states + (2 * s + 1) * LANES, (STEPS + 2) * states + (STEPS + 1) * s * LANES
        scratch = x.new_empty(threads, blocks * kept + once)
        of_x, of_delta = torch.zeros_like(x), torch.empty_like(delta)
        of_rates, of_d = x.new_empty(len(x), s, e), x.new_empty(len(x), e)
        of_b, of_c = x.new_zeros(threads, *b.shape), x.new_zeros(threads, *c.shape)
        of_y = gradients[0].to(x.dtype).contiguous()
        made = (of_x, of_delta, of_rates, of_b, of_c, of_d)
        launch("selective_scan_backward", items, threads, (*given, starts, scratch, of_y, *made), sizes)
        return of_x, of_delta, of_rates.sum(0).t(), of_b.sum(0), of_c.sum(0), of_d.sum(0), None, None


def _sizes(given: tuple[Tensor, ...] | list[Tensor]) -> tuple[int, int, tuple[int, ...]]:
    """Items, blocks of 16 features, and the whole numbers that the kernels take."""
    x, rates, source = given[0], given[2], given[6]
    (n, rows, e), (k, length) = x.shape, source.shape
    blocks = -(-e // LANES)
    return n * blocks, blocks, (k, length, e, len(rates), rows, rows, STEPS, n)
