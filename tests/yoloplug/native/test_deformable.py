"""The kernels of sampling equal torch's operations: convolutions v1 and v2, aggregation v3 and v4; all gradients."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor

from yoloplug.blocks import DCNv2, deform_conv2d
from yoloplug.blocks.parts.deformable.aggregate import deform_aggregate
from yoloplug.native import deformable

SIZES = [(5, 6), (9, 33), (1, 1)]
CONVOLUTIONS = [(1, 3, 3, 1, 1), (2, 16, 3, 2, 2), (1, 64, 1, 1, 1), (3, 20, 5, 1, 1)]
"""offset groups, channels of one, k, s, d"""
AGGREGATIONS = [(1, 3, 3, 1, 1.0, False), (4, 16, 3, 2, 0.75, True), (2, 36, 5, 1, 2.0, False)]
"""groups, channels of one, k, d, scale, remove_center"""


def places(*shape: int) -> Tensor:
    """Offsets of any size, sixteenths off the pixels: at a pixel the gradient jumps, and float32 may fall on either
    side of it."""
    return torch.randint(-40, 40, shape) / 16 + 1 / 32


def convolution(groups: int, channels: int, k: int, s: int, d: int, size: tuple[int, int]) -> list[Tensor]:
    """x, offset, weight, mask, bias"""
    p = k // 2 * d
    h, w = ((length + 2 * p - d * (k - 1) - 1) // s + 1 for length in size)
    x, taps = torch.randn(2, groups * channels, *size), groups * k * k
    mask, bias = torch.rand(2, taps, h, w), torch.randn(7)
    return [x, places(2, 2 * taps, h, w), torch.randn(7, groups * channels, k, k), mask, bias]


def convolve(groups: int, k: int, s: int, d: int) -> Callable[..., Tensor]:
    def run(
        x: Tensor, offset: Tensor, weight: Tensor, mask: Tensor | None = None, bias: Tensor | None = None
    ) -> Tensor:
        p = k // 2 * d
        return deform_conv2d(x, offset, weight, bias, (s, s), (p, p), (d, d), groups, mask)

    return run


def aggregation(groups: int, channels: int, taps: int, size: tuple[int, int]) -> list[Tensor]:
    """value, across, down, weights"""
    across, down = (places(2, groups, taps, *size) for _ in range(2))
    return [torch.randn(2, groups * channels, *size), across, down, torch.randn(2, groups, taps, *size)]


def with_gradients(run: Callable[..., Tensor], inputs: list[Tensor]) -> list[Tensor]:
    inputs = [x.detach().requires_grad_() for x in inputs]
    y = run(*inputs)
    weight = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).reshape(y.shape).to(y.dtype)
    return [y.detach(), *torch.autograd.grad((y * weight).sum(), inputs)]


def assert_alike(run: Callable[..., Tensor], inputs: list[Tensor], case: object) -> None:
    """float32 by kernels against float64 by torch, to 1e-5 of the largest value."""
    exact = with_gradients(run, [x.double() for x in inputs])
    for value, expected in zip(with_gradients(run, inputs), exact, strict=True):
        assert value.dtype == torch.float32
        assert (value - expected).abs().max() <= 1e-5 * expected.abs().max().clamp_min(1e-3), case


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("inputs", [3, 4, 5])
def test_convolution_equals_torch_in_float64(threads: int, inputs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without and with mask and bias; three threads share an image's rows, and the channels of its gradient."""
    monkeypatch.setattr(deformable, "workers", lambda items, operations: min(items, threads))
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    for (groups, channels, k, s, d), size in product(CONVOLUTIONS, SIZES):
        given = convolution(groups, channels, k, s, d, size)[:inputs]
        assert_alike(convolve(groups, k, s, d), given, (groups, channels, k, s, d, size))


@pytest.mark.parametrize("threads", [1, 3])
def test_aggregation_equals_torch_in_float64(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deformable, "workers", lambda items, operations: min(items, threads))
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    for (groups, channels, k, d, scale, remove_center), size in product(AGGREGATIONS, SIZES):
        given = aggregation(groups, channels, k * k - remove_center, size)
        assert_alike(lambda *x: deform_aggregate(*x, k, d, scale, remove_center), given, (groups, k, d, size))  # noqa: B023


