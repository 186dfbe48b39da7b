"""PointwiseConv: a 1x1 convolution, the same linear layer at every pixel.

Paper: Lin, Chen, Yan 2014 (Network in Network), https://arxiv.org/abs/1312.4400, section 3.1.
Mathematics: y[o, p] = sum_i W[o, i]·x[i, p] + b[o] at every pixel p; a BatchNorm behind it folds into it by W' =
W·gamma/sqrt(var + eps), b' = (b - mean)·gamma/sqrt(var + eps) + beta.
Use it when channels are to be mixed or their number changed and no neighbourhood is needed: 1/9 of the MACs of a 3x3
Conv, a seventh to a quarter of its training time on a CPU. Alone it cannot see shapes; stride 2 ignores three pixels of
four.
"""

from torch import nn

from yoloplug.blocks.parts.checks import at_least_one, divides
from yoloplug.blocks.parts.folding.affine import AbsorbsAffine
from yoloplug.registry import register

__all__ = ["PointwiseConv"]


@register(
    "PointwiseConv",
    kind="conv",
    paper="arXiv:1312.4400",
    constraints="g divides c1 and c2",
    params="c1*c2/g + c2*bias",
    macs="c1*c2/g * P",
)
class PointwiseConv(AbsorbsAffine, nn.Conv2d):
    """Convolution with a 1x1 kernel, whatever k the row names.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)). k: only keeps the place that the kernel size has in every
    conv row and host; it changes nothing. g: groups, a divisor of c1 and c2.
    """

    def __init__(self, c1: int, c2: int, k: int = 1, s: int = 1, g: int = 1, bias: bool = False) -> None:
        at_least_one("PointwiseConv", c1=c1, c2=c2, k=k, s=s)
        divides("PointwiseConv", "g", g, c1=c1, c2=c2)
        super().__init__(c1, c2, 1, s, groups=g, bias=bias)
