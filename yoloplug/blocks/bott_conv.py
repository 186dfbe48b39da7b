"""BottConv: a convolution squeezed through a few channels, with nothing non-linear inside.

Paper: Liu et al. 2025 (SCSegamba), https://arxiv.org/abs/2503.01113, section 3.2.
Mathematics:
  y = V · (D * (U x + b)),  U: c1 -> mid and V: mid -> c2 in every pixel, D: one k x k kernel per channel
Use it when a convolution must become about 30 times smaller (and take a quarter of a plain 3x3 Conv's time on a CPU
at 64 channels) and rank `mid` is enough. It is linear: one k x k convolution could do the same away from borders, at
about 30 times the cost, so fusing does not merge the three.
Departs: the bottleneck's width has a default (the reference always passes it).
"""

from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.checks import at_least_one
from yoloplug.blocks.parts.filters.depthwise import convolved
from yoloplug.blocks.parts.folding.affine import AbsorbsAffine
from yoloplug.blocks.parts.padding import autopad
from yoloplug.registry import register

__all__ = ["BottConv"]


@register(
    "BottConv",
    kind="conv",
    paper="arXiv:2503.01113",
    constraints="k odd",
    params="max(1, c2//8)*(c1 + 1 + k**2 + c2)",
    macs="max(1, c2//8)*(H*W*c1 + P*(k**2*(k > 1) + c2))",
)
class BottConv(AbsorbsAffine):
    """1x1 down to `mid` channels (with bias), k x k depthwise, 1x1 up to c2 (no bias).

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)). mid: default c2 // 8, at least 1.
    The bias comes before the zero padding, so borders answer to an all-zero input too.
    """

    last_layer = "pointwise_2"

    def __init__(self, c1: int, c2: int, k: int = 3, s: int = 1, mid: int | None = None) -> None:
        super().__init__()
        mid = max(1, c2 // 8) if mid is None else mid
        at_least_one("BottConv", c1=c1, c2=c2, s=s, mid=mid)
        self.pointwise_1 = nn.Conv2d(c1, mid, 1)
        self.depthwise = nn.Conv2d(mid, mid, k, s, autopad(k), groups=mid, bias=False)
        self.pointwise_2 = nn.Conv2d(mid, c2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pointwise_1(x)
        if self.depthwise.kernel_size != (1, 1):
            return self.pointwise_2(convolved(self.depthwise, x))
        # A depthwise 1x1 is a factor per channel, which the last layer's weight takes: one pass over the map less.
        weight = self.pointwise_2.weight * self.depthwise.weight.reshape(1, -1, 1, 1)
        return F.conv2d(x, weight, self.pointwise_2.bias, self.depthwise.stride)
