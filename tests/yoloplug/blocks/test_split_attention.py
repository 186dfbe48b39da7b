"""SplitAttention equals ResNeSt's recorded tensors."""

from __future__ import annotations

import pytest
import torch
from timm.layers import SplitAttn

from yoloplug.blocks import SplitAttention


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("splat_r1", SplitAttention(16, 16, radix=1)),
        ("splat_r2", SplitAttention(16, 16)),
        ("splat_r4_nobn", SplitAttention(16, 16, s=2, radix=4, norm=False)),
    ],
)
def test_equals_reference(golden, name, module):
    golden(name).check(module)


def test_groups_equal_timm(randomise_norms):
    """Cardinal groups, of which no tensors are recorded: the order of the attention's channels is the delicate part."""
    reference = SplitAttn(16, 16, 3, padding=1, groups=2, radix=2, rd_channels=16, norm_layer=torch.nn.BatchNorm2d)
    randomise_norms(reference.double().eval())
    module = SplitAttention(16, 16, groups=2).double().eval()
    module.load_state_dict(reference.state_dict())
    x = torch.randn(2, 16, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(module(x), reference(x), rtol=1e-9, atol=1e-12)


def test_weights_of_the_parts_sum_to_one():
    module = SplitAttention(8, 4, radix=4).eval()
    module.conv = torch.nn.Conv2d(8, 16, 1, groups=4)
    torch.nn.init.ones_(module.conv.bias)
    torch.nn.init.zeros_(module.conv.weight)
    y = module(torch.randn(1, 8, 5, 6))
    torch.testing.assert_close(y, torch.full((1, 4, 5, 6), float(1 / (1 + 1e-5) ** 0.5)))


def test_one_image_trains_as_its_running_statistics_say():
    module, x = SplitAttention(8, 8).train(), torch.randn(1, 8, 5, 6)
    before = module.bn1.running_mean.clone()
    assert module(x).isfinite().all() and torch.equal(module.bn1.running_mean, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c1": 18, "c2": 16, "radix": 4}, r"radix\*groups=4 must divide c1=18; use radix\*groups from"),
        ({"c1": 18, "c2": 16, "groups": 3}, r"groups=3 must divide c2=16 and hidden=32; use groups from \[1, 2"),
        ({"c1": 16, "c2": 16, "radix": 0}, "at least 1, got .*radix=0"),
        ({"c1": 16, "c2": 16, "k": 4}, "k must be odd"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        SplitAttention(**arguments)
