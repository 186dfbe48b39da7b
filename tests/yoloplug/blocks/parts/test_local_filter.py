"""The operation behind the filters that differ by pixel, against a loop over pixels, and its own backward pass."""

from __future__ import annotations

import pytest
import torch

from yoloplug.blocks import local_filter
from yoloplug.blocks.parts.filters.local_filter import _forward


def naive(x, filters, k, s, d, gains, combine):
    n, c, h, w = x.shape
    filters = filters.unflatten(1, (-1, k * k))
    groups, (high, wide) = filters.shape[1], filters.shape[3:]
    y = torch.zeros(n, c, high, wide, dtype=x.dtype)
    for channel in range(c):
        weights = filters[:, channel // (c // groups)]
        if gains is not None:
            gain = gains[:, channel, :, None, None]
            weights = weights * gain if combine == "mul" else weights + gain
        for row in range(high):
            for column in range(wide):
                for tap in range(k * k):
                    i = row * s + (tap // k - k // 2) * d
                    j = column * s + (tap % k - k // 2) * d
                    if 0 <= i < h and 0 <= j < w:
                        y[:, channel, row, column] += weights[:, tap, row, column] * x[:, channel, i, j]
    return y


def given(k=3, s=1, groups=2, with_gains=True):
    x = torch.randn(2, 4, 5, 6, dtype=torch.float64, requires_grad=True)
    filters = torch.randn(2, groups * k * k, -(-5 // s), -(-6 // s), dtype=torch.float64, requires_grad=True)
    gains = torch.randn(2, 4, k * k, dtype=torch.float64, requires_grad=True) if with_gains else None
    return x, filters, gains


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(("k", "s", "d"), [(3, 1, 1), (3, 2, 1), (5, 1, 1), (3, 1, 2)])
@pytest.mark.parametrize(("with_gains", "combine"), [(False, "mul"), (True, "mul"), (True, "add")])
def test_equals_a_loop_over_pixels(k, s, d, with_gains, combine):
    x, filters, gains = given(k, s, with_gains=with_gains)
    torch.testing.assert_close(
        local_filter(x, filters, k, s, d, gains, combine), naive(x, filters, k, s, d, gains, combine)
    )


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(("s", "combine", "with_gains"), [(1, "mul", True), (2, "add", True), (2, "mul", False)])
def test_backward_pass_is_the_derivative(s, combine, with_gains):
    """The written backward pass against autograd over the loop, and its own derivative against differences."""
    inputs = [tensor for tensor in given(3, s, with_gains=with_gains) if tensor is not None]

    def ours(x, filters, gains=None):
        return local_filter(x, filters, 3, s, 1, gains, combine)

    def loop(x, filters, gains=None):
        return _forward(x, filters.unflatten(1, (-1, 9)), gains, (3, s, 1, combine))

    cotangent = torch.randn_like(ours(*inputs))
    written = torch.autograd.grad(ours(*inputs), inputs, cotangent)
    recorded = torch.autograd.grad(loop(*inputs), inputs, cotangent)
    for a, b in zip(written, recorded, strict=True):
        torch.testing.assert_close(a, b)
    small = [tensor[:1, ..., :2].detach().clone().requires_grad_() for tensor in inputs[:2]]
    if s == 1 and combine == "mul":
        assert torch.autograd.gradgradcheck(lambda x, f: local_filter(x, f, 3), small, fast_mode=True)


@pytest.mark.usefixtures("either_way")
def test_only_what_asks_for_a_gradient_gets_one():
    x, filters, _ = given()
    local_filter(x.detach(), filters, 3).sum().backward()
    assert x.grad is None and filters.grad is not None


def test_a_map_smaller_than_the_window():
    x, filters = torch.randn(1, 2, 1, 2), torch.randn(1, 49, 1, 2)
    torch.testing.assert_close(local_filter(x, filters, 7), naive(x, filters, 7, 1, 1, None, "mul"))
