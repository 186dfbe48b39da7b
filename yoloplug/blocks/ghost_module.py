"""GhostModule: half of the features by convolution, the other half by cheap depthwise filters of the first.

Paper: Han et al. 2020 (GhostNet), https://arxiv.org/abs/1911.11907, section 3.1.
Paper: Tang et al. 2022 (GhostNetV2), https://arxiv.org/abs/2211.12905, section 4.1 (attention).
Mathematics:
    p = ReLU(BN(K * x)) with c2/ratio channels;  q = ReLU(BN(depthwise * p)) with ratio - 1 maps per channel of p
    y = [p, q]; with attention y · up(sigmoid(BN(V * BN(U * BN(W * pool(x)))))), where U of 1x5 and V of 5x1 are
    depthwise
Use it when parameters and multiplications are to be halved (ratio=2) at some loss of accuracy. On a CPU it takes 0.74
of a 3x3 convolution's training time, 0.45 with k=1; on a GPU the depthwise part is bound by memory.
Departs: k defaults to 3, the kernel that it replaces in a YOLO (the code's 1 is that of GhostUnit).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.checks import at_least_one
from yoloplug.blocks.parts.norms.normalised import Chain
from yoloplug.blocks.parts.padding import autopad
from yoloplug.registry import register

__all__ = ["GhostModule"]


@register(
    "GhostModule",
    kind="conv",
    paper="arXiv:1911.11907",
    constraints="k and dw_size odd; 2 <= ratio <= c2",
    params="ceil(c2/ratio)*(k*k*c1 + dw_size**2*(ratio - 1) + 2*ratio) + attention*c2*(k*k*c1 + 16)",
    macs="P*ceil(c2/ratio)*(k*k*c1 + dw_size**2*(ratio - 1))"
    " + attention*ceil(floor(H/2)/s)*ceil(floor(W/2)/s)*c2*(k*k*c1 + 10)",
    tail="none",
)
class GhostModule(nn.Module):
    """Convolution to c2 / ratio channels, depthwise filters of them for the rest, BatchNorm and ReLU inside.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k and dw_size odd.
    ratio: features per channel of the first convolution. dw_size: kernel of the depthwise one.
    attention: V2's gate per pixel from long rows and columns at half resolution. relu=False: linear, to project.
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        ratio: int = 2,
        dw_size: int = 3,
        attention: bool = False,
        relu: bool = True,
    ) -> None:
        super().__init__()
        at_least_one("GhostModule", c1=c1, s=s)
        if ratio < 2 or ratio > c2:
            raise ValueError(f"GhostModule: ratio must be at least 2 and at most c2={c2}, got {ratio}")
        self.c2 = c2
        first = math.ceil(c2 / ratio)
        cheap = first * (ratio - 1)
        self.primary_conv = Chain(*_conv_norm(c1, first, k, s), nn.ReLU() if relu else nn.Identity())
        self.cheap_operation = Chain(*_conv_norm(first, cheap, dw_size, g=first), nn.ReLU() if relu else nn.Identity())
        self.short_conv = (
            Chain(*_conv_norm(c1, c2, k, s), *_strip_norm(c2, (1, 5)), *_strip_norm(c2, (5, 1))) if attention else None
        )

    def forward(self, x: Tensor) -> Tensor:
        primary = self.primary_conv(x)
        y = torch.cat([primary, self.cheap_operation(primary)], dim=1)[:, : self.c2]
        if self.short_conv is None:
            return y
        gate = self.short_conv(_half(x)).sigmoid()
        return y * F.interpolate(gate, y.shape[-2:], mode="nearest")


def _conv_norm(c1: int, c2: int, k: int, s: int = 1, g: int = 1) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(c1, c2, k, s, autopad(k), groups=g, bias=False), nn.BatchNorm2d(c2)


def _strip_norm(c: int, k: tuple[int, int]) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(c, c, k, padding=(k[0] // 2, k[1] // 2), groups=c, bias=False), nn.BatchNorm2d(c)


def _half(x: Tensor) -> Tensor:
    """2x2 averages, an odd last row or column left out as in the reference, unless it is the only one."""
    h, w = x.shape[-2:]
    pooled = F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)
    return pooled[..., : (h + 1 // h) // 2, : (w + 1 // w) // 2]
