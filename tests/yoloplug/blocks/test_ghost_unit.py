"""GhostUnit equals GhostNet's recorded bottleneck; its parts that no record covers follow the paper's formula."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from yoloplug.blocks import GhostUnit
from yoloplug.blocks.ghost_unit import _multiple_of_four
from yoloplug.blocks.parts.folding.batch_norm import fold_norms


def test_equals_reference(golden):
    golden("ghostbottleneck_s1").check(GhostUnit(16, 16, expand=1.5))


def test_stride_two_with_gate_is_the_papers_chain(randomise_norms):
    unit = GhostUnit(8, 12, 5, 2, se=0.25).double().eval()
    randomise_norms(unit)
    x = torch.randn(2, 8, 9, 12, dtype=torch.float64)
    inner = unit.bn_dw(unit.conv_dw(unit.ghost1(x)))
    mean = inner.mean((2, 3))
    hidden = (mean @ unit.se.conv_reduce.weight[..., 0, 0].T + unit.se.conv_reduce.bias).relu()
    gate = hidden @ unit.se.conv_expand.weight[..., 0, 0].T + unit.se.conv_expand.bias
    gated = inner * ((gate + 3).clamp(0, 6) / 6)[..., None, None]
    torch.testing.assert_close(unit(x), unit.ghost2(gated) + unit.shortcut(x))
    assert unit(x).shape == (2, 12, 5, 6) and unit.conv_dw.kernel_size == (5, 5)


def test_state_has_the_published_names():
    names = {name.rsplit(".", 1)[0] for name in GhostUnit(8, 12, s=2, se=0.25).state_dict()}
    assert names == {
        *(f"ghost{n}.{part}.{i}" for n in (1, 2) for part in ("primary_conv", "cheap_operation") for i in (0, 1)),
        *("conv_dw", "bn_dw", "se.conv_reduce", "se.conv_expand"),
        *(f"shortcut.{i}" for i in range(4)),
    }


def test_shortcut_is_the_input_where_shapes_allow():
    x = torch.randn(1, 8, 6, 7)
    assert torch.equal(GhostUnit(8, 8).shortcut(x), x)
    assert GhostUnit(8, 12).shortcut(x).shape == (1, 12, 6, 7)


def test_every_norm_folds(randomise_norms):
    unit = GhostUnit(8, 12, s=2, se=0.25).double().eval()
    randomise_norms(unit)
    x = torch.randn(2, 8, 9, 12, dtype=torch.float64)
    expected = unit(x)
    fold_norms(unit)
    fold_norms(unit)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in unit.modules())
    torch.testing.assert_close(unit(x), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("width", "expected"), [(1, 4), (4, 4), (5.9, 8), (6, 8), (10, 12), (13.3, 12), (40, 40)])
def test_width_of_the_gate(width, expected):
    assert _multiple_of_four(width) == expected


def test_gate_trains_at_batch_one():
    unit = GhostUnit(8, 8, s=2, se=0.25).train()
    unit(torch.randn(1, 8, 9, 7)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in unit.parameters())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"expand": 0.1}, r"int\(expand\*c1\) and c2 must be at least 2, got 0 \(expand=0.1, c1=8\) and c2=8"),
        ({"c2": 1}, "got 24 .* and c2=1"),
        ({"k": 2, "s": 2}, "k must be odd and positive, got 2; use 3"),
        ({"k": 4}, "k must be odd and positive, got 4; use 5"),
        ({"se": -1.0}, "GhostUnit: se must be at least 0, got -1.0"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        GhostUnit(**{"c1": 8, "c2": 8} | arguments)


def test_gradients_of_the_gate_are_exact_in_float64():
    """GhostNet's relu6(x + 3) / 6; torch's hardsigmoid multiplies its gradient with a float32 sixth."""
    unit = GhostUnit(8, 12, s=2, se=0.25).double()
    gate = unit.se
    x = torch.randn(1, gate.conv_reduce.in_channels, 3, 4, dtype=torch.float64)
    gate(x).sum().backward()
    hidden = (gate.conv_reduce.weight[..., 0, 0] @ x.mean((0, 2, 3)) + gate.conv_reduce.bias).relu()
    logits = gate.conv_expand.weight[..., 0, 0] @ hidden + gate.conv_expand.bias
    expected = x.sum((0, 2, 3)) * (logits.abs() < 3) / 6
    torch.testing.assert_close(gate.conv_expand.bias.grad, expected, rtol=1e-14, atol=1e-14)
