"""TransposedConv equals the recorded tensors, grows by exactly s, and folds along the right axis of its weight."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from yoloplug.blocks import TransposedConv
from yoloplug.blocks.parts.folding.batch_norm import fold_norms


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("transposed_k4s2", TransposedConv(16, 12, 4, 2, bias=True)),
        ("transposed_k2s2", TransposedConv(16, 12, 2, 2, bias=True)),
        ("transposed_g4d2", TransposedConv(16, 12, 3, 2, g=4, d=2, bias=True)),
    ],
)
def test_equals_reference(golden, name, module):
    golden(name).check(module)


@pytest.mark.parametrize(("k", "s", "d"), [(2, 2, 1), (3, 2, 1), (4, 2, 1), (4, 4, 1), (5, 3, 1), (3, 1, 1), (2, 1, 2)])
def test_output_is_s_times_larger(k, s, d):
    assert TransposedConv(4, 6, k, s, d=d)(torch.rand(1, 4, 7, 9)).shape == (1, 6, 7 * s, 9 * s)


def test_every_input_pixel_writes_its_own_two_by_two():
    module = TransposedConv(3, 4).double()
    x = torch.randn(1, 3, 4, 5, dtype=torch.float64)
    y = module(x)[0]
    for row in range(8):
        for column in range(10):
            expected = module.weight[:, :, row % 2, column % 2].T @ x[0, :, row // 2, column // 2]
            torch.testing.assert_close(y[:, row, column], expected)


@pytest.mark.parametrize("g", [1, 4])
@pytest.mark.parametrize("bias", [False, True])
def test_a_batch_norm_behind_it_folds(randomise_norms, g, bias):
    """c1 = c2, so that folding along the wrong axis would not show in the shapes."""
    host = nn.Sequential(TransposedConv(8, 8, 4, 2, g=g, bias=bias), nn.BatchNorm2d(8)).double().eval()
    randomise_norms(host)
    x = torch.randn(1, 8, 3, 5, dtype=torch.float64)
    expected = host(x)
    fold_norms(host)
    assert not isinstance(host[1], nn.BatchNorm2d)
    torch.testing.assert_close(host(x), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((8, 8, 1, 2), "TransposedConv: k=1 with s=2 leaves outputs that no input reaches; use k >= 2"),
        ((8, 8, 4, 1), "TransposedConv: k=4 with s=1 cannot keep the size; use an odd k such as 5"),
        ((8, 12, 2, 2, 8), r"TransposedConv: g=8 must divide c1=8 and c2=12; use g from \[1, 2, 4\]"),
        ((8, 8, 2, 2, 1, 0), "c1, c2, k, s, d must be at least 1, .*d=0"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        TransposedConv(*arguments)
