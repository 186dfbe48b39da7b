"""SpatialSepConv equals the recorded pair of convolutions and the one k x k convolution that it stands for."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from yoloplug.blocks import SpatialSepConv


def test_equals_reference_and_its_dense_kernel(golden):
    record, module = golden("spatialsep_k5"), SpatialSepConv(16, 24, 5, mid=12, bias=True)
    record.check(module)
    kernel = torch.einsum("omx,miy->oiyx", module.horizontal.weight[:, :, 0], module.vertical.weight[..., 0])
    torch.testing.assert_close(kernel, record["fused/weight"])
    torch.testing.assert_close(F.conv2d(record["x"], kernel, module.horizontal.bias, padding=2), record["y"])


def test_stride_two_is_every_second_pixel_of_stride_one():
    module = SpatialSepConv(4, 6, s=2).double()
    plain = SpatialSepConv(4, 6).double()
    plain.load_state_dict(module.state_dict())
    x = torch.randn(1, 4, 7, 10, dtype=torch.float64)
    torch.testing.assert_close(module(x), plain(x)[..., ::2, ::2])


@pytest.mark.parametrize("c", [6, 12])
def test_groups_up_to_the_factorised_depthwise_convolution(c):
    """g=c: one k x k kernel of rank 1 a channel, from 2k weights; between, groups of the dense form."""
    module = SpatialSepConv(12, 12, 5, g=c).double()
    assert sum(p.numel() for p in module.parameters()) == 2 * 5 * 12 * 12 // c
    x = torch.randn(2, 12, 9, 11, dtype=torch.float64)
    vertical, horizontal = (p.unflatten(0, (c, 12 // c)) for p in module.parameters())
    kernel = torch.einsum("gomx,gmiy->goiyx", horizontal[..., 0, :], vertical[..., 0]).flatten(0, 1)
    torch.testing.assert_close(module(x), F.conv2d(x, kernel, padding=2, groups=c))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((8, 8, 3, 1, 6, False, 4), "SpatialSepConv: g=4 must divide c1=8 and mid=6 and c2=8; use g from"),
        ((8, 8, 3, 1, 0), "SpatialSepConv: c1, c2, s, mid must be at least 1, .*mid=0"),
        ((8, 8, 4), "k must be odd"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        SpatialSepConv(*arguments)
