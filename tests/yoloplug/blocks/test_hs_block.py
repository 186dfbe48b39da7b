"""HSBlock equals the recorded tensors, with fewer groups than asked for where channels run short."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from yoloplug.blocks import HSBlock


@pytest.mark.parametrize(
    ("name", "module"), [("hsblock_s4", HSBlock(16, splits=4)), ("hsblock_s8_odd", HSBlock(27, splits=8))]
)
def test_equals_reference(golden, name, module):
    golden(name).check(module)


@pytest.mark.parametrize(
    ("c", "splits", "sizes", "widths"),
    [
        (16, 8, [2] * 8, [2, 3, 3, 3, 3, 3, 3]),
        (12, 8, [2] * 6, [2, 3, 3, 3, 3]),
        (27, 8, [4] * 6 + [3], [4, 6, 7, 7, 7, 6]),
        (64, 4, [16] * 4, [16, 24, 28]),
        (3, 2, [2, 1], [1]),
    ],
)
def test_groups_are_torch_chunks_and_convolutions_widen(c, splits, sizes, widths):
    module = HSBlock(c, splits).eval()
    x = torch.randn(1, c, 5, 6)
    assert module.sizes == sizes == [part.shape[1] for part in x.chunk(splits, dim=1)]
    assert [m.out_channels for m in module.modules() if isinstance(m, nn.Conv2d)] == widths
    assert module(x).shape == x.shape and torch.equal(module(x)[:, : sizes[0]], x[:, : sizes[0]])


def test_later_groups_see_further():
    """Group i sees i - 1 convolutions of 3x3; the first is passed on."""
    module = HSBlock(16, splits=4).double().eval()
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.ones_(part.weight)
    x = torch.zeros(1, 16, 11, 11, dtype=torch.float64)
    x[:, :, 5, 5] = 1
    y = module(x)[0]
    assert [int((y[channel] > 0).any(0).sum()) for channel in (0, 4, 6, 9, 15)] == [1, 3, 5, 7, 7]


@pytest.mark.parametrize(
    ("c", "splits", "message"),
    [
        (8, 8, "c=8 in splits=8 leaves one channel a group, which cannot be halved; use splits <= 4"),
        (3, 8, "use splits <= 2"),
        (2, 2, "use c >= 3"),
        (16, 1, "splits must be at least 2, got 1"),
    ],
)
def test_refuses(c, splits, message):
    with pytest.raises(ValueError, match=message):
        HSBlock(c, splits)


def test_published_biases_keep_their_effect():
    """A bias in front of BatchNorm only shifts the running mean, where convert_reference puts it."""
    module = HSBlock(8, splits=2).double().eval()
    x = torch.randn(2, 8, 5, 6, dtype=torch.float64)
    bias = torch.randn(4, dtype=torch.float64)
    layers = module.module_list[1]
    expected = layers[1](layers[0](x[:, 4:]) + bias[:, None, None]).relu()
    module.load_state_dict(module.convert_reference(module.state_dict() | {"module_list.1.0.bias": bias}))
    torch.testing.assert_close(module(x)[:, 4:], expected)
