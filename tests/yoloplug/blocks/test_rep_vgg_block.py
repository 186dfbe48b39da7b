"""RepVGGBlock and RepVGGSEBlock equal RepVGG's recorded tensors and its recorded fused kernels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from yoloplug.blocks import RepVGGBlock, RepVGGSEBlock
from yoloplug.blocks.parts.folding.batch_norm import fold_norms


class Activated(RepVGGBlock):
    """The published block ends in ReLU, which the hosts add here."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


class ActivatedSE(RepVGGSEBlock):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("repvgg_id", Activated(16, 16)),
        ("repvgg_s2", Activated(16, 24, s=2)),
        ("repvgg_se", ActivatedSE(32, 32)),
    ],
)
def test_equals_reference(golden, name, module):
    golden(name).check(module)


@pytest.mark.parametrize(
    ("name", "block"), [("repvgg_id", RepVGGBlock(16, 16)), ("repvgg_s2", RepVGGBlock(16, 24, s=2))]
)
def test_fused_kernel_is_the_references(golden, name, block):
    record = golden(name)
    block.double().load_state_dict(record.state())
    conv = block.to_conv()
    torch.testing.assert_close(conv.weight, record["fused/weight"], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(conv.bias, record["fused/bias"], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(conv(record["x"]).relu(), record["y"], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("options", [{"g": 4}, {"g": 16}, {"k": 5}, {"k": 1}, {"k": 5, "s": 2, "g": 2}])
def test_one_convolution_with_any_options(randomise_norms, options):
    module = RepVGGBlock(16, 16, **options).double().eval()
    randomise_norms(module)
    x = torch.randn(2, 16, 9, 11, dtype=torch.float64)
    torch.testing.assert_close(module.to_conv()(x), module(x), rtol=1e-10, atol=1e-10)


def test_identity_branch_only_where_the_input_fits():
    assert RepVGGBlock(16, 16).rbr_identity is not None
    assert RepVGGBlock(16, 24).rbr_identity is None
    assert RepVGGBlock(16, 16, s=2).rbr_identity is None


def test_se_gate_after_the_merged_convolution(golden, randomise_norms):
    """Any input shape; fused once or twice it is one convolution and the gate."""
    module = RepVGGSEBlock(16, 16).double().eval()
    randomise_norms(module)
    x = torch.randn(2, 16, 7, 12, dtype=torch.float64)
    expected = module(x)
    fold_norms(module)
    fold_norms(module)
    assert [type(m) for m in module.modules()].count(nn.Conv2d) == 3  # the merged one and two 1x1 on one pixel
    assert not any(isinstance(m, nn.BatchNorm2d) for m in module.modules())
    torch.testing.assert_close(module(x), expected, rtol=1e-10, atol=1e-10)
    record, published = golden("repvgg_se"), RepVGGSEBlock(32, 32).double().eval()
    published.load_state_dict(RepVGGSEBlock.convert_reference(record.state()))
    fold_norms(published)
    torch.testing.assert_close(published.branches.weight, record["fused/weight"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("block", [RepVGGBlock, RepVGGSEBlock])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((8, 8, 2), "k must be odd and positive, got 2; use 3"),
        ((8, 12, 3, 1, 8), r"RepVGGBlock: g=8 must divide c1=8 and c2=12; use g from \[1, 2, 4\]"),
        ((0, 8), "RepVGGBlock: c1, c2, s must be at least 1, got c1=0"),
    ],
)
def test_refuses(block, arguments, message):
    with pytest.raises(ValueError, match=message):
        block(*arguments)