@pytest.mark.usefixtures("in_double")
def test_gradients_are_the_derivatives() -> None:
    given = [x.double().requires_grad_() for x in convolution(2, 2, 3, 1, 1, (3, 4))]
    assert "_Convolution" in str(convolve(2, 3, 1, 1)(*given).grad_fn)
    assert torch.autograd.gradcheck(convolve(2, 3, 1, 1), given)
    assert torch.autograd.gradgradcheck(convolve(2, 3, 1, 1), given, fast_mode=True)
    given = [x.double().requires_grad_() for x in aggregation(2, 2, 9, (3, 4))]
    assert torch.autograd.gradcheck(lambda *x: deform_aggregate(*x, 3, 1, 1.5, False), given)
    assert torch.autograd.gradgradcheck(lambda *x: deform_aggregate(*x, 3, 1, 1.5, False), given, fast_mode=True)


def test_bfloat16_and_autocast_answer_as_torch_does() -> None:
    given = convolution(1, 16, 3, 1, 1, (6, 7))
    run = convolve(1, 3, 1, 1)
    narrow = run(*(x.bfloat16() for x in given))
    with torch.autocast("cpu", torch.bfloat16):
        cast = run(*given)
    for y, expected in ((narrow, run(given[0], given[1].bfloat16().float(), *given[2:])), (cast, run(*given))):
        assert y.dtype == torch.bfloat16
        torch.testing.assert_close(y.float(), expected, rtol=0.03, atol=0.03 * float(expected.abs().max()))
    module, x = DCNv2(16, 8).train(), torch.randn(1, 16, 6, 7)
    with torch.autocast("cpu", torch.bfloat16):
        module(x).float().square().sum().backward()
    assert all(
        p.grad is not None and p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in module.parameters()
    )
    value, *rest = aggregation(2, 8, 9, (5, 6))
    interleaved = torch.stack(rest, -1).bfloat16().unbind(-1)
    y = deform_aggregate(value.bfloat16(), *interleaved, 3, 1, 1.0, False)
    assert y.dtype == torch.bfloat16
    expected = deform_aggregate(value, *(x.float() for x in interleaved), 3, 1, 1.0, False)
    torch.testing.assert_close(y.float(), expected, rtol=0.02, atol=0.2)


def test_layouts_are_kept_and_strides_do_not_matter() -> None:
    x, offset, *rest = convolution(1, 16, 3, 1, 1, (6, 7))
    run = convolve(1, 3, 1, 1)
    expected = run(x, offset, *rest)
    assert expected.is_contiguous()
    pixelwise = [t.contiguous(memory_format=torch.channels_last) for t in (x, offset)]
    y = run(*pixelwise, *rest)
    assert y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y, expected)
    strided = [t.transpose(0, 3).contiguous().transpose(0, 3) for t in (x, offset)]
    torch.testing.assert_close(run(*strided, *rest), expected)


def test_what_is_not_finite_reaches_its_samples_only() -> None:
    """Nothing outside the map is multiplied with it; a place that is no number gives none."""
    for value in (torch.nan, torch.inf):
        x, offset, weight, *_ = convolution(1, 16, 3, 1, 1, (6, 7))
        x[0, 3, 0, 0] = value
        y = deform_conv2d(x, offset, weight, None, padding=(1, 1))
        exact = deform_conv2d(x.double(), offset.double(), weight.double()[:, :, :, :], None, padding=(1, 1))
        assert torch.equal(y.isfinite(), exact.isfinite()) and 0 < (~y.isfinite()).sum() < y.numel()
        value_map, across, down, weights = aggregation(2, 16, 9, (5, 6))
        across[1, 0, 4, 2, 3] = value
        y = deform_aggregate(value_map, across, down, weights, 3, 1, 1.0, False)
        assert (~y.isfinite()).nonzero()[:, [0, 2, 3]].unique(dim=0).tolist() == [[1, 2, 3]]


def test_only_the_gradients_that_are_asked_for() -> None:
    run = convolve(1, 3, 1, 1)
    full = with_gradients(run, convolution(1, 16, 3, 1, 1, (5, 6)))
    torch.manual_seed(0)
    for wanted in range(5):
        torch.manual_seed(0)
        given = [x.requires_grad_(i == wanted) for i, x in enumerate(convolution(1, 16, 3, 1, 1, (5, 6)))]
        run(*given).sum().backward()
        assert [x.grad is not None for x in given] == [i == wanted for i in range(5)]
    assert len(full) == 6


def test_the_backward_pass_keeps_no_sampled_maps() -> None:
    """Saved is what was given: nine maps more were kept before."""
    saved: list[int] = []
    given = [x.requires_grad_() for x in convolution(1, 64, 3, 1, 1, (9, 33))]
    with torch.autograd.graph.saved_tensors_hooks(lambda x: (saved.append(x.numel()), x)[1], lambda x: x):
        convolve(1, 3, 1, 1)(*given)
    assert sum(saved) == sum(x.numel() for x in given)
