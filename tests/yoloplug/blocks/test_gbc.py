"""BottConv and GBC equal SCSegamba's recorded tensors."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from yoloplug.blocks import GBC, BottConv, GroupNorm


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("bottconv_k3", BottConv(16, 24, mid=4)),
        ("bottconv_k1", BottConv(16, 24, k=1, mid=4)),
        ("gbc_gn16", GBC(16)),
        ("gbc_in8", GBC(8, norm="IN")),
        ("gbc_in16_n1", GBC(16, norm="IN")),
    ],
)
def test_equals_reference(golden, name, module):
    golden(name).check(module)


def test_bott_conv_is_linear_in_disguise():
    """k=1: one 1x1 convolution. k=3: one 3x3 convolution away from the border, where the padding follows the bias."""
    x = torch.randn(1, 6, 8, 9, dtype=torch.float64)
    for k in (1, 3):
        module = BottConv(6, 5, k=k, mid=3).double()
        down, middle, up = (
            module.pointwise_1.weight[..., 0, 0],
            module.depthwise.weight[:, 0],
            module.pointwise_2.weight,
        )
        weight = torch.einsum("om,mhw,mi->oihw", up[..., 0, 0], middle, down)
        bias = up[..., 0, 0] @ (middle.sum((1, 2)) * module.pointwise_1.bias)
        merged = F.conv2d(x, weight, bias, padding=k // 2)
        inside = (..., slice(k // 2, 8 - k // 2), slice(k // 2, 9 - k // 2))
        torch.testing.assert_close(module(x)[inside], merged[inside])


@pytest.mark.parametrize("c", [16, 64])
def test_parameter_count_is_the_published_one(c):
    assert sum(p.numel() for p in GBC(c).parameters()) == c**2 + 11 * c


@pytest.mark.parametrize(
    ("c", "groups", "last"), [(16, 1, 16), (256, 16, 16), (8, 1, 8), (24, 1, 12), (40, 2, 20), (48, 3, 16), (17, 1, 17)]
)
def test_groups_are_published_ones_or_the_nearest_valid(c, groups, last):
    module = GBC(c)
    assert [block[1].num_groups for block in (module.block1, module.block2, module.block3)] == [groups] * 3
    assert module.block4[1].num_groups == last
    assert module(torch.randn(2, c, 5, 6)).isfinite().all()


def test_sigmoid_gate_bounds_the_gate():
    module = GBC(16, gate="sigmoid")
    gate = module.block3(3 * torch.randn(2, 16, 5, 6))
    assert 0 < gate.min() and gate.max() < 1


def test_zero_init_is_the_identity_and_still_learns():
    module = GBC(16, zero_init=True)
    x = torch.randn(2, 16, 5, 6)
    assert torch.equal(module(x), x)
    (module(x) * torch.randn_like(x)).sum().backward()
    assert (module.gain.weight.grad != 0).all()


@pytest.mark.parametrize("norm", ["GN", "IN"])
def test_one_pixel_at_batch_one_equals_that_pixel_in_a_batch(norm):
    module = GBC(16, norm=norm).train()
    x = torch.randn(2, 16, 1, 1)
    torch.testing.assert_close(module(x[:1]), module(x)[:1])


def test_group_norm_equals_pytorchs_where_that_runs():
    ours, stock = GroupNorm(4, 16), nn.GroupNorm(4, 16)
    x = torch.randn(2, 16, 5, 6)
    assert torch.equal(ours(x), stock(x))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c": 4}, "c=4 is too narrow, its bottleneck is c // 8 wide; use c >= 8"),
        ({"c": 16, "norm": "BN"}, r"norm must be one of \('GN', 'IN'\), got 'BN'"),
        ({"c": 16, "gate": "relu"}, r"gate must be one of \('product', 'sigmoid'\), got 'relu'"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        GBC(**arguments)


@pytest.mark.parametrize("arguments", [(0, 8), (8, 0), (8, 8, 3, 0), (8, 8, 3, 1, 0), (8, 8, 4)])
def test_bott_conv_refuses(arguments):
    with pytest.raises(ValueError, match=r"at least 1|k must be odd"):
        BottConv(*arguments)
