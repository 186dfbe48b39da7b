"""HDC equals the recorded row of dilated convolutions; its rates see every pixel, refused ones leave holes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from yoloplug.blocks import HDC
from yoloplug.blocks.hdc import largest_gap


def seen(layers: nn.Module, size: int = 41) -> Tensor:
    """Which pixels the middle output depends on."""
    for parameter in layers.parameters():
        nn.init.ones_(parameter)
    x = torch.zeros(1, 1, size, size, requires_grad=True)
    layers(x)[0, 0, size // 2, size // 2].backward()
    return x.grad[0, 0] != 0


def test_equals_reference(golden):
    golden("hdc_125").check(HDC(16, 16, linear=True, bias=True))


@pytest.mark.parametrize(("rates", "span"), [((1, 2, 5), 17), ((1, 2, 3), 13), ((1, 3, 9), 27), ((1, 2, 5, 9), 35)])
def test_sees_every_pixel_of_its_span(rates, span):
    view = seen(HDC(1, 1, rates=rates, linear=True))
    edge = (41 - span) // 2
    assert view[edge : 41 - edge, edge : 41 - edge].all() and view.sum() == span**2


def test_rates_that_are_refused_leave_holes():
    layers = nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=r, dilation=r, bias=False) for r in (2, 4, 8)))
    assert seen(layers).sum() == 15**2  # of 29 x 29


def test_default_has_norm_and_relu_between_as_the_papers_layers():
    assert [type(layer).__name__ for layer in HDC(8, 8)] == [
        *("Conv2d", "BatchNorm2d", "ReLU"),
        *("Conv2d", "BatchNorm2d", "ReLU"),
        "Conv2d",
    ]


@pytest.mark.parametrize(
    ("rates", "gap"), [((1, 2, 5), 2), ((1, 2, 9), 5), ((2, 4, 8), 4), ((5, 9, 17), 9), ((1, 2), 2), ((1, 5, 2), 8)]
)
def test_largest_gap_is_the_papers(rates, gap):
    """1-2-5 and 1-2-9 are the paper's examples: M_2 = 2 and M_2 = 5 > 3. In 1-5-2 it is 2 r_2 - M_3."""
    assert largest_gap(rates) == gap


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rates": (2, 4, 8)}, "HDC: rates 2-4-8 have the common factor 2; use for example 1-2-5 or 1-2-3 or 1-3-9"),
        ({"rates": [1, 2, 9]}, "HDC: rates 1-2-9 leave gaps of M_2=5 > k=3; use for example 1-2-5"),
        ({"rates": (5, 9, 17)}, "leave gaps of M_2=9 > k=3"),
        ({"rates": (2, 2)}, "have the common factor 2; use for example 1-2 or 1-3"),
        ({"k": 1}, "leave gaps of M_2=2 > k=1; use for example 1-1-1"),
        ({"rates": (2, 4, 8, 16)}, "have the common factor 2; use for example 1-2-5-9 or 1-2-3-4 or 1-3-9-27"),
        ({"rates": (2,)}, r"two or more dilations of at least 1, got \[2\]"),
        ({"rates": (0, 1)}, r"two or more dilations of at least 1, got \[0, 1\]"),
        ({"k": 2}, "k must be odd"),
        ({"s": 0}, "s must be at least 1"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        HDC(8, 8, **arguments)


def test_larger_kernels_allow_larger_rates():
    HDC(8, 8, 5, rates=(1, 4, 9))
    with pytest.raises(ValueError, match="M_2=4 > k=3"):
        HDC(8, 8, 3, rates=(1, 4, 9))


def test_rates_of_one_are_plain_convolutions():
    assert seen(HDC(1, 1, rates=(1, 1, 1), linear=True)).sum() == 7**2
