"""DDF: decoupled dynamic filters, a depthwise filter per pixel made from one per place and one per channel.

Paper: Zhou et al. 2021, https://arxiv.org/abs/2104.14107, figure 2 (the module), filter normalisation and DDF-Up.
State as the authors' DDFPack and DDFUpPack.
Mathematics: y_c(p) = Σ_t (S_t(p) · C_c,t) x_c(p + t) over the k x k taps t, or S + C with combine="add";
S = norm(W x + b) at each pixel, C = norm(W₂ ReLU(W₁ mean(x) + b₁) + b₂) · std; norm(f) = (f - mean f) / std f over a
filter's taps; S times gain / k. The k² c P products of the sum are element-wise: not in `macs`.
Use it when a depthwise convolution should adapt to place and image: a quarter of a 3x3 Conv's parameters and, in
training on a CPU at 64 channels, .6 of its time with yoloplug's C kernels, 1.5 to 2.4 times it without. It filters
every channel by itself: a 1x1 or 3x3 Conv beside it must mix them, as in C2f.
Departs: k=1 is refused (the deviation of one value), s rounds odd sizes up; heads > 1 works (there: head=1 only), as
does DDF-Up (the published module never had its scale, and passes head for combine).
"""

from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.checks import at_least_one, divides, finite, one_of
from yoloplug.blocks.parts.filters.local_filter import Combine, local_filter
from yoloplug.blocks.parts.padding import autopad
from yoloplug.registry import register

__all__ = ["DDF", "DDFUp"]


@register(
    "DDF",
    kind="keep",
    paper="arXiv:2104.14107",
    constraints="heads divides c; int(c * se_ratio) >= 1; k odd, at least 3",
    params="heads * k**2 * (c + 1) + floor(c * se_ratio) * (c + 1 + c * k**2) + 2 * c * k**2",
    macs="P * c * heads * k**2 + floor(c * se_ratio) * c * (1 + k**2)",
)
class DDF(nn.Module):
    """Filter each pixel and channel with the product (or sum) of a filter of the pixel and a filter of the channel.

    Shape: (N, c, H, W) -> (N, c, ceil(H/s), ceil(W/s)); k odd. s: stride, for Python users; YAML rows set theirs.
    d: dilation. heads: groups of channels with spatial filters of their own. combine: mul or add.
    se_ratio: width of the channel filters' hidden layer over c.
    """

    def __init__(
        self,
        c: int,
        k: int = 3,
        s: int = 1,
        d: int = 1,
        heads: int = 1,
        se_ratio: float = 0.2,
        combine: Combine = "mul",
    ) -> None:
        super().__init__()
        _check("DDF", c, k, d, heads, se_ratio, combine)
        at_least_one("DDF", s=s)
        self.k, self.s, self.d, self.combine = k, s, d, combine
        self.spatial_branch = _spatial_branch(c, k, s, heads, nn.init.calculate_gain("relu"))
        self.channel_branch = _channel_branch(c, k, se_ratio, nn.init.calculate_gain("relu"))

    def forward(self, x: Tensor) -> Tensor:
        gains = self.channel_branch(x).reshape(x.shape[0], -1, self.k**2)
        return local_filter(x, self.spatial_branch(x), self.k, self.s, self.d, gains, self.combine)


