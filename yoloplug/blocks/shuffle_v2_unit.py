"""ShuffleV2Unit: the unit of ShuffleNet v2, which convolves one half of the channels and lets the other pass.

Paper: Ma et al. 2018 (ShuffleNet V2), https://arxiv.org/abs/1807.11164, section 3 and figures 3c, 3d.
Mathematics: f(x) = ReLU(BN(Conv1(BN(DW_s(ReLU(BN(Conv1(x)))))))). Width and size kept: x = [a, b], y = shuffle([a,
f(b)]). Otherwise y = shuffle([ReLU(BN(Conv1(BN(DW_s(x))))), f(x)]). The shuffle has two groups.
Use it when latency on a phone or CPU counts: 0.4 to 0.66 times the training time of one 3x3 Conv on a CPU at 64
channels, with 7 % of its parameters. It leaves half of the features as they are, so a network needs several in a row.
Departs: a unit whose width changes at stride 1 has the form of the stride-2 unit (torchvision refuses it).
"""

import torch
from torch import Tensor, nn

from yoloplug.blocks.parts.channel_shuffle import channel_shuffle
from yoloplug.blocks.parts.checks import at_least_one
from yoloplug.blocks.parts.norms.normalised import Chain
from yoloplug.blocks.parts.padding import autopad
from yoloplug.registry import register

__all__ = ["ShuffleV2Unit"]


@register(
    "ShuffleV2Unit",
    kind="conv",
    paper="arXiv:1807.11164",
    constraints="k odd; c2 even",
    params="c2//2 * (c2 + k**2 + 6) if c1 == c2 and s == 1 else c1*(c2 + k**2 + 2) + c2//2 * (c2//2 + k**2 + 8)",
    macs="c2//2 * (c2 + k**2) * P if c1 == c2 and s == 1 else "
    "c1*c2//2 * H*W + (k**2*(c1 + c2//2) + c2//2 * (c1 + c2//2)) * P",
    tail="none",
    place="bottleneck",
)
class ShuffleV2Unit(nn.Module):
    """Half of the channels through 1x1, depthwise k x k, 1x1; concatenated with the other half and shuffled.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd, c2 even. Keys as torchvision's InvertedResidual.
    """

    def __init__(self, c1: int, c2: int, k: int = 3, s: int = 1) -> None:
        super().__init__()
        at_least_one("ShuffleV2Unit", c1=c1, c2=c2, s=s)
        if c2 % 2:
            raise ValueError(f"ShuffleV2Unit: c2={c2} must be even, it is made of two halves; use {c2 + 1}")
        half = c2 // 2
        self.splits = c1 == c2 and s == 1
        self.branch1 = nn.Identity() if self.splits else Chain(*_depthwise(c1, k, s), *_pointwise(c1, half))
        self.branch2 = Chain(
            *_pointwise(half if self.splits else c1, half), *_depthwise(half, k, s), *_pointwise(half, half)
        )

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, dim=1) if self.splits else (x, x)
        return channel_shuffle(torch.cat([self.branch1(a), self.branch2(b)], dim=1), 2)


def _pointwise(c1: int, c2: int) -> list[nn.Module]:
    return [nn.Conv2d(c1, c2, 1, bias=False), nn.BatchNorm2d(c2), nn.ReLU()]


def _depthwise(c: int, k: int, s: int) -> list[nn.Module]:
    return [nn.Conv2d(c, c, k, s, autopad(k), groups=c, bias=False), nn.BatchNorm2d(c)]
