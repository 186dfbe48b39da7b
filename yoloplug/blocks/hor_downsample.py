"""HorDownsample: the layer between two stages of HorNet, half the size and more channels.

Paper: Rao et al. 2022 (HorNet), https://arxiv.org/abs/2207.14284, section 3.2; the layer is ConvNeXt's,
arXiv:2201.03545, section 2.6. State as the reference's `downsample_layers.1` to `.3`.
Mathematics:
  y = W * LN(x) + b,  W: k x k with stride s, 2 x 2 with stride 2 in HorNet; LN over the channels of a pixel
Use it when it stands between rows of HorBlock (see yolov8-HorNet.yaml), whose sums grow with depth: the norm in front
starts every stage at the same scale. With k = s = 2 it has under half of a strided 3x3 Conv's cost and no overlap
between patches.
Departs: as HorStem, in padding and starting weights.
"""

from torch import nn

from yoloplug.blocks.parts.norms.layer_norm_2d import LayerNorm2d
from yoloplug.blocks.parts.patch_conv import PatchConv
from yoloplug.registry import register

__all__ = ["HorDownsample"]


@register(
    "HorDownsample",
    kind="conv",
    paper="arXiv:2207.14284",
    constraints="k >= s",
    params="k**2*c1*c2 + c2 + 2*c1",
    macs="P*k**2*c1*c2",
    tail="none",
    place="row",
)
class HorDownsample(nn.Sequential):
    """LayerNorm, then convolution of patches.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)). As a YAML row `[128, 2, 2]`.
    """

    def __init__(self, c1: int, c2: int, k: int = 2, s: int = 2) -> None:
        super().__init__(LayerNorm2d(c1), PatchConv(c1, c2, k, s))
