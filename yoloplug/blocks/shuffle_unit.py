"""ShuffleUnit: the residual unit of ShuffleNet v1, two grouped 1x1 convolutions around a depthwise one.

Paper: Zhang et al. 2018 (ShuffleNet), https://arxiv.org/abs/1707.01083, section 3.2 and figure 2.
Mathematics: f(x) = BN(GConv1(BN(DW_s(shuffle(ReLU(BN(GConv1(x)))))))) with c2 // 4 channels inside; y = ReLU(x + f(x))
where the width stays, y = ReLU([avgpool_s(x), f(x)]) where it grows (f then has c2 - c1 channels).
Use it when the budget is two per cent of a plain bottleneck's: 1360 parameters at 64 channels, less training time than
one 3x3 Conv on a CPU (0.3 to 0.85 times). On a GPU expect little: many small kernels, few channels inside.
Departs: convolutions before a BatchNorm have no bias (jaxony/ShuffleNet has; bias=True loads its weights); a unit
whose width grows at stride 1 appends to x itself, one whose width stays at stride 2 adds to the pooled x; g defaults
to 2, because YOLO's widths are no multiples of the paper's 3.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from yoloplug.blocks.parts.channel_shuffle import channel_shuffle
from yoloplug.blocks.parts.checks import at_least_one, divides
from yoloplug.blocks.parts.filters.depthwise import convolved
from yoloplug.blocks.parts.folding.batch_norm import fold_named
from yoloplug.blocks.parts.norms.normalised import Chain, normalised
from yoloplug.blocks.parts.padding import autopad
from yoloplug.registry import register

__all__ = ["ShuffleUnit"]


@register(
    "ShuffleUnit",
    kind="conv",
    paper="arXiv:1707.01083",
    constraints="k odd; c2 >= c1; g divides c1, c2//4 and c2-c1",
    params="c2//4 * (c1/g + k**2 + 4 + (c2 - c1*(c2 > c1))/g) + 2*(c2 - c1*(c2 > c1))",
    macs="c2//4 * (c1/g * H*W + (k**2 + (c2 - c1*(c2 > c1))/g) * P)",
    tail="none",
    place="bottleneck",
)
class ShuffleUnit(nn.Module):
    """Grouped 1x1, channel shuffle, depthwise k x k, grouped 1x1, joined with a shortcut.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd, c2 >= c1. g: groups of the 1x1 convolutions.
    grouped: False makes the first 1x1 dense, as in the network's first unit. bias: in the convolutions.
    """

    def __init__(
        self, c1: int, c2: int, k: int = 3, s: int = 1, g: int = 2, grouped: bool = True, bias: bool = False
    ) -> None:
        super().__init__()
        at_least_one("ShuffleUnit", **{"c1": c1, "c2//4": c2 // 4, "s": s})
        if c2 < c1:
            raise ValueError(
                f"ShuffleUnit: c2={c2} is narrower than c1={c1}, but the unit adds or appends to its input; "
                f"use c2 >= {c1}, or a Conv of width {c2} before it"
            )
        middle, grown = c2 // 4, c2 - c1 or c2
        divides("ShuffleUnit", "g", g, **({"c1": c1} if grouped else {}), **{"c2//4": middle, "c2-c1": c2 - c1})
        self.g = g
        self.appends = c2 > c1
        self.g_conv_1x1_compress = _grouped_1x1(c1, middle, g if grouped else 1, bias)
        self.depthwise_conv3x3 = nn.Conv2d(middle, middle, k, s, autopad(k), groups=middle, bias=bias)
        self.bn_after_depthwise = nn.BatchNorm2d(middle)
        self.g_conv_1x1_expand = _grouped_1x1(middle, grown, g, bias)
        self.shortcut = nn.AvgPool2d(3, s, 1) if s > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = channel_shuffle(self.g_conv_1x1_compress(x).relu(), self.g)
        y = self.g_conv_1x1_expand(normalised(self.bn_after_depthwise, convolved(self.depthwise_conv3x3, y)))
        short = self.shortcut(x)
        return (torch.cat([short, y], dim=1) if self.appends else short + y).relu()

    def fold_norms(self) -> None:
        fold_named(self, bn_after_depthwise="depthwise_conv3x3")


def _grouped_1x1(c1: int, c2: int, g: int, bias: bool) -> nn.Sequential:
    conv = nn.Conv2d(c1, c2, 1, groups=g, bias=bias)
    return Chain(OrderedDict(conv1x1=conv, batch_norm=nn.BatchNorm2d(c2)))
