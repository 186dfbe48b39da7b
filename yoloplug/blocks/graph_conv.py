"""GraphConv: graph convolution on the grid of pixels.

Paper: Kipf and Welling 2017, https://arxiv.org/abs/1609.02907, section 2, equation 2. State as the authors' pygcn.
Mathematics: Y = Â X W + b for the pixels' features X (HW x c1), with A the 4- or 8-neighbourhood, D the row sums of
A + I, and Â = D^-½ (A + I) D^-½ (symmetric, the paper's) or D⁻¹ (A + I) (row, pygcn's).
On the grid Â is a stencil: the sum over the window of x(q) / √deg(q), divided by √deg(p); then the 1x1 product with W.
Use it when smoothing over neighbours plus a 1x1 Conv is enough: it has a ninth of a 3x3 Conv's weights and takes
about half its time on a CPU. It cannot tell left from right, so it does not replace every 3x3 Conv of a detector.
Departs: symmetric normalisation by default as in the paper, row as an option (pygcn: row only).
"""

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.checks import at_least_one, one_of
from yoloplug.blocks.parts.memory_format import traced
from yoloplug.native.depthwise import depthwise_forward
from yoloplug.native.use import applies, plain
from yoloplug.registry import register

__all__ = ["GraphConv", "Normalise"]

Normalise = Literal["symmetric", "row"]

_STENCILS = {4: ((0, 1, 0), (1, 1, 1), (0, 1, 0)), 8: ((1, 1, 1), (1, 1, 1), (1, 1, 1))}


@register(
    "GraphConv",
    kind="conv",
    paper="arXiv:1609.02907",
    constraints="k=3 (the neighbours of a pixel)",
    params="c1 * c2 + c2 * bias",
    macs="P * c1 * (c2 + 9) + 9 * H * W",
)
class GraphConv(nn.Module):
    """Average every pixel with its neighbours, normalised by their degrees, then mix the channels.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); with s > 1 the graph stays that of all pixels.
    connectivity: 4 or 8 neighbours. normalise: symmetric divides by both pixels' root degrees, row by the number of
    pixels averaged.
    """

    stencil: Tensor

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        connectivity: int = 4,
        normalise: Normalise = "symmetric",
        bias: bool = True,
    ) -> None:
        super().__init__()
        if k != 3:
            raise ValueError(f"GraphConv: k={k}, but the neighbours of a pixel lie in its 3x3 window; use k=3")
        at_least_one("GraphConv", c1=c1, c2=c2, s=s)
        one_of("GraphConv", [*_STENCILS], connectivity=connectivity)
        one_of("GraphConv", get_args(Normalise), normalise=normalise)
        self.c1, self.s, self.normalise = c1, s, normalise
        self.register_buffer("stencil", torch.tensor(_STENCILS[connectivity]).float()[None, None], persistent=False)
        self.weight = nn.Parameter(torch.empty(c1, c2))
        self.bias: nn.Parameter | None
        self.register_parameter("bias", nn.Parameter(torch.empty(c2)) if bias else None)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(c2**-0.5), c2**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        stencil = self.stencil.to(x.dtype)
        degree = F.conv2d(torch.ones_like(x[:1, :1]), stencil, padding=1)
        here = degree[:, :, :: self.s, :: self.s]
        if self.normalise == "symmetric":
            x, here = x * degree.rsqrt(), here.sqrt()
        stencil = stencil.expand(self.c1, 1, 3, 3)
        if self.s == 1 and not traced() and plain(x):
            y = _Spread.apply(x, stencil) / here
        else:
            y = F.conv2d(x, stencil, stride=self.s, padding=1, groups=self.c1) / here
        return F.conv2d(y, self.weight.t()[:, :, None, None], self.bias)

    @torch.no_grad()
    def fold_affine(self, scale: Tensor, shift: Tensor) -> None:
        self.weight.mul_(scale.to(self.weight))
        shift = shift.to(self.weight)
        if self.bias is None:
            self.bias = nn.Parameter(shift.clone(), self.weight.requires_grad)
        else:
            self.bias.mul_(scale.to(self.bias)).add_(shift)


class _Spread(torch.autograd.Function):
    """The stencil, which is its own transpose: it keeps no map for the backward pass, a convolution keeps its input."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, stencil: Tensor) -> Tensor:
        ctx.stencil = stencil
        if applies(x, stencil):
            return depthwise_forward(x, stencil)
        return F.conv2d(x, stencil, padding=1, groups=len(stencil))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _Spread.apply(gradients[0], ctx.stencil.to(gradients[0].dtype)), None
