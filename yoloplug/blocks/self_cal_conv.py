"""SelfCalConv: self-calibrated convolution, gated by what the same features say at a coarser scale.

Paper: Liu et al. 2020 (SCNet), CVPR, https://mmcheng.net/mftp/Papers/20cvprSCNet.pdf, section 3.1.
Mathematics: y = K4( K3(x) * sigmoid(x + up(K2(avgpool_r(x)))) ), each K a convolution with BatchNorm, up by nearest
neighbour to the size of x, * element by element.
Use it when context should decide where a convolution answers, at bounded cost: K2 runs on 1/r^2 of the pixels, so the
whole has the FLOPs of about two plain convolutions, three times the parameters, and 2.3 times the time on a CPU.
Departs: c2 may differ from c1 (K2 and K3 keep c1, K4 changes it); a map smaller than r has one cell, the mean of the
pixels there are (the reference fails). Not SCConv, which is another paper of the same name.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.checks import at_least_one, divides
from yoloplug.blocks.parts.norms.normalised import Chain
from yoloplug.blocks.parts.norms.pooled_batch_norm_2d import PooledBatchNorm2d
from yoloplug.blocks.parts.padding import autopad
from yoloplug.blocks.parts.watch import watched
from yoloplug.registry import register

__all__ = ["SelfCalConv"]


@register(
    "SelfCalConv",
    kind="conv",
    paper="doi:10.1109/CVPR42600.2020.01011",
    constraints="c1 and c2 divisible by groups; k odd",
    params="k**2*c1*(2*c1 + c2)/groups + 4*c1 + 2*c2",
    macs="k**2*c1/groups*(c1*H*W + c1*max(1, H//r)*max(1, W//r) + c2*P)",
    tail="act",
)
class SelfCalConv(nn.Module):
    """Convolution whose features are gated by a coarse view of the input.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); the last convolution takes the stride.
    r: side of the pooled cells in pixels; pixels beyond the last whole cell are not pooled. d: dilation of all three.
    """

    def __init__(self, c1: int, c2: int, k: int = 3, s: int = 1, r: int = 4, d: int = 1, groups: int = 1) -> None:
        super().__init__()
        at_least_one("SelfCalConv", c1=c1, c2=c2, s=s, r=r)
        divides("SelfCalConv", "groups", groups, c1=c1, c2=c2)

        def conv(width: int, stride: int = 1) -> nn.Conv2d:
            return nn.Conv2d(c1, width, k, stride, autopad(k, d), d, groups, bias=False)

        self.k2 = nn.Sequential(_CellMeans(r), conv(c1), PooledBatchNorm2d(c1))
        self.k3 = Chain(conv(c1), nn.BatchNorm2d(c1))
        self.k4 = Chain(conv(c2, s), nn.BatchNorm2d(c2))

    def forward(self, x: Tensor) -> Tensor:
        gate = watched(self, "gate", torch.sigmoid(x + _stretched(self.k2(x), x.shape[2], x.shape[3])))
        return self.k4(self.k3(x) * gate)


class _CellMeans(nn.Module):
    """Means of r x r cells, as many as fit whole, but at least one.

    Shape: (N, c, H, W) -> (N, c, max(1, H // r), max(1, W // r)).
    """

    def __init__(self, r: int) -> None:
        super().__init__()
        self.r = r

    def forward(self, x: Tensor) -> Tensor:
        means = F.avg_pool2d(x, self.r, ceil_mode=True, count_include_pad=False)  # a last cell may be cut
        return means[:, :, : _at_least_one(x.shape[2] // self.r), : _at_least_one(x.shape[3] // self.r)]


def _at_least_one(n: int) -> int:
    """max(1, n) for n >= 0 without comparing, so that a trace holds for every size."""
    return n + 1 // (n + 1)


def _stretched(cells: Tensor, h: int, w: int) -> Tensor:
    """(N, c, rows, columns) -> (N, c, h, w) by nearest neighbour: pixel i takes cell i * rows // h."""
    if torch.onnx.is_in_onnx_export():  # onnxruntime's Resize rounds some sizes (114 pixels of 28 cells) differently
        rows, columns = (torch.arange(size, device=cells.device) for size in (h, w))
        cells = cells.index_select(2, rows * cells.shape[2] // h)
        return cells.index_select(3, columns * cells.shape[3] // w)
    return F.interpolate(cells, size=(h, w), mode="nearest")
