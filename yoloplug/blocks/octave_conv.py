"""OctaveConv: convolution that keeps part of the channels at half resolution.

Paper: Chen et al. 2019 (Octave Convolution), https://arxiv.org/abs/1904.05049, sections 3.2 and 3.3.
Mathematics:
    A pair of maps, h at full and l at half resolution; pool is the 2x2 average, up repeats the nearest pixel:
    h' = K₁ * h + up(K₂ * l)
    l' = K₃ * l + K₄ * pool(h)
    At stride 2: h' = K₁ * pool(h) + K₂ * l  and  l' = K₃ * pool(l) + K₄ * pool(pool(h)).
    A share alpha of the channels is at half resolution. The first layer of a chain has no l, the last makes no l'.
    OctaveConv is such a chain inside one row: first, BatchNorm, ReLU, [middle, BatchNorm, ReLU,] ..., last.
Use it when two or more plain convolutions in a row are to cost less: alpha = 1/2 saves 37 % of the multiplications of
the first and the last, 56 % of each between. Not for a single convolution: the shortest row costs 1.25 times as much.
Departs: any size (odd maps keep their last row and column when pooled, `up` goes to the size of h; d-li14's code wants
even sizes); a width is split without remainder. At stride 2, lxtGH's code pools l too and upsamples after: not offered.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.folding.affine import absorb_affine
from yoloplug.blocks.parts.folding.batch_norm import bn_affine
from yoloplug.blocks.parts.norms.normalised import normalised
from yoloplug.blocks.parts.padding import autopad
from yoloplug.blocks.parts.reference_state import known
from yoloplug.registry import register

__all__ = ["OctaveConv", "OctaveConvNormAct", "OctavePair"]

Bands = tuple[Tensor, Tensor | None]


@register(
    "OctaveConv",
    kind="conv",
    paper="arXiv:1904.05049",
    constraints="k odd; s 1 or 2; 1 <= alpha*c2 < c2",
    params="k*k*c2*(c1 + (middle + 1)*c2) + 2*c2*(middle + 1)",
    macs="k*k*((c1 + c2)*P*(c2 - floor(alpha*c2)) + middle*P*(c2 - floor(alpha*c2))**2"
    " + ceil(H/s/2)*ceil(W/s/2)*((c1 + c2)*floor(alpha*c2) + middle*(c2**2 - (c2 - floor(alpha*c2))**2)))",
)
class OctaveConv(nn.Module):
    """A chain of convolutions on pairs of resolutions, from one map to one map.

    Shape: (N, c1, H, W) -> (N, c2, ceil(H/s), ceil(W/s)); k odd, s 1 or 2.
    alpha: share of the channels at half resolution. middle: layers between the first and the last.
    """

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        alpha: float = 0.5,
        middle: int = 0,
        act: type[nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        if middle < 0:
            raise ValueError(f"OctaveConv: middle must be at least 0, got {middle}")
        if alpha == 0:
            raise ValueError("OctaveConv: alpha=0 leaves no channel at half resolution; use a stock Conv")
        self.first = OctaveConvNormAct(c1, c2, k, s, 0, alpha, act)
        self.middle = nn.ModuleList(OctaveConvNormAct(c2, c2, k, 1, alpha, alpha, act) for _ in range(middle))
        self.last = OctavePair(c2, c2, k, 1, alpha, 0)

    def forward(self, x: Tensor) -> Tensor:
        high, low = self.first(x)
        for layer in self.middle:
            high, low = layer(high, low)
        high, _ = self.last(high, low)
        return high

    def fold_affine(self, scale: Tensor, shift: Tensor) -> None:
        self.last.fold_high(scale, shift)


class OctavePair(nn.Module):
    """One octave convolution, pair in and pair out.

    Shape: high (N, c1 - a, H, W) and low (N, a, H/2, W/2) with a = int(alpha_in * c1), H/2 rounded up or down;
    returns high (N, c2 - b, ceil(H/s), ceil(W/s)) and low (N, b, half of that) with b = int(alpha_out * c2).
    alpha_in=0: no low input. alpha_out=0: the low output is None. k odd, s 1 or 2.
    """

    def __init__(self, c1: int, c2: int, k: int = 3, s: int = 1, alpha_in: float = 0.5, alpha_out: float = 0.5) -> None:
        super().__init__()
        if s not in (1, 2):
            raise ValueError(f"OctaveConv: s must be 1 or 2, got {s}; pool before it for more")
        low1, low2 = _low("c1", c1, alpha_in), _low("c2", c2, alpha_out)
        self.halves = s == 2

        def conv(a: int, b: int) -> nn.Conv2d | None:
            return nn.Conv2d(a, b, k, padding=autopad(k), bias=False) if a and b else None

        self.conv_h2h = nn.Conv2d(c1 - low1, c2 - low2, k, padding=autopad(k), bias=False)
        self.conv_h2l = conv(c1 - low1, low2)
        self.conv_l2h = conv(low1, c2 - low2)
        self.conv_l2l = conv(low1, low2)

    def forward(self, high: Tensor, low: Tensor | None = None) -> Bands:
        if self.halves:
            high = _pool(high)
        wide = self.conv_h2h(high)
        if self.conv_l2h is not None and low is not None:
            wide = wide + F.interpolate(self.conv_l2h(low), wide.shape[-2:], mode="nearest")
        if self.conv_h2l is None:
            return wide, None
        half = _pool(high)
        if self.conv_l2l is None or low is None:
            return wide, self.conv_h2l(half)
        low = _pool(low) if self.halves else low
        # Low maps of odd parents are rounded up or down: the pooled one has at most a row and a column more.
        return wide, self.conv_h2l(half[..., : low.shape[-2], : low.shape[-1]]) + self.conv_l2l(low)

    def fold_high(self, scale: Tensor, shift: Tensor) -> None:
        """Make the high output scale * y + shift per channel, in place."""
        _fold(self.conv_h2h, self.conv_l2h, scale, shift)

    def fold_low(self, scale: Tensor, shift: Tensor) -> None:
        """Make the low output scale * y + shift per channel, in place."""
        assert self.conv_h2l is not None
        _fold(self.conv_h2l, self.conv_l2l, scale, shift)

    @staticmethod
    def convert_reference(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
        """State of d-li14's, braincreators' (as ours) or lxtGH's OctaveConv (l2l, not conv_l2l) -> ours."""
        return known("OctavePair", state_dict, r"conv_[hl]2[hl]\.weight", {r"^([hl]2[hl])\.": r"conv_\1."})


