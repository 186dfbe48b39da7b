"""InceptionV1 equals torchvision's recorded module, with the paper's 5x5 and with torchvision's 3x3 in its place."""

from __future__ import annotations

import pytest
import torch

from yoloplug.blocks import InceptionV1

WIDTHS = [8, 8, 12, 4, 6, 6]


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("inception_v1_true5x5", InceptionV1(16, 32, widths=WIDTHS)),
        ("inception_v1_tv", InceptionV1(16, 32, k_wide=3, widths=WIDTHS)),
    ],
)
def test_equals_reference(golden, name, module):
    golden(name).check(module)


def widths(module: InceptionV1) -> list[int]:
    return [conv.out_channels for conv in module.modules() if isinstance(conv, torch.nn.Conv2d)]


@pytest.mark.parametrize(
    ("c2", "expected"),
    [
        (256, [64, 96, 128, 16, 32, 32]),
        (8, [2, 3, 4, 1, 1, 1]),
        (25, [6, 9, 13, 1, 3, 3]),
        (100, [25, 37, 51, 6, 12, 12]),
    ],
)
def test_widths_keep_the_papers_proportions_and_meet_c2(c2, expected):
    module = InceptionV1(16, c2).eval()
    assert widths(module) == expected
    assert module(torch.randn(1, 16, 1, 1)).shape == (1, c2, 1, 1)


def test_branches_are_the_papers_pools_and_kernels():
    """All weights one: each branch lights up where it sees a single bright pixel: a point, 3x3, 5x5, the pool's 3x3."""
    module = InceptionV1(1, 4, widths=[1, 1, 1, 1, 1, 1]).eval()
    for parameter in module.parameters():
        torch.nn.init.ones_(parameter)
    for norm in module.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.zeros_(norm.bias)
            norm.eps = 0.0
    x = torch.zeros(1, 1, 9, 9)
    x[0, 0, 4, 4] = 1
    seen = (module(x)[0] > 0).sum((1, 2)).tolist()
    assert seen == [1, 9, 25, 9]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c1": 16, "c2": 7}, "InceptionV1: c2=7 is too narrow for its branches; use c2 >= 8"),
        ({"c1": 16, "c2": 16, "k": 5}, "leave k at 3, got k=5"),
        ({"c1": 16, "c2": 16, "s": 0}, "at least 1, got .*s=0"),
        ({"c1": 16, "c2": 16, "k_wide": 4}, "k must be odd and positive, got 4; use 5"),
        ({"c1": 16, "c2": 32, "widths": [8, 8]}, "widths must be 6 positive numbers"),
        ({"c1": 16, "c2": 32, "widths": [8, 8, 12, 0, 6, 6]}, "widths must be 6 positive numbers"),
        ({"c1": 16, "c2": 30, "widths": WIDTHS}, "make 32 output channels, the row says c2=30"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        InceptionV1(**arguments)
