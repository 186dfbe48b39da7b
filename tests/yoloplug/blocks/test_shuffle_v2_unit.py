"""ShuffleV2Unit equals torchvision's InvertedResidual: recorded at stride 1, run beside it at stride 2."""

from __future__ import annotations

import pytest
import torch
from torchvision.models.shufflenetv2 import InvertedResidual

from yoloplug.blocks import ShuffleV2Unit


def test_equals_reference(golden):
    golden("shufflenetv2_s1").check(ShuffleV2Unit(16, 16))


@pytest.mark.parametrize(("c1", "c2"), [(16, 24), (16, 16), (24, 16)])
def test_equals_torchvision_at_stride_two(c1, c2, randomise_norms):
    theirs, ours = InvertedResidual(c1, c2, 2).double(), ShuffleV2Unit(c1, c2, s=2).double()
    randomise_norms(theirs)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    for training in (False, True):
        x = torch.randn(2, c1, 13, 10, dtype=torch.float64)
        torch.testing.assert_close(ours.train(training)(x), theirs.train(training)(x))
    for value, expected in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        torch.testing.assert_close(value, expected)


def test_half_of_the_channels_passes_through():
    x = torch.randn(1, 8, 5, 6)
    assert torch.equal(ShuffleV2Unit(8, 8)(x)[:, ::2], x[:, :4])


def test_a_changed_width_at_stride_one_uses_both_branches():
    module = ShuffleV2Unit(8, 12).eval()
    y = module(x := torch.randn(1, 8, 5, 6))
    assert torch.equal(y[:, ::2], module.branch1(x)) and torch.equal(y[:, 1::2], module.branch2(x))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((16, 17), "ShuffleV2Unit: c2=17 must be even, it is made of two halves; use 18"),
        ((16, 0), "must be at least 1, got c1=16, c2=0, s=1"),
        ((16, 16, 4), "k must be odd"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        ShuffleV2Unit(*arguments)
