"""ResNeStBottleneck: residual unit with split attention for its 3x3 convolution.

Paper: Zhang et al. 2022 (ResNeSt), https://arxiv.org/abs/2004.08955, sections 3.1 and 3.2.
Mathematics: h = SplitAttention(relu(bn(A(x)))), averaged over 3x3 windows with the stride; y = relu(D(x) + bn(E(h))).
A is a 1x1 convolution to w = c2 * bottleneck_width // 256 * groups channels, E a 1x1 to c2; the shortcut D averages
2x2 pixels and projects, where width or stride change.
Use it when a stock bottleneck underfits and latency allows: attention over the whole image in each unit. The published
w is a quarter of c2, cheap beside YOLO's bottleneck; bottleneck_width=128 makes it half.
Departs: trains at batch 1, see SplitAttention.
"""

from torch import Tensor, nn

from yoloplug.blocks.parts.checks import at_least_one, divides
from yoloplug.blocks.parts.folding.batch_norm import fold_named
from yoloplug.blocks.parts.norms.normalised import Chain, normalised
from yoloplug.blocks.parts.residual import middle_width
from yoloplug.blocks.split_attention import SplitAttention
from yoloplug.registry import register

__all__ = ["ResNeStBottleneck"]


@register(
    "ResNeStBottleneck",
    kind="conv",
    paper="arXiv:2004.08955",
    constraints="c2 * bottleneck_width // 256 divisible by radix; k odd",
    params="(c2*bottleneck_width//256*groups)*(c1 + c2 + 2) + 2*c2 + (c1 != c2 or s > 1)*(c1*c2 + 2*c2)"
    " + (c2*bottleneck_width//256*groups)*(k**2*(c2*bottleneck_width//256) + 3*radix)"
    " + max(32, c2*bottleneck_width//256*groups*radix//4)*(c2*bottleneck_width//256*(1 + radix) + 3)",
    macs="(c2*bottleneck_width//256*groups)*(c1*H*W + k**2*(c2*bottleneck_width//256)*H*W + c2*P)"
    " + (c1 != c2 or s > 1)*c1*c2*P"
    " + max(32, c2*bottleneck_width//256*groups*radix//4)*(c2*bottleneck_width//256)*(1 + radix)",
    tail="none",
    place="bottleneck",
)
class ResNeStBottleneck(nn.Module):
    """Bottleneck with split attention in the middle, and a shortcut.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)).
    bottleneck_width: width of the middle in 256ths of c2, rounded down, times groups. first: a stage's first unit,
    which averages over 3x3 windows at stride 1 too.
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        radix: int = 2,
        groups: int = 1,
        bottleneck_width: int = 64,
        first: bool = False,
    ) -> None:
        super().__init__()
        at_least_one("ResNeStBottleneck", c1=c1, c2=c2, s=s, radix=radix, groups=groups)
        group = middle_width("ResNeStBottleneck", c2, bottleneck_width=bottleneck_width)
        divides("ResNeStBottleneck", "radix", radix, width=group)
        width = group * groups
        self.conv1 = nn.Conv2d(c1, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = SplitAttention(width, width, k, 1, radix, groups)
        self.avd_layer = nn.AvgPool2d(3, s, 1) if s > 1 or first else nn.Identity()
        self.conv3 = nn.Conv2d(width, c2, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(c2)
        self.downsample = nn.Identity() if c1 == c2 and s == 1 else _averaged_shortcut(c1, c2, s)

    def forward(self, x: Tensor) -> Tensor:
        h = self.avd_layer(self.conv2(normalised(self.bn1, self.conv1(x), "relu")))
        return (normalised(self.bn3, self.conv3(h)) + self.downsample(x)).relu()

    def fold_norms(self) -> None:
        fold_named(self, bn1="conv1", bn3="conv3")


def _averaged_shortcut(c1: int, c2: int, s: int) -> nn.Sequential:
    return Chain(
        nn.AvgPool2d(s, s, ceil_mode=True, count_include_pad=False),
        nn.Conv2d(c1, c2, 1, bias=False),
        nn.BatchNorm2d(c2),
    )
