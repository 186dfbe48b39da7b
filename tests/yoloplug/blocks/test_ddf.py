"""DDF equals the authors' recorded tensors; DDFUp, broken as published, equals a loop written from the paper."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from yoloplug.blocks import DDF, DDFUp


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize(("name", "module"), [("ddf_mul", DDF(16)), ("ddf_add_h2", DDF(16, heads=2, combine="add"))])
def test_equals_reference(golden, name, module):
    golden(name).check(module)


def filters_of(spatial, channel, x, guide):
    """Spatial (H, W, k * k) and channel (c, k * k) filters of one image, normalised one by one."""

    def normalise(values):
        return (values - values.mean()) / (values.std() + 1e-10)

    *before, norm = spatial
    logits = guide
    for layer in before:
        logits = layer(logits)
    places = torch.stack([torch.stack([normalise(f) for f in row]) for row in logits[0].permute(1, 2, 0)]) * norm.std
    _, narrow, _, widen, norm = channel
    pooled = x.mean((2, 3), keepdim=True)
    raw = widen(narrow(pooled).relu()).reshape(x.shape[1], -1)
    return places, torch.stack([normalise(f) for f in raw]) * norm.std.reshape(raw.shape)


@pytest.mark.parametrize("combine", ["mul", "add"])
@pytest.mark.parametrize(("c_guide", "scale"), [(None, 2), (3, 2), (None, 3)])
def test_up_equals_the_paper_pixel_by_pixel(combine, c_guide, scale):
    """Pixel (i, j) of the output is filtered from pixel (i // scale, j // scale) by the branch of its place."""
    module = DDFUp(6, scale=scale, combine=combine, c_guide=c_guide).double()
    x = torch.randn(1, 6, 4, 5, dtype=torch.float64)
    guide = None if c_guide is None else torch.randn(1, c_guide, 4, 5, dtype=torch.float64)
    padded, expected = F.pad(x[0], (1, 1, 1, 1)), torch.empty(6, 4 * scale, 5 * scale, dtype=torch.float64)
    for place in range(scale**2):
        branches = module.spatial_branch[place], module.channel_branch[place]
        places, channels = filters_of(*branches, x, x if guide is None else guide)
        for row in range(4):
            for column in range(5):
                window = padded[:, row : row + 3, column : column + 3].reshape(6, 9)
                weights = places[row, column] * channels if combine == "mul" else places[row, column] + channels
                i, j = row * scale + place // scale, column * scale + place % scale
                expected[:, i, j] = (window * weights).sum(1)
    torch.testing.assert_close(module(x, guide)[0], expected)


def test_up_trains_and_has_the_published_state_names():
    module = DDFUp(8)
    assert {"spatial_branch.3.0.weight", "channel_branch.3.4.std", "channel_branch.0.1.bias"} <= {*module.state_dict()}
    module(torch.randn(2, 8, 5, 6)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


def test_parameter_count_is_the_published_one():
    assert sum(p.numel() for p in DDF(64).parameters()) == 9429


def test_stride_two_keeps_every_second_pixel():
    module, x = DDF(8, se_ratio=0.5), torch.randn(2, 8, 7, 9)
    module.eval()
    whole = module(x)
    module.s = 2
    module.spatial_branch[0].stride = (2, 2)
    torch.testing.assert_close(module(x), whole[:, :, ::2, ::2])


def test_equal_taps_have_a_finite_gradient():
    module = DDF(8)
    for parameter in module.parameters():
        torch.nn.init.zeros_(parameter)
    module(torch.randn(1, 8, 5, 6)).sum().backward()
    assert all(p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize("block", [DDF, DDFUp])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c": 10, "heads": 4}, r"heads=4 must divide c=10; use heads from \[1, 2, 5, 10\]"),
        ({"c": 4}, r"c=4, se_ratio=0.2 leave no hidden channel; use se_ratio >= 0.25"),
        ({"c": 16, "k": 1}, "k=1 has one tap, whose deviation is not defined; use k=3"),
        ({"c": 16, "k": 4}, "k must be odd and positive, got 4; use 5"),
        ({"c": 16, "d": 0}, "must be at least 1, got 0"),
        ({"c": 16, "combine": "max"}, r"combine must be one of \('mul', 'add'\), got 'max'"),
    ],
)
def test_refuses(block, arguments, message):
    with pytest.raises(ValueError, match=message):
        block(**arguments)


def test_refuses_strides_scales_and_guides():
    with pytest.raises(ValueError, match="s must be at least 1, got 0"):
        DDF(16, s=0)
    with pytest.raises(ValueError, match="DDFUp: scale must be at least 1, got 0"):
        DDFUp(16, scale=0)
    with pytest.raises(ValueError, match="c_guide=0"):
        DDFUp(16, c_guide=0)
    x = torch.randn(1, 16, 4, 4)
    with pytest.raises(ValueError, match="a guide was not given, but c_guide says otherwise"):
        DDFUp(16, c_guide=3)(x)
    with pytest.raises(ValueError, match="a guide was given, but"):
        DDFUp(16)(x, x)
