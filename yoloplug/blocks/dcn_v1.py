"""DCNv1: a convolution that predicts for each of its taps where to look.

Paper: Dai et al. 2017, https://arxiv.org/abs/1703.06211, section 2.1. State and defaults as mmcv's DeformConv2dPack.
Mathematics: y(p) = Σ_t w_t x(p s + t d + Δ_t(p)) over the k x k taps t, bilinear, 0 outside the map; the offsets Δ (two
for each tap) are another k x k convolution of x, which starts at zero.
Use it when objects vary in scale, pose or bend, in the deeper stages. Counted work is little above a plain Conv's, time
is not: sampling reads memory out of order. In training on a CPU 2.4 times a 3x3 Conv's at 64 channels with yoloplug's C
kernels; on your machine: python -m experiments.speed.kernels.
"""

from torch import Tensor

from yoloplug.blocks.parts.deformable.deform_conv2d import DeformablePack
from yoloplug.blocks.parts.watch import watched
from yoloplug.registry import register

__all__ = ["DCNv1"]


@register(
    "DCNv1",
    kind="conv",
    paper="arXiv:1703.06211",
    constraints="k odd; g divides c1 and c2; offset_groups divides c1",
    params="k**2 * c1 * c2 / g + c2 * bias + 2 * offset_groups * k**2 * (k**2 * c1 + 1)",
    macs="P * k**2 * c1 * (c2 / g + 2 * offset_groups * k**2 + 4)",
)
class DCNv1(DeformablePack):
    """Deformable convolution; a plain convolution until training moves the offsets from zero.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd.
    offset_groups: channel groups with offsets of their own.
    """

    per_tap = 2

    def forward(self, x: Tensor) -> Tensor:
        return self.convolve(x, watched(self, "offset", self.conv_offset(x)))
