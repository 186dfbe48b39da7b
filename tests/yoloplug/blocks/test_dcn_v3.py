"""DCNv3 equals InternImage's recorded tensors (its module is channels last)."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from yoloplug.blocks import DCNv3


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("dcnv3", DCNv3(16)),
        ("dcnv3_cfs", DCNv3(16, groups=2, center_feature_scale=True, dw_k=5, offset_scale=2.0)),
        ("dcnv3_rc_bn", DCNv3(16, remove_center=True, norm="BN", act=nn.SiLU)),
    ],
)
def test_equals_reference(golden, name, module):
    golden(name).check(module, channels_last=True)


@pytest.mark.parametrize(("d", "k"), [(1, 3), (2, 3), (1, 5)])
def test_starts_as_the_mean_of_the_window(d, k):
    """Offsets and mask logits start at zero: every pixel is the mean of its k x k window, zeros outside counted."""
    module = DCNv3(8, k=k, groups=2, d=d).double()
    x = torch.randn(1, 8, 9, 11, dtype=torch.float64)
    value = module.input_proj(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    window = torch.full((8, 1, k, k), 1 / k**2, dtype=torch.float64)
    mean = nn.functional.conv2d(value, window, padding=d * (k // 2), dilation=d, groups=8)
    torch.testing.assert_close(module(x), module.output_proj(mean.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))


def test_parameter_count_is_the_published_one():
    assert sum(p.numel() for p in DCNv3(64).parameters()) == 16108


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c": 10}, r"groups=4 must divide c=10; use groups from \[1, 2, 5, 10\]"),
        ({"c": 16, "k": 4}, "k must be odd and positive, got 4; use 5"),
        ({"c": 16, "dw_k": 2}, "k must be odd and positive, got 2; use 3"),
        ({"c": 16, "k": 1, "remove_center": True}, "remove_center leaves no tap of k=1; use k=3"),
        ({"c": 16, "norm": "GN"}, r"norm must be one of \('LN', 'BN'\), got 'GN'"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        DCNv3(**arguments)