class OctaveConvNormAct(nn.Module):
    """OctavePair, then BatchNorm and activation on both maps; arguments and shapes as there."""

    def __init__(
        self,
        c1: int,
        c2: int,
        k: int = 3,
        s: int = 1,
        alpha_in: float = 0.5,
        alpha_out: float = 0.5,
        act: type[nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        self.conv = OctavePair(c1, c2, k, s, alpha_in, alpha_out)
        low = int(alpha_out * c2)
        self.bn_h: nn.Module = nn.BatchNorm2d(c2 - low)
        self.bn_l = nn.BatchNorm2d(low) if low else nn.Identity()
        self.act = act()

    def forward(self, high: Tensor, low: Tensor | None = None) -> Bands:
        high, low = self.conv(high, low)
        return normalised(self.bn_h, high, self.act), None if low is None else normalised(self.bn_l, low, self.act)

    def fold_norms(self) -> None:
        """Fold both BatchNorms into the convolutions, in place."""
        if isinstance(self.bn_h, nn.BatchNorm2d):
            self.conv.fold_high(*bn_affine(self.bn_h))
            self.bn_h = nn.Identity()
        if isinstance(self.bn_l, nn.BatchNorm2d):
            self.conv.fold_low(*bn_affine(self.bn_l))
            self.bn_l = nn.Identity()


def _low(name: str, c: int, alpha: float) -> int:
    """Channels at half resolution. Raises ValueError with a remedy."""
    if not 0 <= alpha < 1:
        raise ValueError(f"OctaveConv: alpha must be at least 0 and below 1 (some channels stay whole), got {alpha}")
    low = int(alpha * c)
    if c < 1 or (alpha > 0 and low < 1):
        raise ValueError(f"OctaveConv: alpha={alpha} of {name}={c} channels is less than one; use a wider {name}")
    return low


def _pool(x: Tensor) -> Tensor:
    """2x2 averages; of the last row or column of an odd map, what there is."""
    return F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)


@torch.no_grad()
def _fold(own: nn.Conv2d, cross: nn.Conv2d | None, scale: Tensor, shift: Tensor) -> None:
    absorb_affine(own, scale, shift)
    if cross is not None:
        cross.weight.mul_(scale.to(cross.weight)[:, None, None, None])
