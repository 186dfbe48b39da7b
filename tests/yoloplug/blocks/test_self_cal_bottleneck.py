"""SelfCalBottleneck equals SCNet's recorded unit."""

from __future__ import annotations

import pytest
import torch

from yoloplug.blocks import SelfCalBottleneck


def test_equals_reference(golden):
    golden("scnet_bottleneck").check(SelfCalBottleneck(32, 32, bottleneck_width=64))


def test_projects_only_where_the_input_does_not_fit():
    assert isinstance(SelfCalBottleneck(16, 16).downsample, torch.nn.Identity)
    for c2, s in ((24, 1), (16, 2)):
        assert len(SelfCalBottleneck(16, c2, s=s).downsample) == 2


def test_a_dead_branch_leaves_the_shortcut():
    module = SelfCalBottleneck(16, 16).eval()
    torch.nn.init.zeros_(module.conv3.weight)
    x = torch.randn(1, 16, 5, 6)
    torch.testing.assert_close(module(x), x.relu())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c1": 16, "c2": 7}, "c2=7 with bottleneck_width=32 leaves no channel; use bottleneck_width >= 37"),
        ({"c1": 16, "c2": 16, "s": 0}, "at least 1, got .*s=0"),
        ({"c1": 16, "c2": 16, "r": 0}, "at least 1, got .*r=0"),
        ({"c1": 16, "c2": 16, "k": 4}, "k must be odd"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        SelfCalBottleneck(**arguments)


def test_width_that_the_message_names_works():
    assert SelfCalBottleneck(16, 7, bottleneck_width=37).conv1_a.out_channels == 1
