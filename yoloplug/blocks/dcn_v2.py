"""DCNv2: deformable convolution that also predicts how much each tap counts.

Paper: Zhu et al. 2019, https://arxiv.org/abs/1811.11168, section 3.2. State as mmcv's ModulatedDeformConv2dPack.
Mathematics: y(p) = Σ_t w_t m_t(p) x(p s + t d + Δ_t(p)) over the k x k taps t, bilinear, 0 outside the map; offsets Δ
and masks m = sigmoid(.) are another k x k convolution of x, which starts at zero (m = 1/2).
Use it when DCNv1 would do: masks let it ignore what it must not see, for half as many predicted maps again and a few
percent of time. Measured on your machine by python -m experiments.speed.kernels.
Departs: bias defaults to False, because a BatchNorm follows in the hosts (mmcv: True).
"""

from torch import Tensor

from yoloplug.blocks.parts.deformable.deform_conv2d import DeformablePack
from yoloplug.blocks.parts.watch import watched
from yoloplug.registry import register

__all__ = ["DCNv2"]


@register(
    "DCNv2",
    kind="conv",
    paper="arXiv:1811.11168",
    constraints="k odd; g divides c1 and c2; offset_groups divides c1",
    params="k**2 * c1 * c2 / g + c2 * bias + 3 * offset_groups * k**2 * (k**2 * c1 + 1)",
    macs="P * k**2 * c1 * (c2 / g + 3 * offset_groups * k**2 + 4)",
)
class DCNv2(DeformablePack):
    """Modulated deformable convolution; at the start half of a plain convolution, every mask being sigmoid(0).

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd.
    offset_groups: channel groups with offsets of their own.
    """

    per_tap = 3

    def forward(self, x: Tensor) -> Tensor:
        taps = self.offset_groups * self.k**2
        offset, mask = self.conv_offset(x).split([2 * taps, taps], dim=1)
        return self.convolve(x, watched(self, "offset", offset), watched(self, "modulation", mask.sigmoid()))
