"""GhostModule equals GhostNet's and GhostNetV2's recorded tensors."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from yoloplug.blocks import GhostModule


@pytest.mark.parametrize(
    ("name", "module"),
    [("ghostmodule", GhostModule(16, 24, 1)), ("ghostmodulev2_attn", GhostModule(16, 16, 1, attention=True))],
)
def test_equals_reference(golden, name, module):
    golden(name).check(module)


def test_ghosts_are_filters_of_the_first_features():
    module = GhostModule(6, 10, ratio=4).eval()  # 3 channels by convolution, 3 filters of each, 2 of 12 cut
    x = torch.randn(1, 6, 7, 9)
    y, primary = module(x), module.primary_conv(x)
    assert y.shape == (1, 10, 7, 9) and torch.equal(y[:, :3], primary)
    weight = module.cheap_operation[0].weight
    for ghost in range(7):
        source = primary[:, ghost // 3 : ghost // 3 + 1]
        expected = F.conv2d(source, weight[ghost : ghost + 1], padding=1).relu() / (1 + 1e-5) ** 0.5
        torch.testing.assert_close(y[:, 3 + ghost : 4 + ghost], expected)


def test_linear_form_has_no_relu():
    assert not any(isinstance(m, nn.ReLU) for m in GhostModule(8, 8, relu=False).modules())
    assert (GhostModule(8, 8, relu=False)(torch.randn(2, 8, 5, 5)) < 0).any()


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (2, 3), (7, 9), (33, 47)])
@pytest.mark.parametrize("s", [1, 2])
def test_attention_at_any_size(size, s):
    module = GhostModule(8, 12, s=s, attention=True).eval()
    y = module(torch.randn(2, 8, *size))
    assert y.shape == (2, 12, *(-(-n // s) for n in size)) and y.isfinite().all()


def test_attention_of_one_pixel_sees_a_cross_of_the_half_map():
    module = GhostModule(4, 4, 1, attention=True).double().eval()
    x = torch.randn(1, 4, 24, 24, dtype=torch.float64, requires_grad=True)
    module.short_conv(F.avg_pool2d(x, 2))[0, 0, 6, 6].backward()
    seen = (x.grad[0] != 0).any(0)
    assert seen[8:18, 8:18].all() and seen.sum() == 100  # 5 x 5 of the pooled pixels


def test_attention_costs_as_the_formula_says():
    from yoloplug.cost.flops import count_flops, count_parameters

    module, x = GhostModule(8, 12, attention=True), torch.randn(1, 8, 13, 17)
    plain = GhostModule(8, 12)
    assert count_parameters(module) - count_parameters(plain) == 12 * (9 * 8 + 16)
    assert count_flops(module, x).flops - count_flops(plain, x).flops == 2 * 6 * 8 * 12 * (9 * 8 + 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((8, 8, 3, 1, 1), "GhostModule: ratio must be at least 2 and at most c2=8, got 1"),
        ((8, 8, 3, 1, 9), "at most c2=8, got 9"),
        ((8, 8, 2), "k must be odd and positive, got 2; use 3"),
        ((8, 8, 3, 1, 2, 4), "k must be odd and positive, got 4; use 5"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        GhostModule(*arguments)
