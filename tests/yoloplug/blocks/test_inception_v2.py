"""InceptionV2 equals BN-Inception's recorded modules; its reduction halves even and odd maps."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from yoloplug.blocks import InceptionV2


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("inception_v2_3a", InceptionV2(24, 32, widths=[8, 8, 8, 8, 12, 12, 4])),
        ("inception_v2_5b", InceptionV2(16, 15, pool="max", widths=[5, 3, 5, 3, 3, 3, 2])),
    ],
)
def test_equals_reference(golden, name, module):
    golden(name).check(module)


@pytest.mark.parametrize("size", [(8, 10), (9, 11), (7, 8), (1, 2)])
def test_reduction_is_the_papers_module(size):
    """3c: 1x1 -> 3x3/2, 1x1 -> 3x3 -> 3x3/2, and the input pooled; c1 + 256 channels at published widths."""
    module = InceptionV2(8, 264, s=2, form="reduction").eval()
    assert [m.out_channels for m in module.modules() if isinstance(m, nn.Conv2d)] == [128, 160, 64, 96, 96]
    x = torch.randn(2, 8, *size)
    y = module(x)
    assert y.shape == (2, 264, -(-size[0] // 2), -(-size[1] // 2))
    expected = module.branch3x3[1](module.branch3x3[0](x))
    torch.testing.assert_close(y[:, :160], expected)
    pooled = y[:, 256:]
    for row in range(pooled.shape[2]):
        for column in range(pooled.shape[3]):
            window = x[:, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            assert torch.equal(pooled[:, :, row, column], window.amax((2, 3)))


@pytest.mark.parametrize("size", [(8, 10), (28, 14)])
def test_pool_of_the_reduction_is_the_released_models_where_that_works(size):
    x = torch.randn(1, 4, *size)
    y = InceptionV2(4, 20, s=2, form="reduction").eval()(x)
    assert torch.equal(y[:, 16:], F.max_pool2d(x, 3, 2, ceil_mode=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c1": 16, "c2": 16, "form": "A"}, r"form must be one of \('normal', 'reduction'\), got 'A'"),
        ({"c1": 16, "c2": 32, "form": "reduction"}, "form reduction halves the map; use s=2 or another form, got s=1"),
        ({"c1": 16, "c2": 16, "s": 2, "form": "reduction"}, r"passes all c1=16 channels on\); use c2 >= 19"),
        ({"c1": 16, "c2": 16, "pool": "min"}, r"pool must be one of \('avg', 'max'\), got 'min'"),
        ({"c1": 16, "c2": 7}, "c2=7 is too narrow"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        InceptionV2(**arguments)


def test_narrowest_reduction_that_the_message_names_works():
    assert InceptionV2(16, 19, s=2, form="reduction").eval()(torch.randn(1, 16, 5, 5)).shape == (1, 19, 3, 3)


def test_the_mean_is_taken_of_the_convolutions_channels():
    """They commute. Who watches the branch sees it as it is written, with equal results."""
    module, x, widths = InceptionV2(16, 24).double(), torch.randn(2, 16, 9, 7, dtype=torch.float64), []
    module.branch_pool[0].register_forward_pre_hook(lambda pool, given: widths.append(given[0].shape[1]))
    y = module(x)
    module.branch_pool.register_forward_hook(lambda *_: None)
    torch.testing.assert_close(module(x), y)
    assert widths == [module.branch_pool[1].conv.out_channels, 16]
