"""GroupShuffleConv: a group convolution whose output channels are shuffled across the groups.

Paper: Zhang et al. 2018 (ShuffleNet), https://arxiv.org/abs/1707.01083, section 3.1.
Mathematics: group q of the output sees group q of the input only, y_q = W_q * x_q for q = 0 .. g-1; then channel i of
the result is channel (i mod g)·(c2/g) + floor(i/g) of y, so that each group of the next layer sees every group of this
one.
Use it when a plain convolution is too dear and another convolution follows: 1/g of the parameters and MACs, about half
the training time of a 3x3 Conv on a CPU at g = 4. On a GPU small groups use the hardware badly and gain little. It
equals a dense convolution with permuted rows and zeros between the groups, which would cost g times as much, so it
stays as it is.
"""

from torch import Tensor, nn

from yoloplug.blocks.parts.channel_shuffle import channel_shuffle, unshuffled
from yoloplug.blocks.parts.checks import check_conv
from yoloplug.blocks.parts.folding.affine import absorb_affine
from yoloplug.blocks.parts.padding import autopad
from yoloplug.registry import register

__all__ = ["GroupShuffleConv"]


@register(
    "GroupShuffleConv",
    kind="conv",
    paper="arXiv:1707.01083",
    constraints="k odd; g divides c1 and c2",
    params="c1*c2*k**2/g + c2*bias",
    macs="c1*c2*k**2/g * P",
)
class GroupShuffleConv(nn.Module):
    """Convolution in g groups, then a channel shuffle.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd. g: number of groups, a divisor of c1 and c2.
    """

    def __init__(self, c1: int, c2: int, k: int = 3, s: int = 1, g: int = 4, bias: bool = False) -> None:
        super().__init__()
        check_conv("GroupShuffleConv", c1, c2, k, s, g)
        self.g = g
        self.conv = nn.Conv2d(c1, c2, k, s, autopad(k), groups=g, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return channel_shuffle(self.conv(x), self.g)

    def fold_affine(self, scale: Tensor, shift: Tensor) -> None:
        absorb_affine(self.conv, unshuffled(scale, self.g), unshuffled(shift, self.g))
