"""Involution: a convolution turned inside out, with kernels that differ by place and are shared by channels.

Paper: Li et al. 2021, https://arxiv.org/abs/2103.06255, section 3.
State as the authors' `involution`.
Mathematics: y_c(p) = Σ_t K_g(c),t(p) x_c(ps + t) over the k x k taps t; K(p) = W₁ ReLU(BN(W₀ x(p))), x averaged over
s x s windows before W₀; g(c) = c // group_channels. The k² c P products of the sum are element-wise: not in `macs`.
Use it when a wide window must adapt to the place and parameters are scarce: k=7 has an eighth of a 3x3 Conv's at 64
channels. It trades them for memory traffic: on a CPU k=7 takes about a 3x3 Conv's time with yoloplug's C kernels (twice
it in channels_last), 3 to 5 times it without; on a GPU it runs k² small kernels.
Departs: group_channels is an option (there: 16); at stride 2 odd sizes work, the last window averages what it has.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.checks import at_least_one, divides
from yoloplug.blocks.parts.filters.local_filter import local_filter
from yoloplug.blocks.parts.memory_format import memory_format
from yoloplug.blocks.parts.padding import autopad
from yoloplug.blocks.parts.watch import watched
from yoloplug.registry import register

__all__ = ["Involution"]


@register(
    "Involution",
    kind="keep",
    paper="arXiv:2103.06255",
    constraints="c divisible by group_channels; k odd",
    params="(c + 2) * (c // reduction) + (c // reduction + 1) * k**2 * (c // group_channels)",
    macs="P * (c // reduction) * (c + k**2 * (c // group_channels))",
)
class Involution(nn.Module):
    """Every pixel weighs its k x k window with a kernel computed from itself, one for each group of channels.

    Shape: (N, c, H, W) -> (N, c, ceil(H/s), ceil(W/s)); k odd. s: stride, for Python users; YAML rows set theirs.
    group_channels: channels that share a kernel. reduction: c over the width in which kernels are computed.
    """

    def __init__(self, c: int, k: int = 7, s: int = 1, group_channels: int = 16, reduction: int = 4) -> None:
        super().__init__()
        at_least_one("Involution", c=c)
        at_least_one("Involution", s=s)
        divides("Involution", "group_channels", group_channels, c=c)
        if reduction < 1 or reduction > c:
            raise ValueError(f"Involution: reduction must lie between 1 and c={c}, got {reduction}")
        autopad(k)
        self.k, self.s = k, s
        self.conv1 = _Layer(c, c // reduction, norm=True)
        self.conv2 = _Layer(c // reduction, k * k * (c // group_channels), norm=False)

    def forward(self, x: Tensor) -> Tensor:
        seen = _mean_of_windows(x, self.s) if self.s > 1 else x
        kernels = watched(self, "kernels", self.conv2(self.conv1(seen).relu()))
        if torch.is_grad_enabled() or memory_format(x) is not torch.channels_last:
            return local_filter(x, kernels, self.k, self.s)
        # Each tap weighs whole maps: two thirds of the time where a channel's values are neighbours.
        y = local_filter(x.contiguous(), kernels.contiguous(), self.k, self.s)
        return y.contiguous(memory_format=torch.channels_last)


def _mean_of_windows(x: Tensor, s: int) -> Tensor:
    """Mean of each s x s window, of the part of it that lies on the map; as ceil_mode, which ONNX files get wrong."""
    missing = (0, s - 1, 0, s - 1)
    covered = F.avg_pool2d(F.pad(torch.ones_like(x[:1, :1]), missing), s)
    return F.avg_pool2d(F.pad(x, missing), s) / covered


class _Layer(nn.Module):
    """1x1 convolution, BatchNorm or its own bias."""

    def __init__(self, c1: int, c2: int, norm: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, 1, bias=not norm)
        self.bn = nn.BatchNorm2d(c2) if norm else nn.Identity()
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))
