"""TransposedConv: a convolution that makes the map s times larger, with learned weights.

Paper: Zeiler et al. 2010, https://doi.org/10.1109/CVPR.2010.5539957, and Long, Shelhamer, Darrell 2015 (FCN),
https://arxiv.org/abs/1411.4038, section 3.3.
Mathematics: y[s·p + d·t - pad] += W[t]ᵀ·x[p] for every input pixel p and tap t, the transpose of a convolution with
stride s; pad and output padding are chosen so that (H - 1)·s - 2·pad + d·(k - 1) + 1 + output_pad = s·H.
Use it when upsampling should be learned: instead of `nn.Upsample` before a Concat in the neck. Each input pixel writes
k² outputs, so k = s costs s² 1x1 convolutions of the small map; nearest upsampling costs nothing. If s does not divide
k, neighbouring outputs get different numbers of taps and checkerboards appear; a dilation that shares a factor with s
leaves outputs without any tap.
"""

from torch import nn

from yoloplug.blocks.parts.checks import at_least_one, divides
from yoloplug.blocks.parts.folding.affine import AbsorbsAffine
from yoloplug.registry import register

__all__ = ["TransposedConv"]


@register(
    "TransposedConv",
    kind="conv",
    paper="doi:10.1109/CVPR.2010.5539957",
    constraints="d(k-1)+1 >= s; k odd at s=1, d=1; g divides c1 and c2",
    params="c1*c2*k**2/g + c2*bias",
    macs="c1*c2*k**2/g * H*W",
    place="row",
)
class TransposedConv(AbsorbsAffine, nn.ConvTranspose2d):
    """Transposed convolution whose output is exactly s times its input's size.

    Shape: (N, c1, H, W) -> (N, c2, s·H, s·W); k=2, s=2 and k=4, s=2 are the usual pairs. g: groups, a divisor of c1 and
    c2. d: dilation in output pixels.
    """

    def __init__(self, c1: int, c2: int, k: int = 2, s: int = 2, g: int = 1, d: int = 1, bias: bool = False) -> None:
        at_least_one("TransposedConv", c1=c1, c2=c2, k=k, s=s, d=d)
        divides("TransposedConv", "g", g, c1=c1, c2=c2)
        excess = d * (k - 1) + 1 - s
        if excess < 0:
            raise ValueError(f"TransposedConv: k={k} with s={s} leaves outputs that no input reaches; use k >= {s}")
        if excess % 2 and max(s, d) == 1:
            raise ValueError(f"TransposedConv: k={k} with s=1 cannot keep the size; use an odd k such as {k + 1}")
        super().__init__(c1, c2, k, s, -(-excess // 2), excess % 2, groups=g, bias=bias, dilation=d)
