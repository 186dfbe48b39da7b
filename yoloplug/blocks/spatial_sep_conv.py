"""SpatialSepConv: a k x 1 convolution, then a 1 x k one.

Paper: Szegedy et al. 2016 (Inception v3), https://arxiv.org/abs/1512.00567, section 3.2 (no paper is the block's own).
Mathematics: y = H * (V * x) with V of shape (mid, c1, k, 1) and H of shape (c2, mid, 1, k); equal to one k x k
convolution whose kernels are sums of `mid` rank-1 kernels, W[o, i] = sum_m V[m, i] H[o, m], borders included.
Use it when kernels are large: cost grows with 2k, not k². At k = 3 it saves a third of the MACs and no time (0.9 to
1.1 times a 3x3 Conv in training on a CPU); at k = 5 it takes about two thirds of a 5x5 Conv's. The one dense
convolution has more MACs, so it stays two.
Departs: nothing lies between the two (Inception v3 puts BatchNorm and ReLU there).
"""

from torch import Tensor, nn

from yoloplug.blocks.parts.checks import at_least_one, divides
from yoloplug.blocks.parts.folding.affine import AbsorbsAffine
from yoloplug.blocks.parts.padding import autopad
from yoloplug.blocks.parts.reference_state import known
from yoloplug.registry import register

__all__ = ["SpatialSepConv"]


@register(
    "SpatialSepConv",
    kind="conv",
    paper="arXiv:1512.00567",
    constraints="k odd; g divides c1, c2 and mid",
    params="k*c2*(c1 + c2)/g + c2*bias",
    macs="k*c2*(c1*W + c2*ceil(W/s)) * ceil(H/s) / g",
)
class SpatialSepConv(AbsorbsAffine):
    """Vertical convolution to `mid` channels, then horizontal to c2.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd. mid: width between the two, default c2 (the cost
    formulas take that); k·mid·(c1 + c2)/g parameters. bias: in the second only, behind the padding. g: groups of both;
    g = c1 = c2 is the factorised depthwise convolution, 2k weights a channel.
    """

    last_layer = "horizontal"

    def __init__(
        self, c1: int, c2: int, k: int = 3, s: int = 1, mid: int | None = None, bias: bool = False, g: int = 1
    ) -> None:
        super().__init__()
        mid = c2 if mid is None else mid
        at_least_one("SpatialSepConv", c1=c1, c2=c2, s=s, mid=mid)
        divides("SpatialSepConv", "g", g, c1=c1, mid=mid, c2=c2)
        self.vertical = nn.Conv2d(c1, mid, (k, 1), (s, 1), (autopad(k), 0), groups=g, bias=False)
        self.horizontal = nn.Conv2d(mid, c2, (1, k), (1, s), (0, autopad(k)), groups=g, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.horizontal(self.vertical(x))

    @staticmethod
    def convert_reference(state: dict[str, Tensor]) -> dict[str, Tensor]:
        """From `nn.Sequential(vertical, horizontal)`."""
        names = {r"^0\.": "vertical.", r"^1\.": "horizontal."}
        return known("SpatialSepConv", state, r"vertical\.weight|horizontal\.(weight|bias)", names)
