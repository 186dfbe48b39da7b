"""GhostUnit: GhostNet's bottleneck, a residual unit of two Ghost modules.

Paper: Han et al. 2020 (GhostNet), https://arxiv.org/abs/1911.11907, section 3.2.
Mathematics:
    y = G₂(SE(D(G₁(x)))) + shortcut(x)
    G₁ widens to expand * c1 channels and ends in ReLU, G₂ is linear; both have k = 1. D is a depthwise k by k
    convolution and BN, only where s > 1. SE(z) = z · hardsigmoid(B relu(A mean(z) + a) + b), where asked for.
    The shortcut is x itself if the shape allows, else depthwise k by k, BN, 1x1, BN.
Use it when a backbone must be small: at width c and expand=3 it takes about 3 c² multiplications per pixel against the
18 c² of the bottleneck that it replaces, with a loss of accuracy. Its many small layers are bound by memory on a GPU.
Departs: its name, because Ultralytics has a GhostBottleneck, which is another layer.
"""

from torch import Tensor, nn

from yoloplug.blocks.ghost_module import GhostModule
from yoloplug.blocks.parts.checks import at_least_one, finite
from yoloplug.blocks.parts.folding.batch_norm import fold_named
from yoloplug.blocks.parts.norms.normalised import Chain, normalised
from yoloplug.blocks.parts.padding import autopad
from yoloplug.blocks.parts.watch import watched
from yoloplug.registry import register

__all__ = ["GhostUnit"]


@register(
    "GhostUnit",
    kind="conv",
    paper="arXiv:1911.11907",
    constraints="k odd; expand*c1 and c2 at least 2",
    params="ceil(floor(expand*c1)/2)*(c1 + 13) + ceil(c2/2)*(floor(expand*c1) + 13)"
    " + (s > 1)*floor(expand*c1)*(k*k + 2) + (c1 != c2 or s > 1)*(c1*(k*k + 2) + c1*c2 + 2*c2)",
    macs="H*W*ceil(floor(expand*c1)/2)*(c1 + 9) + P*ceil(c2/2)*(floor(expand*c1) + 9)"
    " + P*((s > 1)*floor(expand*c1)*k*k + (c1 != c2 or s > 1)*c1*(k*k + c2))",
    tail="none",
    place="bottleneck",
)
class GhostUnit(nn.Module):
    """Ghost module that widens, depthwise convolution at stride 2, Ghost module that projects, shortcut.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd: kernel of the depthwise convolutions.
    expand: width inside over c1. se: width of the squeeze-and-excitation gate over that inside (published: 0.25), which
    the cost formula leaves out; 0: no gate.
    """

    def __init__(self, c1: int, c2: int, k: int = 3, s: int = 1, expand: float = 3.0, se: float = 0.0) -> None:
        super().__init__()
        autopad(k)
        at_least_one("GhostUnit", c1=c1, s=s)
        finite("GhostUnit", expand=expand, se=se)
        mid = int(expand * c1)
        if min(mid, c2) < 2:
            raise ValueError(
                f"GhostUnit: int(expand*c1) and c2 must be at least 2, got {mid} (expand={expand}, c1={c1}) and c2={c2}"
            )
        if se < 0:
            raise ValueError(f"GhostUnit: se must be at least 0, got {se}")
        self.ghost1 = GhostModule(c1, mid, 1)
        self.conv_dw = _depthwise(mid, k, s) if s > 1 else nn.Identity()
        self.bn_dw = nn.BatchNorm2d(mid) if s > 1 else nn.Identity()
        self.se = _Squeeze(mid, se) if se else nn.Identity()
        self.ghost2 = GhostModule(mid, c2, 1, relu=False)
        self.shortcut = (
            nn.Sequential()
            if c1 == c2 and s == 1
            else Chain(_depthwise(c1, k, s), nn.BatchNorm2d(c1), nn.Conv2d(c1, c2, 1, bias=False), nn.BatchNorm2d(c2))
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.ghost2(self.se(normalised(self.bn_dw, self.conv_dw(self.ghost1(x))))) + self.shortcut(x)

    def fold_norms(self) -> None:
        fold_named(self, bn_dw="conv_dw")  # the others stand in sequences


class _Squeeze(nn.Module):
    """Gate per channel from the means of all channels."""

    def __init__(self, c: int, share: float) -> None:
        super().__init__()
        hidden = _multiple_of_four(c * share)
        self.conv_reduce = nn.Conv2d(c, hidden, 1)
        self.conv_expand = nn.Conv2d(hidden, c, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.conv_reduce(x.mean((2, 3), keepdim=True)).relu()
        # F.hardsigmoid's gradient takes 1/6 in float32, in float64 too.
        return x * watched(self, "gate", nn.functional.relu6(self.conv_expand(hidden) + 3) / 6)


def _multiple_of_four(width: float) -> int:
    """The nearest multiple of 4, at least 4, and not below 0.9 of `width`."""
    near = max(4, int(width + 2) // 4 * 4)
    return near + 4 if near < 0.9 * width else near


def _depthwise(c: int, k: int, s: int) -> nn.Conv2d:
    return nn.Conv2d(c, c, k, s, autopad(k), groups=c, bias=False)
