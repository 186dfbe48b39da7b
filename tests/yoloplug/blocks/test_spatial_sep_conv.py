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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((8, 8, 3, 1, 0), "SpatialSepConv: c1, c2, s, mid must be at least 1, .*mid=0"),
        ((8, 8, 4), "k must be odd"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        SpatialSepConv(*arguments)
