"""OctaveConv's layers equal the recorded tensors of three implementations, at even and odd sizes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from yoloplug.blocks import OctaveConv, OctaveConvNormAct, OctavePair
from yoloplug.blocks.parts.folding.batch_norm import fold_norms


@pytest.mark.parametrize(
    ("name", "module", "inputs"),
    [
        ("octconv", OctavePair(16, 24), ("x_h", "x_l")),
        ("octconv_first", OctavePair(16, 24, alpha_in=0), ("x",)),
        ("octconv_last", OctavePair(16, 24, alpha_out=0), ("x_h", "x_l")),
        ("octconv_cba", OctaveConvNormAct(16, 16), ("x_h", "x_l")),
        ("octconv_bc", OctavePair(16, 24, alpha_out=0.25), ("x_h", "x_l")),
        ("octconv_lxt", OctavePair(16, 24), ("x_h", "x_l")),
    ],
)
def test_equals_reference(golden, name, module, inputs):
    golden(name).check(module, *inputs)


def test_stride_two_is_the_papers_path():
    """High is pooled first; low reaches high un-pooled and not upsampled; low is pooled for low."""
    module = OctavePair(8, 12, s=2).double()
    high, low = torch.randn(2, 4, 12, 16, dtype=torch.float64), torch.randn(2, 4, 6, 8, dtype=torch.float64)
    pooled = F.avg_pool2d(high, 2)
    y_high, y_low = module(high, low)
    torch.testing.assert_close(y_high, module.conv_h2h(pooled) + module.conv_l2h(low))
    torch.testing.assert_close(y_low, module.conv_h2l(F.avg_pool2d(pooled, 2)) + module.conv_l2l(F.avg_pool2d(low, 2)))
    other = module.conv_h2h(pooled) + F.interpolate(module.conv_l2h(F.avg_pool2d(low, 2)), (6, 8))  # lxtGH's
    assert (other - y_high).abs().max() > 0.1 * y_high.abs().max()


@pytest.mark.parametrize("s", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (1, 4), (5, 2), (7, 9), (10, 13), (11, 14)])
@pytest.mark.parametrize("up", [False, True])
def test_pairs_of_any_size(s, size, up):
    """Low maps of odd parents may be rounded up or down."""
    low_size = tuple(max(1, (n + up) // 2) for n in size)
    high, low = OctavePair(8, 8, s=s)(torch.randn(1, 4, *size), torch.randn(1, 4, *low_size))
    assert high.shape[2:] == tuple(-(-n // s) for n in size)
    assert low.shape[2:] == tuple(-(-n // s) for n in low_size)


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (7, 9)])
def test_rows_of_any_size(size):
    for s in (1, 2):
        y = OctaveConv(8, 12, s=s, middle=1).eval()(torch.randn(1, 8, *size))
        assert y.shape == (1, 12, *(-(-n // s) for n in size)) and y.isfinite().all()


def test_row_is_the_chain_first_middle_last(randomise_norms):
    row = OctaveConv(8, 12, alpha=0.25, middle=2).double().eval()
    randomise_norms(row)
    x = torch.randn(1, 8, 10, 12, dtype=torch.float64)
    high = row.first.bn_h(row.first.conv.conv_h2h(x)).relu()
    low = row.first.bn_l(row.first.conv.conv_h2l(F.avg_pool2d(x, 2))).relu()
    assert (high.shape[1], low.shape[1]) == (9, 3)
    for layer in row.middle:
        conv, up = layer.conv, nn.Upsample(scale_factor=2)
        high, low = (
            layer.bn_h(conv.conv_h2h(high) + up(conv.conv_l2h(low))).relu(),
            layer.bn_l(conv.conv_l2l(low) + conv.conv_h2l(F.avg_pool2d(high, 2))).relu(),
        )
    expected = row.last.conv_h2h(high) + nn.Upsample(scale_factor=2)(row.last.conv_l2h(low))
    torch.testing.assert_close(row(x), expected)


def test_without_low_channels_it_is_a_convolution():
    module = OctavePair(6, 8, alpha_in=0, alpha_out=0)
    x = torch.randn(2, 6, 7, 9)
    high, low = module(x)
    assert low is None and torch.equal(high, module.conv_h2h(x))
    assert set(module.state_dict()) == {"conv_h2h.weight"}


def test_norms_of_the_whole_chain_fold(randomise_norms):
    row = OctaveConv(8, 12, middle=1).double().eval()
    randomise_norms(row)
    x = torch.randn(2, 8, 9, 11, dtype=torch.float64)
    expected = row(x)
    fold_norms(row)
    fold_norms(row)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in row.modules())
    torch.testing.assert_close(row(x), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"s": 3}, "OctaveConv: s must be 1 or 2, got 3"),
        ({"k": 2}, "k must be odd and positive, got 2; use 3"),
        ({"alpha": 0}, "OctaveConv: alpha=0 leaves no channel at half resolution; use a stock Conv"),
        ({"alpha": 1}, r"alpha must be at least 0 and below 1 \(some channels stay whole\), got 1"),
        ({"alpha": 0.1}, "OctaveConv: alpha=0.1 of c2=8 channels is less than one; use a wider c2"),
        ({"middle": -1}, "OctaveConv: middle must be at least 0, got -1"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        OctaveConv(**{"c1": 8, "c2": 8} | arguments)


def test_one_channel_at_half_resolution_and_none() -> None:
    """The narrowest that work: one channel high, one low; one channel that stays whole."""
    assert OctaveConv(1, 2)(torch.rand(2, 1, 6, 6)).shape == (2, 2, 6, 6)
    high, low = OctavePair(1, 1, alpha_in=0, alpha_out=0)(torch.rand(2, 1, 6, 6))
    assert high.shape == (2, 1, 6, 6) and low is None
