"""HorStem: HorNet's first layer, a picture cut into patches.

Paper: Rao et al. 2022 (HorNet), https://arxiv.org/abs/2207.14284, section 3.2; the layer is ConvNeXt's,
arXiv:2201.03545, section 2.2. State as the reference's `downsample_layers.0`.
Mathematics:
  y = LN(W * x + b),  W: k x k with stride s, 4 x 4 with stride 4 in HorNet; LN over the channels of a pixel
Use it when rows of HorBlock follow (see yolov8-HorNet.yaml). It goes from the picture to P2 in one step: cheap on CPU
and GPU, but details below four pixels have to fit into the channels.
Departs: a size that s does not divide is padded with zeros at the bottom and right (the reference drops those pixels);
weights start as in torch (the reference: normal noise of 0.02), so that a layer's output starts with its input's scale.
"""

from torch import nn

from yoloplug.blocks.parts.norms.layer_norm_2d import LayerNorm2d
from yoloplug.blocks.parts.patch_conv import PatchConv
from yoloplug.registry import register

__all__ = ["HorStem"]


@register(
    "HorStem",
    kind="conv",
    paper="arXiv:2207.14284",
    constraints="k >= s",
    params="k**2*c1*c2 + 3*c2",
    macs="P*k**2*c1*c2",
    tail="none",
    place="row",
)
class HorStem(nn.Sequential):
    """Convolution of patches, then LayerNorm.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)). As a YAML row `[64, 4, 4]`.
    """

    def __init__(self, c1: int, c2: int, k: int = 4, s: int = 4) -> None:
        super().__init__(PatchConv(c1, c2, k, s), LayerNorm2d(c2))