class DDFUp(nn.Module):
    """Enlarge a map `scale` times: each pixel of the output has a decoupled dynamic filter over the small map.

    Shape: x (N, c, H, W), guide (N, c_guide, H, W) or none -> (N, c, scale * H, scale * W). The spatial filters are
    computed from the guide where c_guide is given (then by a 3x3 depthwise and a 1x1 convolution), otherwise from x.
    """

    def __init__(
        self,
        c: int,
        k: int = 3,
        scale: int = 2,
        d: int = 1,
        heads: int = 1,
        se_ratio: float = 0.2,
        combine: Combine = "mul",
        c_guide: int | None = None,
    ) -> None:
        super().__init__()
        _check("DDFUp", c, k, d, heads, se_ratio, combine)
        at_least_one("DDFUp", scale=scale, **({} if c_guide is None else {"c_guide": c_guide}))
        self.k, self.scale, self.d, self.combine = k, scale, d, combine
        self.guided = c_guide is not None
        places = range(scale**2)
        self.spatial_branch = nn.ModuleList(
            _spatial_branch(c if c_guide is None else c_guide, k, 1, heads, 1.0, c_guide is not None) for _ in places
        )
        self.channel_branch = nn.ModuleList(_channel_branch(c, k, se_ratio, 1.0) for _ in places)

    def forward(self, x: Tensor, guide: Tensor | None = None) -> Tensor:
        if (guide is not None) != self.guided:
            raise ValueError(f"DDFUp: a guide was {'not ' * (guide is None)}given, but c_guide says otherwise")
        places = []
        for spatial, channel in zip(self.spatial_branch, self.channel_branch, strict=True):
            filters = spatial(x if guide is None else guide)
            gains = channel(x).reshape(x.shape[0], -1, self.k**2)
            places.append(local_filter(x, filters, self.k, 1, self.d, gains, self.combine))
        return F.pixel_shuffle(torch.stack(places, 2).flatten(1, 2), self.scale)


class _FilterNorm(nn.LayerNorm):
    """Mean 0 and deviation 1 over the `taps` values of each filter, then a factor: fixed, or learned per channel.

    Shape: (N, filters * taps, H, W) -> same.
    """

    def __init__(self, taps: int, std: float | nn.Parameter) -> None:
        super().__init__(taps, eps=1e-10, elementwise_affine=False)
        self.taps = taps
        self.std = std

    def forward(self, input: Tensor) -> Tensor:
        x = input
        n, c, h, w = x.shape
        filters = x.to(torch.promote_types(x.dtype, torch.float32)).reshape(n, c // self.taps, self.taps, h, w)
        filters = filters - filters.mean(2, keepdim=True)
        # torch's own deviation takes 60 times as long on a CPU; equal taps have no gradient here either
        variance = filters.square().sum(2, keepdim=True) / (self.taps - 1)
        filters = filters / (variance.clamp_min(torch.finfo(filters.dtype).tiny).sqrt() + self.eps)
        factor = self.std.reshape(-1, 1, 1) if isinstance(self.std, nn.Parameter) else self.std
        return (filters.flatten(1, 2) * factor).to(x.dtype)


def _spatial_branch(c: int, k: int, s: int, heads: int, gain: float, depthwise: bool = False) -> nn.Sequential:
    before = [nn.Conv2d(c, c, 3, padding=1, groups=c)] if depthwise else []
    return nn.Sequential(*before, nn.Conv2d(c, heads * k * k, 1, stride=s), _FilterNorm(k * k, gain / k))


def _channel_branch(c: int, k: int, se_ratio: float, gain: float) -> nn.Sequential:
    hidden = int(c * se_ratio)
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(c, hidden, 1),
        nn.ReLU(),
        nn.Conv2d(hidden, c * k * k, 1),
        _FilterNorm(k * k, nn.Parameter(torch.randn(c * k * k) * gain / k)),
    )


def _check(name: str, c: int, k: int, d: int, heads: int, se_ratio: float, combine: str) -> None:
    autopad(k, d)
    finite(name, se_ratio=se_ratio)
    if k == 1:
        raise ValueError(f"{name}: k=1 has one tap, whose deviation is not defined; use k=3")
    at_least_one(name, c=c)
    divides(name, "heads", heads, c=c)
    if int(c * se_ratio) < 1:
        raise ValueError(f"{name}: c={c}, se_ratio={se_ratio} leave no hidden channel; use se_ratio >= {1 / c:.3g}")
    one_of(name, get_args(Combine), combine=combine)
