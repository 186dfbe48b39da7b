"""GBC: gated bottleneck convolution, built for the thin continuous shapes of cracks.

Paper: Liu et al. 2025 (SCSegamba), https://arxiv.org/abs/2503.01113, section 3.2.
Mathematics:
  B_i(x) = ReLU(GroupNorm(BottConv(x))), c // 8 channels inside; 3x3 in B_1 and B_2, 1x1 in B_3 and B_4
  y = x + B_4(B_2(B_1(x)) ⊙ B_3(x))
Use it when thin continuous shapes (cracks, vessels) are to be segmented with few parameters: c² + 11c, about an
eighth of a 3x3 Conv's. It is not fast: twelve small convolutions, each a pass over memory, take 1.1 to 1.7 times a
plain 3x3 Conv's time on a CPU, and launches dominate on a GPU. As published it only adds (ReLU) to x: values grow with
depth.
Measured: on blood cells (experiments/results/bccd-blocks-12: 12 epochs, 320 px, bf16, three seeds) C2f_GBC has AP .423,
stock .475: worse. That it has a seventh to an eighth of the weights of the convolution whose place it takes may be why;
it was not looked into.
Departs: a width that is no multiple of 16 takes the nearest valid group counts (the reference fails); a sigmoid gate
and a branch that starts at zero are options, off by default.
"""

from typing import Literal, get_args

from torch import Tensor, nn

from yoloplug.blocks.bott_conv import BottConv
from yoloplug.blocks.parts.checks import divisors, one_of
from yoloplug.blocks.parts.norms.group_norm import GroupNorm
from yoloplug.blocks.parts.norms.layer_scale import LayerScale
from yoloplug.blocks.parts.norms.normalised import Chain
from yoloplug.blocks.parts.watch import watched
from yoloplug.registry import register

__all__ = ["GBC", "Gate", "Norm"]

Norm = Literal["GN", "IN"]
Gate = Literal["product", "sigmoid"]


@register(
    "GBC",
    kind="keep",
    paper="arXiv:2503.01113",
    constraints="c >= 8; multiples of 16 are the published form",
    params="8*c*(c//8) + 24*(c//8) + 8*c",
    macs="P*(8*c*(c//8) + 18*(c//8))",
)
class GBC(nn.Module):
    """x + B4(B2(B1(x)) * B3(x)), each B a BottConv, a normalisation and a ReLU.

    Shape: (N, c, H, W) -> same. norm: GN has c // 16 groups in the first three, 16 in the last; IN is the reference's
    "instance norm", which normalises a sample over channels and pixels together, without gain.
    gate: product multiplies with ReLU features as published; sigmoid bounds the gate to (0, 1).
    zero_init: a gain per channel, 0 at the start, on what is added to x, so that a fresh block passes x through.
    """

    def __init__(self, c: int, norm: Norm = "GN", gate: Gate = "product", zero_init: bool = False) -> None:
        super().__init__()
        if c < 8:
            raise ValueError(f"GBC: c={c} is too narrow, its bottleneck is c // 8 wide; use c >= 8")
        one_of("GBC", get_args(Norm), norm=norm)
        one_of("GBC", get_args(Gate), gate=gate)
        groups = _nearest_divisor(c, c / 16)
        self.block1 = _bottleneck(c, 3, norm, groups)
        self.block2 = _bottleneck(c, 3, norm, groups)
        self.block3 = _bottleneck(c, 1, norm, groups, nn.Sigmoid() if gate == "sigmoid" else None)
        self.block4 = _bottleneck(c, 1, norm, _nearest_divisor(c, 16))
        self.gain = LayerScale(c, 0) if zero_init else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        gate = watched(self, "gate", self.block3(x))
        return x + self.gain(self.block4(self.block2(self.block1(x)) * gate))


def _bottleneck(c: int, k: int, norm: Norm, groups: int, act: nn.Module | None = None) -> nn.Sequential:
    normalise = GroupNorm(groups, c) if norm == "GN" else GroupNorm(1, c, affine=False)
    return Chain(BottConv(c, c, k, mid=c // 8), normalise, act or nn.ReLU(inplace=True))


def _nearest_divisor(number: int, wanted: float) -> int:
    """The divisor nearest to `wanted`, the smaller of two equally near."""
    return min(divisors(number), key=lambda d: abs(d - wanted))
