"""SeparableConv equals both recorded implementations and the one dense convolution that it stands for."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from yoloplug.blocks import SeparableConv


@pytest.mark.parametrize(
    ("name", "module"), [("sepconv_xception", SeparableConv(16, 24)), ("dwsep_bias", SeparableConv(16, 24, bias=True))]
)
def test_equals_reference_and_its_dense_kernel(golden, name, module):
    record = golden(name)
    record.check(module)
    kernel = module.pointwise.weight * module.conv1.weight.transpose(0, 1)
    torch.testing.assert_close(kernel, record["fused/weight"])
    bias = None
    if module.conv1.bias is not None:
        bias = module.pointwise.bias + module.pointwise.weight[..., 0, 0] @ module.conv1.bias
    torch.testing.assert_close(F.conv2d(record["x"], kernel, bias, padding=1), record["y"])


def test_dilation_widens_the_view():
    x = torch.zeros(1, 4, 9, 9, requires_grad=True)
    SeparableConv(4, 4, d=3)(x)[0, 0, 4, 4].backward()
    assert x.grad[0, 0].nonzero().unique().tolist() == [1, 4, 7]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 8), "SeparableConv: c1, c2, s must be at least 1, got c1=0"),
        ((8, 8, 2), "k must be odd"),
        ((8, 8, 3, 1, 0), "dilation"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        SeparableConv(*arguments)
