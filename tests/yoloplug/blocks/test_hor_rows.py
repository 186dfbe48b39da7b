"""HorStem and HorDownsample: HorNet's layers between stages, at any size."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from yoloplug.blocks import HorDownsample, HorStem


def test_where_the_stride_divides_the_size_nothing_is_padded(measured):
    stem, down = HorStem(3, 8).double(), HorDownsample(8, 16).double()
    x = torch.randn(2, 3, 32, 48, dtype=torch.float64)
    conv, norm = stem
    y = F.conv2d(x, conv.weight, conv.bias, stride=4)
    y = F.layer_norm(y.permute(0, 2, 3, 1), (8,), norm.weight, norm.bias, 1e-6).permute(0, 3, 1, 2)
    torch.testing.assert_close(stem(x), y)
    norm, conv = down
    z = F.layer_norm(y.permute(0, 2, 3, 1), (8,), norm.weight, norm.bias, 1e-6).permute(0, 3, 1, 2)
    z = F.conv2d(z, conv.weight, conv.bias, stride=2)
    torch.testing.assert_close(down(y), z)
    for name, value, expected in (("HorStem", stem(x), y), ("HorDownsample", down(y), z)):
        error = (value - expected).abs().max() / expected.abs().max()
        measured("parity", name, "torch's conv2d and layer_norm", error)


@pytest.mark.parametrize(("k", "s"), [(4, 4), (2, 2), (3, 1), (3, 2), (5, 3), (7, 4)])
@pytest.mark.parametrize("size", [(7, 9), (12, 13), (1, 2)])
def test_other_sizes_get_zeros_at_the_end(k, s, size):
    stem, x = HorStem(3, 4, k, s), torch.randn(1, 3, *size)
    out = [-(-length // s) for length in size]
    before = (k - s) // 2
    padded = torch.zeros(1, 3, *[(o - 1) * s + k + before for o in out])
    padded[..., before : before + size[0], before : before + size[1]] = x
    expected = F.conv2d(padded, stem[0].weight, stem[0].bias, stride=s)[..., : out[0], : out[1]]
    torch.testing.assert_close(stem[0](x), expected)
    assert stem(x).shape == (1, 4, *out)


@pytest.mark.parametrize("block", [HorStem, HorDownsample])
@pytest.mark.parametrize("arguments", [(8, 8, 2, 4), (0, 8), (8, 0), (8, 8, 2, 0)])
def test_refuses(block, arguments):
    with pytest.raises(ValueError, match=r"at least 1|k=2 with s=4 would skip pixels; use k >= 4"):
        block(*arguments)
