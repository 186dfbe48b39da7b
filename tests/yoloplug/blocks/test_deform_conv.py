"""DCNv1 and DCNv2 equal mmcv's packs, their operation equals torchvision's."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch.nn import functional as F

from yoloplug.blocks import DCNv1, DCNv2, deform_conv2d
from yoloplug.blocks.parts.deformable import deform_conv2d as deform_op
from yoloplug.cost.flops import count_flops
from yoloplug.registry import BLOCKS


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(("name", "module"), [("dcnv1_pack", DCNv1(16, 12)), ("dcnv2_pack", DCNv2(16, 12, bias=True))])
def test_equals_reference(golden, name, module):
    golden(name).check(module)


class Operation(torch.nn.Module):
    """The bare operation with given offsets, as the recorded torchvision module."""

    def __init__(self, c1, c2, k, **options):
        super().__init__()
        self.weight, self.bias = torch.nn.Parameter(torch.zeros(c2, c1, *k)), torch.nn.Parameter(torch.zeros(c2))
        self.options = options

    def forward(self, x, offset, mask=None):
        return deform_conv2d(x, offset, self.weight, self.bias, mask=mask, **self.options)


@pytest.mark.parametrize("operation", ["by_kernel", "by_sampling", "by_bags"])
def test_operation_equals_reference(golden, monkeypatch, operation):
    """All ways: the kernel serves CUDA tensors, bags wide maps on a CPU, sampling the rest."""
    monkeypatch.setattr(deform_op, "by_kernel", getattr(deform_op, operation))
    monkeypatch.setattr(deform_op, "by_sampling", getattr(deform_op, operation))
    check_operation(golden)


@pytest.mark.usefixtures("in_double")
def test_c_kernels_equal_reference(golden):
    check_operation(golden)


def check_operation(golden):
    golden("dcnv1_op").check(Operation(16, 12, (3, 3), padding=(1, 1)), "x", "offset")
    golden("dcnv2_op").check(Operation(16, 12, (3, 3), padding=(1, 1)), "x", "offset", "mask")
    uneven = Operation(8, 8, (5, 3), stride=(2, 1), padding=(2, 1))
    golden("dcnv2_op_k53").check(uneven, "x", "offset", "mask")


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(("stride", "dilation", "groups", "offset_groups"), [(1, 1, 1, 1), (2, 2, 2, 4), (2, 1, 1, 4)])
def test_operation_equals_torchvision_far_outside_the_map(stride, dilation, groups, offset_groups):
    x = torch.randn(2, 8, 11, 14, dtype=torch.float64)
    weight, bias = torch.randn(6, 8 // groups, 3, 3, dtype=torch.float64), torch.randn(6, dtype=torch.float64)
    h, w = F.conv2d(x, weight, None, stride, dilation, dilation, groups).shape[-2:]
    offset = 6 * torch.randn(2, 18 * offset_groups, h, w, dtype=torch.float64)
    mask = torch.rand(2, 9 * offset_groups, h, w, dtype=torch.float64)
    pairs = [(value, value) for value in (stride, dilation, dilation)]
    ours = deform_conv2d(x, offset, weight, bias, *pairs, offset_groups, mask)
    theirs = torchvision.ops.deform_conv2d(x, offset, weight, bias, *pairs, mask)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("block", "offset_groups", "c1"), [(DCNv1, 1, 64), (DCNv2, 1, 64), (DCNv2, 2, 128)])
def test_wide_maps_equal_torchvision_in_training(monkeypatch, block, offset_groups, c1):
    """On a CPU they take the way by bags: output and every gradient, with samples far outside the map."""
    module = block(c1, 6, s=2, d=2, offset_groups=offset_groups, bias=True).double()
    torch.nn.init.normal_(module.conv_offset.weight, std=0.1)
    x, results = torch.randn(2, c1, 9, 12, dtype=torch.float64), []
    used = []
    for name in ("by_bags", "by_kernel"):
        monkeypatch.setattr(deform_op, "by_bags", lambda *args, name=name: (used.append(name), ways[name](*args))[1])
        given = x.clone().requires_grad_()
        y = module(given)
        results.append([y, *torch.autograd.grad(y.square().sum(), [given, *module.parameters()])])
    assert used == ["by_bags", "by_kernel"]
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


ways = {name: getattr(deform_op, name) for name in ("by_bags", "by_kernel")}


def test_offsets_that_are_not_numbers_give_no_number_there():
    """A training that diverges shows it in its loss, as with the other ways, instead of failing on an index."""
    x, offset, weight = torch.randn(1, 64, 5, 5), torch.zeros(1, 18, 5, 5), torch.randn(2, 64, 3, 3)
    offset[0, 0, 2, 2] = torch.nan
    y = deform_conv2d(x, offset, weight, padding=(1, 1))
    assert y[:, :, 2, 2].isnan().all() and y.isnan().sum() == 2


@pytest.mark.parametrize("c", [32, 64])
def test_counted_work_does_not_depend_on_the_way(c):
    given = {"c1": c, "c2": 8, "k": 3, "g": 1, "offset_groups": 1, "P": 5 * 7}
    flops = count_flops(DCNv2(c, 8), torch.randn(1, c, 5, 7)).flops
    assert flops == 2 * eval(BLOCKS["DCNv2"].macs, given)


@pytest.mark.parametrize(("block", "factor"), [(DCNv1, 1.0), (DCNv2, 0.5)])
def test_starts_as_a_plain_convolution(block, factor):
    """With the predictor at zero v1 is the convolution with its weight, v2 half of it (every mask is sigmoid(0))."""
    module = block(8, 6, k=3, s=2, g=2, d=2)
    x = torch.randn(2, 8, 13, 15)
    torch.testing.assert_close(module(x), factor * F.conv2d(x, module.weight, None, 2, 2, 2, 2))


def test_kernel_takes_half_precision_under_autocast():
    """torchvision's CPU kernel knows no bfloat16: the maps are widened for it, and the result comes back narrow."""
    module = DCNv2(4, 6).bfloat16()
    x, offset, mask = torch.randn(1, 4, 5, 6), torch.randn(1, 18, 5, 6), torch.rand(1, 9, 5, 6)
    narrow = [tensor.bfloat16() for tensor in (x, offset, module.weight)]
    pairs = [(1, 1)] * 3
    with torch.autocast("cpu", torch.bfloat16):
        kernel = deform_op.by_kernel(*narrow, None, mask.bfloat16(), deform_op.Taps(*pairs, 1))
        sampling = deform_op.by_sampling(*narrow, None, mask.bfloat16(), deform_op.Taps(*pairs, 1))
    assert kernel.dtype == sampling.dtype == torch.bfloat16
    torch.testing.assert_close(kernel, sampling, rtol=0.02, atol=0.02)


