"""Ten training steps in bfloat16 autocast stay beside those in float32, for every block in its host."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks import SRU, DCNv2, GroupBatchnorm2d
from yoloplug.hosts import host
from yoloplug.registry import BLOCKS

WIDTH, STEPS = 32, 10


def losses(model: nn.Module, x: Tensor, target: Tensor, narrow: bool) -> list[float]:
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    seen = []
    for _ in range(STEPS):
        with torch.autocast("cpu", torch.bfloat16, enabled=narrow):
            y = model(x)
        loss = F.mse_loss(y.float(), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seen.append(loss.item())
    return seen


@pytest.mark.parametrize("name", sorted(BLOCKS))
def test_losses_stay_together(name):
    torch.manual_seed(0)
    block = host(name)(WIDTH, WIDTH)
    model = nn.Sequential(nn.Conv2d(3, WIDTH, 3, padding=1), block, nn.Conv2d(WIDTH, 4, 1)).train()
    x = torch.randn(4, 3, 16, 16)
    target = torch.stack([x[:, 0], x[:, 1].roll(1, 2), x[:, 2].abs(), x.mean(1)], 1)
    target = F.interpolate(target, model(x).shape[2:])
    exact, narrow = (losses(copy.deepcopy(model), x, target, bf16) for bf16 in (False, True))
    assert exact[-1] < 0.9 * exact[0]
    apart = [abs(a - b) / exact[0] for a, b in zip(exact, narrow, strict=True)]
    assert max(apart) < 0.03, f"float32 {exact}, bfloat16 {narrow}"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_scconvs_gate_keeps_its_sign_in_half_precision(dtype):
    """At 256 channels the sigmoid differs from 0.5 by less than bfloat16 can say; which side it is on still counts."""
    torch.manual_seed(0)
    unit, x = SRU(256).eval(), torch.randn(1, 256, 8, 8)
    expected = unit(x)
    y = copy.deepcopy(unit).to(dtype)(x.to(dtype)).float()
    assert (y - expected).norm() < 0.02 * expected.norm()


def test_group_batch_norm_takes_its_mean_in_float32():
    """A mean of 100 deviations: in bfloat16 nothing of the deviation would be left."""
    x = torch.randn(2, 8, 6, 6) + 100
    norm = GroupBatchnorm2d(2, 8)
    expected = norm(x.bfloat16().float())
    assert (norm.bfloat16()(x.bfloat16()).float() - expected).abs().max() < 0.02 * expected.abs().max()


def test_offsets_are_added_in_float32():
    """On a wide map a position such as 300.3 has no fraction in bfloat16."""
    torch.manual_seed(0)
    block = DCNv2(4, 4)
    nn.init.normal_(block.conv_offset.weight, std=0.1)
    x = torch.linspace(0, 1, 400).repeat(1, 4, 4, 1) + torch.rand(1, 4, 4, 400)
    expected = block(x)
    with torch.autocast("cpu", torch.bfloat16):
        y = block(x)
    assert (y - expected).norm() < 0.02 * expected.norm()
