"""SeparableConv: a convolution of each channel by itself, then a 1x1 that mixes the channels.

Paper: Chollet 2017 (Xception), https://arxiv.org/abs/1610.02357, sections 1.1 and 4.7 (nothing between the two).
Mathematics: y[o] = sum_i V[o, i]·(U[i] * x[i]) with one k x k kernel U[i] per channel; equal to one dense convolution
with the kernels W[o, i] = V[o, i]·U[i]. MobileNet's block of the same name has BatchNorm and activation between: not
this one.
Use it when parameters or MACs count: 1/9 + 1/c2 of a 3x3 Conv's. The depthwise half is bound by memory: 0.4 to 0.7
times the training time of a 3x3 Conv on a CPU at 64 channels, often no gain on a GPU. The dense form would cost the
full MACs.
"""

from torch import Tensor, nn

from yoloplug.blocks.parts.checks import check_conv
from yoloplug.blocks.parts.filters.depthwise import convolved
from yoloplug.blocks.parts.folding.affine import AbsorbsAffine
from yoloplug.blocks.parts.padding import autopad
from yoloplug.blocks.parts.reference_state import known
from yoloplug.registry import register

__all__ = ["SeparableConv"]


@register(
    "SeparableConv",
    kind="conv",
    paper="arXiv:1610.02357",
    constraints="k odd",
    params="k**2*c1 + c1*c2 + (c1 + c2)*bias",
    macs="(k**2*c1 + c1*c2) * P",
)
class SeparableConv(AbsorbsAffine):
    """Depthwise k x k, then 1x1, with neither norm nor activation between.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd. d: dilation of the depthwise convolution.
    bias: in both convolutions.
    """

    last_layer = "pointwise"

    def __init__(self, c1: int, c2: int, k: int = 3, s: int = 1, d: int = 1, bias: bool = False) -> None:
        super().__init__()
        check_conv("SeparableConv", c1, c2, k, s)
        self.conv1 = nn.Conv2d(c1, c1, k, s, autopad(k, d), dilation=d, groups=c1, bias=bias)
        self.pointwise = nn.Conv2d(c1, c2, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(convolved(self.conv1, x))

    @staticmethod
    def convert_reference(state: dict[str, Tensor]) -> dict[str, Tensor]:
        """timm's Xception keys are ours; `depth_conv`, `point_conv` (CVHuber/Convolution) are renamed."""
        names = {r"^depth_conv\.": "conv1.", r"^point_conv\.": "pointwise."}
        return known("SeparableConv", state, r"(conv1|pointwise)\.(weight|bias)", names)
