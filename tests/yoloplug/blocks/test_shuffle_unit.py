"""ShuffleUnit equals jaxony/ShuffleNet's recorded tensors; its other forms follow the same formula."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from yoloplug.blocks import ShuffleUnit
from yoloplug.blocks.parts.folding.batch_norm import fold_norms


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("shuffleunit_add", ShuffleUnit(24, 24, g=3, bias=True)),
        ("shuffleunit_concat", ShuffleUnit(24, 48, s=2, g=3, bias=True)),
    ],
)
def test_equals_reference(golden, name, module):
    golden(name).check(module)


@pytest.mark.parametrize(("c2", "s"), [(16, 1), (24, 1), (16, 2), (24, 2)])
def test_joins_its_input_as_it_is_or_pooled(c2, s, randomise_norms):
    module = ShuffleUnit(16, c2, s=s).double().eval()
    randomise_norms(module)
    x = torch.randn(2, 16, 7, 9, dtype=torch.float64)
    first, second = module.g_conv_1x1_compress, module.g_conv_1x1_expand
    y = F.relu(first.batch_norm(first.conv1x1(x)))
    y = y[:, [(i % 2) * (c2 // 8) + i // 2 for i in range(c2 // 4)]]
    y = second.batch_norm(second.conv1x1(module.bn_after_depthwise(module.depthwise_conv3x3(y))))
    short = F.avg_pool2d(x, 3, 2, 1) if s == 2 else x
    expected = F.relu(short + y if c2 == 16 else torch.cat([short, y], 1))
    torch.testing.assert_close(module(x), expected)


def test_first_unit_of_the_network_has_a_dense_1x1():
    assert ShuffleUnit(15, 39, s=2, g=3, grouped=False).g_conv_1x1_compress.conv1x1.groups == 1


def test_folding_its_norms_keeps_the_output(randomise_norms):
    module = ShuffleUnit(16, 24).double().eval()
    randomise_norms(module)
    x = torch.randn(1, 16, 7, 9, dtype=torch.float64)
    expected = module(x)
    for _ in range(2):
        fold_norms(module)
        torch.testing.assert_close(module(x), expected)
    assert not any("Norm" in type(part).__name__ for part in module.modules())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((16, 8), "c2=8 is narrower than c1=16, .* use c2 >= 16, or a Conv of width 8 before it"),
        ((16, 24, 3, 1, 4), r"g=4 must divide c1=16 and c2//4=6 and c2-c1=8; use g from \[1, 2\]"),
        ((15, 40, 3, 2, 2, False), r"g=2 must divide c2//4=10 and c2-c1=25; use g from \[1, 5\]"),
        ((2, 3), "c1, c2//4, s must be at least 1, got c1=2, c2//4=0"),
        ((16, 16, 2), "k must be odd"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        ShuffleUnit(*arguments)