def test_whole_pixel_offsets_shift_the_input():
    module = DCNv1(4, 4).double()
    x = torch.randn(1, 4, 9, 9, dtype=torch.float64)
    with torch.no_grad():
        module.conv_offset.bias[0::2] = 1  # dy
        module.conv_offset.bias[1::2] = -2  # dx
    shifted = torch.zeros_like(x)
    shifted[..., :-1, 2:] = x[..., 1:, :-2]
    inside = (..., slice(1, -2), slice(3, -1))  # the outermost taps see the border's zeros differently
    torch.testing.assert_close(module(x)[inside], F.conv2d(shifted, module.weight, None, 1, 1)[inside])


def test_offset_groups_move_their_channels_only():
    module = DCNv1(4, 4, offset_groups=2).double()
    x = torch.randn(1, 4, 9, 9, dtype=torch.float64)
    with torch.no_grad():
        module.weight[:, 2:] = 0
        before = module(x)
        module.conv_offset.bias[18:] = 0.5
        torch.testing.assert_close(module(x), before)
        module.conv_offset.bias[:18] = 0.5
        assert not torch.allclose(module(x), before)


@pytest.mark.parametrize("block", [DCNv1, DCNv2])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c1": 8, "c2": 6, "g": 4}, "g=4 must divide c1=8 and c2=6"),
        ({"c1": 8, "c2": 8, "offset_groups": 3}, "offset_groups=3 must divide c1=8"),
        ({"c1": 8, "c2": 8, "k": 2}, "k must be odd and positive, got 2; use 3"),
        ({"c1": 8, "c2": 8, "d": 0}, "must be at least 1, got 0"),
        ({"c1": 8, "c2": 0}, "c2=0"),
        ({"c1": 8, "c2": 8, "s": 0}, "s=0"),
    ],
)
def test_refuses(block, arguments, message):
    with pytest.raises(ValueError, match=message):
        block(**arguments)
