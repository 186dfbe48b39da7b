"""XceptionBlock: a residual unit of separable convolutions, activation first.

Paper: Chollet 2017 (Xception), https://arxiv.org/abs/1610.02357, section 3 and figure 5.
Mathematics: y = skip(x) + pool(BN(Sep(ReLU( .. BN(Sep(ReLU(x))) .. )))) with `reps` separable convolutions; pool is a
3x3 maximum with stride s (absent at s = 1), skip the identity, or a 1x1 convolution with stride s and BN where size
changes.
Use it when a whole residual unit may replace a bottleneck: reps·(9 c + c²) parameters, about a sixth of a two-conv 3x3
bottleneck's at reps = 3, but three depthwise passes over memory, so slower than its MACs say. Every separable
convolution runs at the input's size, also at stride 2. The output is a sum without activation.
"""

from itertools import pairwise

from torch import Tensor, nn

from yoloplug.blocks.parts.checks import at_least_one
from yoloplug.blocks.parts.folding.batch_norm import fold_named
from yoloplug.blocks.parts.norms.normalised import Chain, normalised
from yoloplug.blocks.separable_conv import SeparableConv
from yoloplug.registry import register

__all__ = ["XceptionBlock"]


@register(
    "XceptionBlock",
    kind="conv",
    paper="arXiv:1610.02357",
    constraints="k odd",
    params="k**2*c1 + c1*c2 + 2*c2 + (reps - 1)*(k**2*c2 + c2**2 + 2*c2) + (c1 != c2 or s > 1)*(c1*c2 + 2*c2)",
    macs="(k**2*c1 + c1*c2 + (reps - 1)*(k**2*c2 + c2**2)) * H*W + (c1 != c2 or s > 1)*c1*c2 * P",
    tail="none",
    place="bottleneck",
)
class XceptionBlock(nn.Module):
    """Shortcut plus `reps` times ReLU, SeparableConv, BatchNorm.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd. reps: separable convolutions. start_with_relu: off in
    the network's first block. grow_first: the first of them changes the width, otherwise the last.
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        reps: int = 3,
        start_with_relu: bool = True,
        grow_first: bool = True,
    ) -> None:
        super().__init__()
        at_least_one("XceptionBlock", c1=c1, c2=c2, s=s, reps=reps)
        middle = c2 if grow_first else c1
        widths = [c1, *[middle] * (reps - 1), c2]
        rep: list[nn.Module] = []
        for a, b in pairwise(widths):
            rep += [_ReLU(), SeparableConv(a, b, k), nn.BatchNorm2d(b)]
        pool = [nn.MaxPool2d(3, s, 1)] if s > 1 else []
        self.rep = Chain(*rep[0 if start_with_relu else 1 :], *pool)
        changes = c1 != c2 or s > 1
        self.skip = nn.Conv2d(c1, c2, 1, s, bias=False) if changes else nn.Identity()
        self.skipbn = nn.BatchNorm2d(c2) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.rep(x) + normalised(self.skipbn, self.skip(x))

    def fold_norms(self) -> None:
        norms = [i for i, module in enumerate(self.rep) if isinstance(module, nn.BatchNorm2d)]
        fold_named(self, skipbn="skip", **{f"rep.{i}": f"rep.{i - 1}" for i in norms})


class _ReLU(nn.Module):
    """Never in place: Ultralytics makes every nn.ReLU so, and the shortcut reads what the first one does."""

    computes = "relu"

    def forward(self, x: Tensor) -> Tensor:
        return x.relu()
