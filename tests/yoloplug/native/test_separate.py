"""SCConv's spatial unit by the kernel equals torch's, and SRU stands back for whoever watches its gate."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from yoloplug.blocks import SRU
from yoloplug.blocks.parts.norms.group_batch_norm_2d import GroupBatchnorm2d
from yoloplug.blocks.parts.watch import watching
from yoloplug.native import library
from yoloplug.native.separate import separated

LAYOUTS = (torch.contiguous_format, torch.channels_last)


def by_definition(x: Tensor, logits: Tensor, threshold: float) -> Tensor:
    weight = logits.sigmoid()
    rich = torch.where(logits > threshold, torch.ones_like(weight), weight) * x
    poor = torch.where(logits > threshold, torch.zeros_like(weight), weight) * x
    (a, b), (c, d) = rich.chunk(2, dim=1), poor.chunk(2, dim=1)
    return torch.cat([a + d, b + c], dim=1)


@pytest.mark.parametrize("threshold", [0.0, -0.4, math.inf, -math.inf])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(2, 6, 5, 7), (3, 64, 4, 4), (1, 2, 1, 1), (2, 34, 9, 3)])
def test_equals_the_definition_in_float64(
    shape: tuple[int, ...], layout: torch.memory_format, threshold: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yoloplug.native.separate.workers", lambda items, operations: min(items, 3))
    given = [torch.randn(shape).contiguous(memory_format=layout).requires_grad_() for _ in range(2)]
    exact = [tensor.detach().double().requires_grad_() for tensor in given]
    y, expected = separated(given[0], given[1], threshold), by_definition(exact[0], exact[1], threshold)
    cotangent = torch.randn(shape)
    torch.testing.assert_close(y.double(), expected, rtol=1e-6, atol=1e-6)
    assert y.is_contiguous(memory_format=layout)
    found, wanted = torch.autograd.grad(y, given, cotangent), torch.autograd.grad(expected, exact, cotangent.double())
    for gradient, of_exact in zip(found, wanted, strict=True):
        torch.testing.assert_close(gradient.double(), of_exact, rtol=3e-6, atol=1e-6)


@pytest.mark.usefixtures("in_double")
def test_gradients_are_the_derivatives() -> None:
    given = [torch.randn(2, 6, 3, 2).double().requires_grad_() for _ in range(2)]
    assert torch.autograd.gradcheck(lambda x, logits: separated(x, logits, 0.1), given)
    assert torch.autograd.gradgradcheck(lambda x, logits: separated(x, logits, 0.1), given, fast_mode=True)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinity_pass_as_by_torch(bad: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """An infinite value that is informative stays out of the poor part."""
    unit, x = SRU(4, 2), torch.randn(1, 4, 3, 3)
    x[0, 1, 1, 1] = bad
    logits = torch.randn(1, 4, 3, 3)
    logits[0, 1, 1, 1] = 1
    assert torch.isfinite(separated(x, logits, 0)[0, 3, 1, 1])
    y = unit(x)
    monkeypatch.setenv("YOLOPLUG_NATIVE", "0")
    torch.testing.assert_close(y, unit(x), equal_nan=True)


def test_sru_takes_it_unless_its_gate_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    if not library.available():
        pytest.skip(str(library.status()))
    calls, call = [], library.call
    monkeypatch.setattr(library, "call", lambda name, *rest: (calls.append(name), call(name, *rest))[1])
    x, seen = torch.randn(2, 8, 9, 9), []
    for unit in (SRU(8, 2), SRU(8, 2, gate="hard"), SRU(8, 2, norm=GroupBatchnorm2d)):
        calls.clear()
        y = unit(x)
        taken = type(unit.gn).__name__ == "GroupNorm" and unit.gate == "soft"
        assert calls == ["normalise_forward", "separate_forward"] * taken
        with watching(lambda block, name, value: seen.append(name)):
            torch.testing.assert_close(unit(x), y, rtol=1e-5, atol=1e-6)
    assert seen == ["gate", "informative"] * 3
