"""SelfCalBottleneck: residual unit of SCNet, a plain and a self-calibrated path side by side.

Paper: Liu et al. 2020 (SCNet), CVPR, https://mmcheng.net/mftp/Papers/20cvprSCNet.pdf, section 3.2.
Mathematics: a = relu(K1(relu(A(x)))), b = relu(SelfCalConv(relu(B(x)))), y = relu(x + E(cat[a, b])); A and B are 1x1
convolutions to w channels, K1 is 3x3, E is 1x1 to c2; each ends in BatchNorm. w = c2 * bottleneck_width // 256.
Use it when a residual unit should look further than 3x3 without attention over the whole image. The published width
(an eighth of c2 on each path) makes it far cheaper than YOLO's bottleneck, and weaker: bottleneck_width=128 gives each
path half of c2. Ten convolutions in a row: launch-bound on a GPU.
Departs: none; the projection of the shortcut is the reference's 1x1 convolution with stride, where x does not fit.
"""

import torch
from torch import Tensor, nn

from yoloplug.blocks.parts.checks import at_least_one
from yoloplug.blocks.parts.folding.batch_norm import fold_named
from yoloplug.blocks.parts.norms.normalised import Chain, normalised
from yoloplug.blocks.parts.padding import autopad
from yoloplug.blocks.parts.residual import middle_width, shortcut
from yoloplug.blocks.self_cal_conv import SelfCalConv
from yoloplug.registry import register

__all__ = ["SelfCalBottleneck"]


@register(
    "SelfCalBottleneck",
    kind="conv",
    paper="doi:10.1109/CVPR42600.2020.01011",
    constraints="c2 * bottleneck_width >= 256; k odd",
    params="(c2*bottleneck_width//256)*(2*c1 + 4*k**2*(c2*bottleneck_width//256) + 2*c2 + 12) + 2*c2"
    " + (c1 != c2 or s > 1)*(c1*c2 + 2*c2)",
    macs="(c2*bottleneck_width//256)*(2*c1*H*W + 2*c2*P) + (c1 != c2 or s > 1)*c1*c2*P"
    " + k**2*(c2*bottleneck_width//256)**2*(H*W + max(1, H//r)*max(1, W//r) + 2*P)",
    tail="none",
    place="bottleneck",
)
class SelfCalBottleneck(nn.Module):
    """Bottleneck with a plain and a self-calibrated 3x3 path, and a shortcut.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)).
    bottleneck_width: width of each path in 256ths of c2, rounded down. r: cells of SelfCalConv.
    """

    def __init__(self, c1: int, c2: int, k: int = 3, s: int = 1, bottleneck_width: int = 32, r: int = 4) -> None:
        super().__init__()
        at_least_one("SelfCalBottleneck", c1=c1, c2=c2, s=s, r=r)
        width = middle_width("SelfCalBottleneck", c2, bottleneck_width=bottleneck_width)
        self.conv1_a = nn.Conv2d(c1, width, 1, bias=False)
        self.bn1_a = nn.BatchNorm2d(width)
        self.conv1_b = nn.Conv2d(c1, width, 1, bias=False)
        self.bn1_b = nn.BatchNorm2d(width)
        self.k1 = Chain(nn.Conv2d(width, width, k, s, autopad(k), bias=False), nn.BatchNorm2d(width))
        self.scconv = SelfCalConv(width, width, k, s, r)
        self.conv3 = nn.Conv2d(2 * width, c2, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(c2)
        self.downsample = shortcut(c1, c2, s)

    def forward(self, x: Tensor) -> Tensor:
        a = self.k1(normalised(self.bn1_a, self.conv1_a(x), "relu")).relu()
        b = self.scconv(normalised(self.bn1_b, self.conv1_b(x), "relu")).relu()
        return (normalised(self.bn3, self.conv3(torch.cat([a, b], dim=1))) + self.downsample(x)).relu()

    def fold_norms(self) -> None:
        fold_named(self, bn1_a="conv1_a", bn1_b="conv1_b", bn3="conv3")
