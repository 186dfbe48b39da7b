"""DOConv equals DO-Conv's recorded tensors and is a plain convolution with the product of its kernels."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from yoloplug.blocks import DOConv

CASES = [
    ("doconv", {"bias": True}),
    ("doconv_dmul20_s2", {"s": 2, "d_mul": 20}),
    ("doconv_g2", {"g": 2, "bias": True}),
    ("doconv_k1", {"k": 1, "bias": True}),
]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_equals_reference(golden, name, options):
    golden(name).check(DOConv(16, 12, **options))


@pytest.mark.parametrize(("name", "options"), CASES[:3])
def test_fused_kernel_is_the_references(golden, name, options):
    record, module = golden(name), DOConv(16, 12, **options).double()
    module.load_state_dict(record.state())
    conv = module.to_conv()
    torch.testing.assert_close(conv.weight, record["fused/weight"], rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(conv(record["x"]), record["y"], rtol=1e-12, atol=1e-12)


def test_kernel_is_the_papers_product():
    module = DOConv(3, 4, d_mul=11).double()
    torch.nn.init.normal_(module.D)
    identity = torch.zeros(9, 11, dtype=torch.float64)
    for m in range(9):
        identity[m, m] = 1
    kernel = module.kernel()
    for o in range(4):
        for i in range(3):
            torch.testing.assert_close(kernel[o, i].flatten(), (module.D[i, 0] + identity) @ module.W[o, i, 0])


def test_starts_as_the_plain_convolution_of_its_weights():
    module = DOConv(6, 8, 5, 2, 2, 2, bias=True)
    x = torch.randn(2, 6, 13, 17)
    weight = module.W.reshape(8, 3, 5, 5)
    torch.testing.assert_close(module(x), F.conv2d(x, weight, module.bias, 2, 4, 2, 2))


def test_groups_mix_inputs_as_in_the_reference():
    """g=2, 4 inputs: D[0] acts on the first input of outputs 0 and 2; that of output 2 is input 2."""
    module = DOConv(4, 4, g=2)
    start = module.kernel().detach().clone()
    with torch.no_grad():
        module.D[0].fill_(1.0)
    changed = (module.kernel() != start).flatten(2).any(2)  # (output, input within the group)
    assert changed.tolist() == [[True, False], [False, False], [True, False], [False, False]]


def test_depthwise_and_dense_pair_each_input_with_its_own_kernel():
    for g in (1, 4):
        module = DOConv(4, 4, g=g)
        start = module.kernel().detach().clone()
        with torch.no_grad():
            module.D[1].fill_(1.0)
        changed = (module.kernel() != start).flatten(2).any(2)
        expected = torch.zeros_like(changed)
        if g == 1:
            expected[:, 1] = True
        else:
            expected[1, 0] = True
        assert torch.equal(changed, expected)


def test_identity_is_constant_and_part_of_the_state():
    module = DOConv(4, 4)
    assert {"W", "D", "d_diag"} == set(module.state_dict())
    assert {"W", "D"} == {name for name, _ in module.named_parameters()}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"d_mul": 8}, r"DOConv: d_mul=8 is below k\*k=9: the output would start at 0; use 9 or more"),
        ({"k": 1, "d_mul": 4}, "DOConv: k=1 has one tap and no depthwise kernel, got d_mul=4; leave d_mul out"),
        ({"k": 4}, "k must be odd and positive, got 4; use 5"),
        ({"g": 3}, r"DOConv: g=3 must divide c1=16 and c2=12; use g from \[1, 2, 4\]"),
        ({"d": 0}, r"d \(dilation\) must be at least 1, got 0"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        DOConv(16, 12, **options)
