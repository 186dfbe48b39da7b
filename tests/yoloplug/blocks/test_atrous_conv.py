"""AtrousConv equals the recorded dilated convolution and the paper's sum over taps."""

from __future__ import annotations

import pytest
import torch

from yoloplug.blocks import AtrousConv


def test_equals_reference(golden):
    golden("atrous_d6").check(AtrousConv(16, 12, d=6, bias=True))


@pytest.mark.parametrize(("k", "d", "s"), [(3, 2, 1), (3, 2, 2), (5, 3, 1)])
def test_is_the_papers_sum(k, d, s):
    module = AtrousConv(2, 3, k, s, d).double()
    x = torch.randn(1, 2, 7, 9, dtype=torch.float64)
    y, reach = module(x)[0], k // 2
    assert y.shape[1:] == (-(-7 // s), -(-9 // s))
    for row in range(y.shape[1]):
        for column in range(y.shape[2]):
            total = torch.zeros(3, dtype=torch.float64)
            for v in range(-reach, reach + 1):
                for u in range(-reach, reach + 1):
                    at = (row * s + d * v, column * s + d * u)
                    if 0 <= at[0] < 7 and 0 <= at[1] < 9:
                        total += module.weight[:, :, v + reach, u + reach] @ x[0, :, at[0], at[1]]
            torch.testing.assert_close(y[:, row, column], total)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((8, 8, 3, 1, 0), r"d \(dilation\) must be at least 1, got 0"),
        ((8, 12, 3, 1, 2, 8), r"AtrousConv: g=8 must divide c1=8 and c2=12; use g from \[1, 2, 4\]"),
        ((8, 8, 4), "k must be odd"),
        ((8, 8, 3, 0), "s must be at least 1"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        AtrousConv(*arguments)
