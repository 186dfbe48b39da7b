"""DynamicFilterLayer equals the authors' recorded tensors; DynamicFilter is the paper's formula."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from yoloplug.blocks import DynamicFilter, DynamicFilterLayer


@pytest.mark.usefixtures("either_way")
def test_equals_reference(golden):
    golden("dfn_local").check(DynamicFilterLayer(), "image", "filters")


def test_grouping_filters_each_channel_with_the_same_filter():
    layer, image, filters = DynamicFilterLayer(grouping=True), torch.randn(2, 5, 6, 7), torch.randn(2, 9, 6, 7)
    alone = DynamicFilterLayer()
    expected = torch.cat([alone(image[:, [c]], filters) for c in range(5)], dim=1)
    torch.testing.assert_close(layer(image, filters), expected)


def test_one_filter_everywhere_is_a_convolution():
    """The layer with the same weights at each pixel is conv2d with them, at stride 2 and odd sizes too."""
    image, weight = torch.randn(2, 4, 7, 9), torch.randn(1, 4, 3, 3)
    filters = weight.reshape(1, 36, 1, 1).expand(2, 36, 4, 5)
    torch.testing.assert_close(DynamicFilterLayer(s=2)(image, filters), F.conv2d(image, weight, None, 2, 1))


@pytest.mark.parametrize(("groups", "softmax"), [(1, True), (4, True), (2, False)])
def test_equals_the_formula_pixel_by_pixel(groups, softmax):
    module = DynamicFilter(8, groups=groups, softmax=softmax).double()
    x = torch.randn(1, 8, 5, 6, dtype=torch.float64)
    filters = module.generator(x).reshape(groups, 9, 5, 6)
    filters = filters.softmax(1) if softmax else filters
    padded, expected = F.pad(x, (1, 1, 1, 1)), torch.empty(1, 8, 5, 6, dtype=torch.float64)
    for c in range(8):
        for row in range(5):
            for column in range(6):
                window = padded[0, c, row : row + 3, column : column + 3].flatten()
                expected[0, c, row, column] = window @ filters[c * groups // 8, :, row, column]
    torch.testing.assert_close(module(x), expected)


def test_softmax_filters_average():
    """Inside the map a constant stays constant, whatever the filters."""
    y = DynamicFilter(8)(torch.full((1, 8, 6, 6), 3.0))
    torch.testing.assert_close(y[:, :, 1:-1, 1:-1], torch.full((1, 8, 4, 4), 3.0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c": 10, "groups": 4}, r"groups=4 must divide c=10; use groups from \[1, 2, 5, 10\]"),
        ({"c": 8, "k": 2}, "k must be odd and positive, got 2; use 3"),
        ({"c": 8, "k": 1}, "k=1 with softmax has the one weight 1 and does nothing; use k=3"),
        ({"c": 8, "reduction": 0}, "reduction must be at least 1, got 0"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        DynamicFilter(**arguments)


@pytest.mark.parametrize(("grouping", "expected"), [(False, 36), (True, 9)])
def test_layer_refuses_a_wrong_number_of_weights(grouping, expected):
    with pytest.raises(ValueError, match=f"filters have 35 channels, expected {expected}"):
        DynamicFilterLayer(grouping=grouping)(torch.randn(1, 4, 5, 5), torch.randn(1, 35, 5, 5))
    with pytest.raises(ValueError, match="s must be at least 1, got 0"):
        DynamicFilterLayer(s=0)
