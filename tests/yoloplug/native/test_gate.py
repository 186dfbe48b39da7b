"""Gated features by the kernel equal torch's, and GatedConv stands back for whoever watches its gate."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks import GatedConv
from yoloplug.blocks.parts.watch import watching
from yoloplug.native import library
from yoloplug.native.gate import gated

LAYOUTS = (torch.contiguous_format, torch.channels_last)


def by_torch(z: Tensor, elu: bool) -> Tensor:
    features, gate = z.chunk(2, dim=1)
    return (F.elu(features) if elu else features) * gate.sigmoid()


@pytest.mark.parametrize("elu", [True, False])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", [(2, 6, 5, 7), (3, 64, 4, 4), (1, 2, 1, 1), (2, 34, 9, 3)])
def test_equals_torch_in_float64(
    shape: tuple[int, ...], layout: torch.memory_format, elu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yoloplug.native.gate.workers", lambda items, operations: min(items, 3))
    z = (4 * torch.randn(shape)).contiguous(memory_format=layout).requires_grad_()
    exact = z.detach().double().requires_grad_()
    y, expected = gated(z, elu), by_torch(exact, elu)
    cotangent = torch.randn(expected.shape)
    torch.testing.assert_close(y.double(), expected, rtol=1e-6, atol=1e-7)
    (of_z,), (of_exact,) = (
        torch.autograd.grad(y, z, cotangent),
        torch.autograd.grad(expected, exact, cotangent.double()),
    )
    torch.testing.assert_close(of_z.double(), of_exact, rtol=3e-6, atol=1e-6)
    assert y.is_contiguous(memory_format=layout)


def test_elu_is_exact_near_zero() -> None:
    f = -torch.logspace(-30, 1.5, 4096).reshape(1, 1, 64, 64)
    y = gated(torch.cat([f, torch.full_like(f, 40)], 1), True)
    torch.testing.assert_close(y.double(), torch.expm1(f.double()), rtol=5e-7, atol=0)


@pytest.mark.usefixtures("in_double")
@pytest.mark.parametrize("elu", [True, False])
def test_gradients_are_the_derivatives(elu: bool) -> None:
    z = torch.randn(2, 6, 3, 2).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda z: gated(z, elu), z)
    assert torch.autograd.gradgradcheck(lambda z: gated(z, elu), z, fast_mode=True)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinity_pass_as_by_torch(bad: float) -> None:
    z = torch.randn(1, 4, 3, 3)
    z[0, 1, 1, 1] = z[0, 2, 0, 0] = bad
    torch.testing.assert_close(gated(z, True), by_torch(z, True), equal_nan=True)


def test_gated_conv_takes_it_unless_its_gate_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    if not library.available():
        pytest.skip(str(library.status()))
    calls, call = [], library.call
    monkeypatch.setattr(library, "call", lambda name, *rest: (calls.append(name), call(name, *rest))[1])
    x, seen = torch.randn(2, 8, 9, 9), []
    for block in (GatedConv(8, 8), GatedConv(8, 8, gate_first=True), GatedConv(8, 8, act=nn.LeakyReLU)):
        calls.clear()
        y = block(x)
        assert calls == ([] if isinstance(block.act, nn.LeakyReLU) else ["gate_forward"])
        with watching(lambda block, name, value: seen.append(name)):
            torch.testing.assert_close(block(x), y, rtol=1e-5, atol=1e-6)
    assert seen == ["gate"] * 3
