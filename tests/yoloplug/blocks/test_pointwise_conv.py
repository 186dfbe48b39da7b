"""PointwiseConv with BatchNorm and SiLU, as a host has it, equals the recorded tensors before and after folding."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from yoloplug.blocks import PointwiseConv
from yoloplug.blocks.parts.folding.batch_norm import bn_affine


def test_equals_reference_and_folds_to_the_recorded_kernel(golden):
    record = golden("conv1x1_bn_silu")
    host = nn.Sequential(PointwiseConv(16, 24), nn.BatchNorm2d(24), nn.SiLU())
    record.check(host)
    host.load_state_dict(record.state())
    conv, norm, act = host.eval()
    conv.fold_affine(*(value.detach() for value in bn_affine(norm)))
    torch.testing.assert_close(conv.weight, record["fused/weight"])
    torch.testing.assert_close(conv.bias, record["fused/bias"])
    torch.testing.assert_close(act(conv(record["x"])), record["y"])


def test_is_a_matrix_at_every_pixel_whatever_k():
    module = PointwiseConv(6, 4, k=3, bias=True).double()
    x = torch.randn(1, 6, 3, 5, dtype=torch.float64)
    for row in range(3):
        for column in range(5):
            expected = module.weight[..., 0, 0] @ x[0, :, row, column] + module.bias
            torch.testing.assert_close(module(x)[0, :, row, column], expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((16, 24, 1, 1, 3), r"PointwiseConv: g=3 must divide c1=16 and c2=24; use g from \[1, 2, 4, 8\]"),
        ((16, 24, 0), "must be at least 1, got c1=16, c2=24, k=0"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        PointwiseConv(*arguments)
