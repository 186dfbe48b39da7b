"""ACBlock equals ACNet's recorded tensors, with every padding, and its recorded fused kernel."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from yoloplug.blocks import ACBlock

CASES = [
    ("acb_k3", {}),
    ("acb_k5", {"k": 5}),
    ("acb_k3_p2", {"padding": 2}),
    ("acb_k5_p1_crop", {"k": 5, "padding": 1}),
]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_equals_reference(golden, name, options):
    golden(name).check(ACBlock(16, 12, **options))


@pytest.mark.parametrize(("name", "options"), CASES)
def test_fused_kernel_is_the_references(golden, name, options):
    record, module = golden(name), ACBlock(16, 12, **options).double().eval()
    module.load_state_dict(record.state())
    conv = module.to_conv()
    torch.testing.assert_close(conv.weight, record["fused/weight"], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(conv.bias, record["fused/bias"], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(conv(record["x"]), record["y"], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("options", [{"d": 2}, {"k": 5, "d": 3, "s": 2}, {"d": 2, "padding": 1}, {"g": 4}, {"k": 1}])
def test_one_convolution_with_any_options(randomise_norms, options):
    module = ACBlock(16, 12, **options).double().eval()
    randomise_norms(module)
    x = torch.randn(2, 16, 15, 17, dtype=torch.float64)
    torch.testing.assert_close(module.to_conv()(x), module(x), rtol=1e-10, atol=1e-10)


def test_is_the_papers_sum_of_three_kernels(randomise_norms):
    """Each branch written as a k x k convolution that is zero off its column or row."""
    module = ACBlock(3, 4, d=2).double().eval()
    randomise_norms(module)
    x = torch.randn(1, 3, 9, 8, dtype=torch.float64)
    vertical = F.pad(module.ver_conv.weight, (1, 1))
    horizontal = F.pad(module.hor_conv.weight, (0, 0, 1, 1))
    expected = sum(
        bn(F.conv2d(x, weight, padding=2, dilation=2))
        for weight, bn in (
            (module.square_conv.weight, module.square_bn),
            (vertical, module.ver_bn),
            (horizontal, module.hor_bn),
        )
    )
    torch.testing.assert_close(module(x), expected)


def test_fusing_leaves_the_block_as_it_was(randomise_norms):
    module = ACBlock(3, 4).eval()
    randomise_norms(module)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    conv = module.to_conv()
    with torch.no_grad():
        conv.weight.zero_()
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


def test_gamma_scales_the_start():
    x = torch.randn(4, 8, 9, 9)
    torch.manual_seed(0)
    full = ACBlock(8, 8).train()(x)
    torch.manual_seed(0)
    torch.testing.assert_close(ACBlock(8, 8, gamma=1 / 3).train()(x), full / 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((8, 8, 4), "k must be odd and positive, got 4; use 5"),
        ((8, 12, 3, 1, 3), r"ACBlock: g=3 must divide c1=8 and c2=12; use g from \[1, 2, 4\]"),
        ((8, 8, 3, 0), "ACBlock: c1, c2, s must be at least 1, got c1=8, c2=8, s=0"),
        ((8, 8, 3, 1, 1, 0), "ACBlock: d must be at least 1 and padding at least 0, got d=0, padding=None"),
        ((8, 8, 3, 1, 1, 1, -1), "got d=1, padding=-1"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        ACBlock(*arguments)
