"""HetConv equals both recorded implementations and the paper's loop over filters; its zeros stay zero."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from yoloplug.blocks import HetConv


def test_equals_reference(golden):
    golden("hetconv_p4").check(HetConv(16, 24, masked=False))


def test_shifted_form_equals_the_published_literal_one(golden):
    """That code has one pair of convolutions for each filter, and no recorded gradients."""
    record, module = golden("hetconv_v2_p4"), HetConv(16, 8, shifted=True, bias=True).double()
    module.load_state_dict(module.convert_reference(record.state()), strict=True)
    with torch.no_grad():
        error = float((module(record["x"]) - record["y"]).abs().max() / record["y"].abs().max())
    assert error <= 1e-9
    record.note(module, record.name, error)


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize(("p", "s"), [(2, 1), (4, 2)])
def test_is_the_papers_loop_over_filters(shifted, p, s):
    """Filter o: one k x k kernel on each input channel of its set, one 1x1 kernel on each other."""
    c1, c2 = 8, 12
    module = HetConv(c1, c2, 3, s, p, shifted=shifted).double()
    x = torch.randn(1, c1, 7, 9, dtype=torch.float64)
    for o in range(c2):
        total = torch.zeros(1, 1, -(-7 // s), -(-9 // s), dtype=torch.float64)
        row = (o % p) * (c2 // p) + o // p if shifted else o
        used = 0
        for i in range(c1):
            if (i - o) % p == 0 if shifted else i // (c1 // p) == o // (c2 // p):
                total += F.conv2d(x[:, i : i + 1], module.gwc.weight[row, used].reshape(1, 1, 3, 3), None, s, 1)
                used += 1
            else:
                total += F.conv2d(x[:, i : i + 1], module.pwc.weight[o, i].reshape(1, 1, 1, 1), None, s)
        assert used == c1 // p
        torch.testing.assert_close(module(x)[:, o : o + 1], total)


def test_published_dense_kernel(golden):
    """The grouped kernels in a dense 3x3, the 1x1 added at its centre."""
    record = golden("hetconv_p4")
    x = record["x"]
    torch.testing.assert_close(F.conv2d(x, record["fused/weight"], padding=1), record["y"])
    module = HetConv(16, 24, masked=False).double()
    module.load_state_dict(record.state())
    kernel = torch.zeros(24, 16, 3, 3, dtype=torch.float64)
    for o in range(24):
        group = o // 6
        kernel[o, 4 * group : 4 * group + 4] = module.gwc.weight[o]
    kernel[..., 1, 1] += module.pwc.weight[..., 0, 0]
    torch.testing.assert_close(kernel, record["fused/weight"])


def test_zeros_stay_zero_under_training_and_after_loading_dense_weights():
    module = HetConv(8, 8)
    zeros = module.mask == 0
    assert zeros.sum() == 8 * 8 // 4 and not module.pwc.weight[zeros].any()
    optimiser = torch.optim.AdamW(module.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        module(torch.randn(2, 8, 5, 6)).square().sum().backward()
        optimiser.step()
    assert not module.pwc.weight[zeros].any()
    dense = HetConv(8, 8, masked=False)
    module.load_state_dict(dense.state_dict(), strict=True)
    x = torch.randn(1, 8, 5, 6)
    with torch.no_grad():
        assert not torch.allclose(module(x), dense(x))
        dense.pwc.weight[zeros] = 0
        torch.testing.assert_close(module(x), dense(x))


def test_dense_form_has_the_functions_of_the_masked_one():
    """What the 1x1 does inside the own group, the centre tap of the group convolution can do."""
    dense, masked = HetConv(8, 12, p=2, masked=False).double(), HetConv(8, 12, p=2).double()
    masked.load_state_dict(dense.state_dict())
    with torch.no_grad():
        for o in range(12):
            group = o // 6
            masked.gwc.weight[o, :, 1, 1] += dense.pwc.weight[o, 4 * group : 4 * group + 4, 0, 0]
    x = torch.randn(1, 8, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(masked(x), dense(x))


def test_shifted_form_folds_an_affine():
    module = HetConv(8, 12, shifted=True).double()
    x, scale, shift = torch.randn(1, 8, 5, 6).double(), torch.randn(12).double(), torch.randn(12).double()
    expected = module(x) * scale[:, None, None] + shift[:, None, None]
    module.fold_affine(scale, shift)
    torch.testing.assert_close(module(x), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((16, 24, 3, 1, 3), r"HetConv: p=3 must divide c1=16 and c2=24; use p from \[1, 2, 4, 8\]"),
        ((16, 24, 2), "k must be odd"),
        ((16, 0), "must be at least 1, got c1=16, c2=0"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        HetConv(*arguments)


@pytest.mark.parametrize("bias", [False, True])
def test_takes_the_weights_of_the_efficient_form(bias):
    """sxpro's Efficient_HetConv2d: conv3x3(x) + conv1x1(x) - conv1x1_(x), the first and the last in p groups."""
    c1, c2, p = 8, 12, 4
    layers = torch.nn.ModuleDict(
        {
            "conv3x3": torch.nn.Conv2d(c1, c2, 3, padding=1, groups=p, bias=bias),
            "conv1x1_": torch.nn.Conv2d(c1, c2, 1, groups=p, bias=bias),
            "conv1x1": torch.nn.Conv2d(c1, c2, 1, bias=bias),
        }
    ).double()
    module = HetConv(c1, c2, p=p, bias=bias).double()
    module.load_state_dict(HetConv.convert_reference(layers.state_dict()))
    x = torch.randn(2, c1, 7, 9, dtype=torch.float64)
    torch.testing.assert_close(module(x), layers["conv3x3"](x) + layers["conv1x1"](x) - layers["conv1x1_"](x))
