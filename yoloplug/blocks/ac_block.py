"""ACBlock: a square convolution strengthened by a vertical and a horizontal one, for training only.

Paper: Ding et al. 2019 (ACNet), https://arxiv.org/abs/1908.03930, sections 3.2 and 3.3.
Mathematics:
    y = BN₁(K * x) + BN₂(V * x) + BN₃(H * x);  K is k by k, V k by 1, H 1 by k
    A convolution is linear, and a BatchNorm in eval mode is a factor a and a shift b per channel. So, after training,
    y = (a₁K + a₂V + a₃H) * x + b₁ + b₂ + b₃, where V and H lie on the kernel's central column and row.
Use it when a model of plain k by k convolutions should gain accuracy at no cost in inference: fused it is one of them.
Training takes about twice the time and memory of that convolution.
Departs: dilation works (the reference does not fit the paddings of its side branches to it, and fails).
"""

from torch import Tensor, nn

from yoloplug.blocks.parts.checks import check_conv, finite
from yoloplug.blocks.parts.folding.branches import folded, plain_conv
from yoloplug.blocks.parts.norms.normalised import normalised
from yoloplug.registry import register

__all__ = ["ACBlock"]


@register(
    "ACBlock",
    kind="conv",
    paper="arXiv:1908.03930",
    constraints="k odd; g divides c1 and c2",
    params="(k*k + 2*k)*c1*c2//g + 6*c2",
    macs="P*(k*k + 2*k)*c1*c2//g",
    tail="act",
)
class ACBlock(nn.Module):
    """Sum of a k x k, a k x 1 and a 1 x k convolution, each with its BatchNorm; one k x k convolution when fused.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd.
    g: groups. d: dilation. padding: pixels of zeros around the input; None keeps the size at stride 1.
    gamma: start of the three BatchNorm gains; 1/3 is the reference's reduce_gamma.
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        g: int = 1,
        d: int = 1,
        padding: int | None = None,
        gamma: float = 1.0,
    ) -> None:
        super().__init__()
        check_conv("ACBlock", c1, c2, k, s, g)
        finite("ACBlock", gamma=gamma)
        if d < 1 or (padding is not None and padding < 0):
            raise ValueError(f"ACBlock: d must be at least 1 and padding at least 0, got d={d}, padding={padding}")
        half = d * (k // 2)
        p = half if padding is None else padding
        outside, crop = max(p - half, 0), min(p - half, 0)
        self.square_conv = nn.Conv2d(c1, c2, k, s, p, d, g, bias=False)
        self.square_bn = nn.BatchNorm2d(c2)
        self.ver_conv = nn.Conv2d(c1, c2, (k, 1), s, (p, outside), (d, 1), g, bias=False)
        self.hor_conv = nn.Conv2d(c1, c2, (1, k), s, (outside, p), (1, d), g, bias=False)
        self.ver_bn = nn.BatchNorm2d(c2)
        self.hor_bn = nn.BatchNorm2d(c2)
        # With little padding the side kernels must not see the columns (rows) that the square one only looks beyond.
        self.ver_crop = nn.ZeroPad2d((crop, crop, 0, 0)) if crop else nn.Identity()
        self.hor_crop = nn.ZeroPad2d((0, 0, crop, crop)) if crop else nn.Identity()
        for bn in (self.square_bn, self.ver_bn, self.hor_bn):
            nn.init.constant_(bn.weight, gamma)

    def forward(self, x: Tensor) -> Tensor:
        square = normalised(self.square_bn, self.square_conv(x))
        vertical = normalised(self.ver_bn, self.ver_conv(self.ver_crop(x)))
        horizontal = normalised(self.hor_bn, self.hor_conv(self.hor_crop(x)))
        return square + vertical + horizontal

    def to_conv(self) -> nn.Conv2d:
        """A new convolution equal to this block in eval mode."""
        conv = self.square_conv
        (s, _), (d, _) = conv.stride, conv.dilation
        branches = ((conv, self.square_bn), (self.ver_conv, self.ver_bn), (self.hor_conv, self.hor_bn))
        kernels = [folded(branch.weight, bn) for branch, bn in branches]
        return plain_conv(kernels, s, int(conv.padding[0]), d, conv.groups)
