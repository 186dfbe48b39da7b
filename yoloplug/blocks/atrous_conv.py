"""AtrousConv: a dilated convolution, a wide view at the cost of a narrow one.

Paper: Yu, Koltun 2016, https://arxiv.org/abs/1511.07122, section 2.
Mathematics: y[p] = sum_t W[t]·x[p + d·t] over the taps t in {-(k-1)/2 .. (k-1)/2}²; the kernel spans d·(k-1) + 1
pixels.
Use it when context is missing and resolution must stay, in deep layers of few pixels. Parameters and MACs are those of
a plain convolution, and so is the time (0.9 to 1.05 times on a CPU, d = 2 to 18). Two in a row with d >= 2 and a
common factor leave holes in what a pixel sees: take HDC there. With a d as large as the map only the centre tap reads
it.
"""

from torch import nn

from yoloplug.blocks.parts.checks import check_conv
from yoloplug.blocks.parts.folding.affine import AbsorbsAffine
from yoloplug.blocks.parts.padding import autopad
from yoloplug.registry import register

__all__ = ["AtrousConv"]


@register(
    "AtrousConv",
    kind="conv",
    paper="arXiv:1511.07122",
    constraints="k odd; g divides c1 and c2",
    params="c1*c2*k**2/g + c2*bias",
    macs="c1*c2*k**2/g * P",
)
class AtrousConv(AbsorbsAffine, nn.Conv2d):
    """Convolution whose taps lie d pixels apart, padded so that the size stays.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd. d: dilation in pixels of the input. g: groups, a
    divisor of c1 and c2.
    """

    def __init__(self, c1: int, c2: int, k: int = 3, s: int = 1, d: int = 2, g: int = 1, bias: bool = False) -> None:
        check_conv("AtrousConv", c1, c2, k, s, g)
        super().__init__(c1, c2, k, s, autopad(k, d), dilation=d, groups=g, bias=bias)
