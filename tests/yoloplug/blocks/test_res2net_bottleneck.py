"""Res2NetBottleneck is the paper's ladder; the released code's is the same with its channels in another order."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from yoloplug.blocks import Res2NetBottleneck

MODULES = {
    "res2net_normal": Res2NetBottleneck(16, 16, base_width=104),
    "res2net_scale1": Res2NetBottleneck(16, 16, base_width=128, scale=1),
}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_equals_reference(golden, name):
    golden(name).check(MODULES[name])


@pytest.mark.parametrize("s", [1, 2])
@pytest.mark.parametrize("stage", ["normal", "stage"])
def test_is_the_papers_ladder_and_the_released_code_passes_the_last_part(s, stage, randomise_norms):
    """The same weights: ours as the paper draws it; the code's order of parts before convert_reference."""
    if stage == "normal" and s == 2:
        with pytest.raises(ValueError, match="sums parts of one size; use 'stage' or s=1, got s=2"):
            Res2NetBottleneck(8, 8, s=s, base_width=64, stage=stage)
        return
    module = Res2NetBottleneck(8, 8, s=s, base_width=64, stage=stage).double().eval()
    randomise_norms(module)
    x = torch.randn(2, 8, 7, 9, dtype=torch.float64)

    def unit(order: str) -> torch.Tensor:
        parts = list(module.bn1(module.conv1(x)).relu().split(2, dim=1))
        passed = parts.pop(0 if order == "paper" else -1)
        passed = nn.functional.avg_pool2d(passed, 3, s, 1) if stage == "stage" else passed
        steps = []
        for part, conv, bn in zip(parts, module.convs, module.bns, strict=True):
            steps.append(bn(conv(part + steps[-1] if steps and stage == "normal" else part)).relu())
        seen = [passed, *steps] if order == "paper" else [*steps, passed]
        return (module.bn3(module.conv3(torch.cat(seen, dim=1))) + module.downsample(x)).relu()

    torch.testing.assert_close(module(x), unit("paper"))
    released = unit("code")
    assert not torch.allclose(module(x), released)
    module.load_state_dict(module.convert_reference(module.state_dict()))
    torch.testing.assert_close(module(x), released)


def test_auto_begins_a_stage_where_width_or_stride_change():
    assert Res2NetBottleneck(16, 16).sums
    assert not Res2NetBottleneck(16, 24).sums and not Res2NetBottleneck(16, 16, s=2).sums
    assert Res2NetBottleneck(16, 24, stage="normal").sums and not Res2NetBottleneck(16, 16, stage="stage").sums


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c1": 16, "c2": 9}, "c2=9 with base_width=26 leaves no channel; use base_width >= 29"),
        ({"c1": 16, "c2": 16, "scale": 0}, "at least 1, got .*scale=0"),
        ({"c1": 16, "c2": 16, "stage": "first"}, r"stage must be one of \('auto', 'normal', 'stage'\), got 'first'"),
        ({"c1": 16, "c2": 16, "k": 4}, "k must be odd"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        Res2NetBottleneck(**arguments)
