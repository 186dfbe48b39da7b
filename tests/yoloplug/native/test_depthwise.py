"""The depthwise convolution with the kernel's weight gradient equals torch's, and gnConv trains by it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks import gnConv
from yoloplug.blocks.parts.filters.depthwise import convolved
from yoloplug.native import library
from yoloplug.native.depthwise import depthwise

Given = tuple[Tensor, Tensor, Tensor | None]


def plain(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=len(weight))


def with_gradients(operation: object, inputs: list[Tensor]) -> list[Tensor]:
    inputs = [x.detach().requires_grad_() for x in inputs]
    y = operation(*inputs)  # type: ignore[operator]
    cotangent = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).reshape(y.shape).to(y.dtype)
    return [y.detach(), *torch.autograd.grad((y * cotangent).sum(), inputs)]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("k", [1, 3, 5, 7, 9, 13])
@pytest.mark.parametrize("size", [(5, 6), (17, 33), (1, 1), (20, 16)])
def test_equals_torch_in_float64(k: int, size: tuple[int, int], threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yoloplug.native.depthwise.workers", lambda items, operations: min(items, threads))
    inputs = [torch.randn(2, 5, *size), torch.randn(5, 1, k, k), torch.randn(5)]
    exact = with_gradients(plain, [x.double() for x in inputs])
    for layout in (torch.contiguous_format, torch.channels_last):
        given = [inputs[0].contiguous(memory_format=layout), *inputs[1:]]
        for value, expected in zip(with_gradients(depthwise, given), exact, strict=True):
            assert value.dtype == torch.float32
            assert (value - expected).abs().max() <= 2e-6 * expected.abs().max().clamp_min(1e-3)


@pytest.mark.usefixtures("in_double")
def test_gradients_are_the_derivatives() -> None:
    inputs = [x.double().requires_grad_() for x in (torch.randn(2, 3, 5, 4), torch.randn(3, 1, 3, 3), torch.randn(3))]
    assert torch.autograd.gradcheck(depthwise, inputs)
    assert torch.autograd.gradgradcheck(depthwise, inputs, fast_mode=True)


def test_a_slice_of_channels_and_a_frozen_weight() -> None:
    x, weight = torch.randn(2, 8, 9, 17), torch.randn(5, 1, 3, 3)
    part = x[:, 2:7].requires_grad_()
    y = depthwise(part, weight, None)
    torch.testing.assert_close(y, plain(part, weight, None))
    (of_part,) = torch.autograd.grad(y.sum(), part)
    torch.testing.assert_close(of_part, torch.autograd.grad(plain(part, weight, None).sum(), part)[0])


def test_gn_conv_trains_by_it_also_in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    if not library.available():
        pytest.skip(str(library.status()))
    torch.manual_seed(0)
    block, x = gnConv(16, 3), torch.randn(2, 16, 9, 11)
    results = []
    for native in ("1", "0"):
        monkeypatch.setenv("YOLOPLUG_NATIVE", native)
        for narrow in (False, True):
            block.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=narrow):
                y = block(x)
            assert ("Depthwise" in _graph(y)) == (native == "1")
            y.float().square().mean().backward()
            assert block.dwconv.weight.grad is not None
            results.append(block.dwconv.weight.grad.clone())
    scale = float(results[2].abs().max())
    assert (results[0] - results[2]).abs().max() <= 1e-5 * scale
    assert (results[1] - results[2]).abs().max() <= 0.05 * scale


OTHERS = {
    "stride": {"stride": 2},
    "dilation": {"dilation": 2, "padding": 2},
    "no padding": {"padding": 0},
    "reflecting": {"padding_mode": "reflect"},
    "wide": {"kernel_size": 9, "padding": 4},
    "strip": {"kernel_size": (1, 5), "padding": (0, 2)},
    "grouped": {"groups": 4},
    "two maps a channel": {"out_channels": 16},
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("k", [3, 5, 7])
def test_a_layer_is_computed_by_it_in_planes(k: int, bias: bool) -> None:
    conv, x = nn.Conv2d(8, 8, k, padding=k // 2, groups=8, bias=bias), torch.randn(2, 8, 19, 37)
    y = convolved(conv, x)
    torch.testing.assert_close(y, conv(x), rtol=1e-5, atol=1e-5)
    assert ("Depthwise" in _graph(y)) == library.available()
    with torch.no_grad():
        large = torch.randn(1, 8, 160, 163)
        torch.testing.assert_close(convolved(conv, large), conv(large), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("other", OTHERS)
def test_another_layer_is_called(other: str) -> None:
    conv = nn.Conv2d(
        **({"in_channels": 8, "out_channels": 8, "kernel_size": 3, "padding": 1, "groups": 8} | OTHERS[other])
    )
    x = torch.randn(2, 8, 9, 11)
    y = convolved(conv, x)
    assert "Depthwise" not in _graph(y)
    torch.testing.assert_close(y, conv(x))


def test_a_layer_is_called_where_torch_is_faster_or_somebody_watches() -> None:
    conv, x, seen = nn.Conv2d(8, 8, 3, padding=1, groups=8), torch.randn(2, 8, 9, 11), []
    assert "Depthwise" not in _graph(convolved(conv, x.contiguous(memory_format=torch.channels_last)))
    with torch.autocast("cpu", torch.bfloat16):
        y = convolved(conv, x)
    assert y.dtype == torch.bfloat16 and "Depthwise" not in _graph(y)
    conv.register_forward_hook(lambda *given: seen.append(given))
    assert "Depthwise" not in _graph(convolved(conv, x)) and len(seen) == 1


def _graph(y: Tensor) -> str:
    """Names of all nodes of the backward graph."""
    seen, todo = set(), [y.grad_fn]
    while todo:
        node = todo.pop()
        if node is not None and node not in seen:
            seen.add(node)
            todo += [parent for parent, _ in node.next_functions]
    return " ".join(node.name() for node in seen)
