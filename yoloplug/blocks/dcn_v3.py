"""DCNv3: deformable aggregation with softmax weights, groups like attention heads, and cheap per-pixel predictors.

Paper: Wang et al. 2023 (InternImage), https://arxiv.org/abs/2211.05778, section 3.1. State as its `DCNv3_pytorch`.
Departs: channels first in and out (the reference: last); any H, W in an exported file (there: fixed at export);
positions in float64 for float64 input (there: always float32).
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks._affine import absorb_affine
from yoloplug.blocks._divisors import divisors
from yoloplug.blocks._padding import autopad
from yoloplug.blocks.deform_op import sample, tap_offsets
from yoloplug.registry import register

__all__ = ["DCNv3"]

Norm = Literal["LN", "BN"]


@register("DCNv3", kind="keep", paper="arXiv:2211.05778", constraints="groups divides c; k and dw_k odd")
class DCNv3(nn.Module):
    """Every pixel collects k x k values of its group at predicted places, with weights that sum to 1.

    Shape: (N, c, H, W) -> same. offset_scale multiplies the taps' grid and the predicted offsets, in pixels.
    center_feature_scale: blend with the unmoved value by a predicted share. remove_center: leave out the middle tap.
    dw_k: kernel of the depthwise convolution in front of the predictors, k by default. norm, act: what follows it.
    """

    def __init__(
        self,
        c: int,
        k: int = 3,
        groups: int = 4,
        d: int = 1,
        offset_scale: float = 1.0,
        center_feature_scale: bool = False,
        remove_center: bool = False,
        dw_k: int | None = None,
        norm: Norm = "LN",
        act: type[nn.Module] = nn.GELU,
    ) -> None:
        super().__init__()
        if groups < 1 or c % groups:
            raise ValueError(f"DCNv3: c={c} is not divisible by groups={groups}; use groups from {divisors(c)}")
        if norm not in get_args(Norm):
            raise ValueError(f"DCNv3: norm must be one of {get_args(Norm)}, got {norm!r}")
        if remove_center and k == 1:
            raise ValueError("DCNv3: remove_center leaves no tap of k=1; use k=3")
        self.k, self.d, self.p, self.groups = k, d, autopad(k, d), groups
        self.offset_scale, self.remove_center = offset_scale, remove_center
        taps = groups * (k * k - remove_center)
        dw_k = k if dw_k is None else dw_k
        normalise = (
            [_ChannelsLast(), nn.LayerNorm(c, eps=1e-6)] if norm == "LN" else [nn.BatchNorm2d(c), _ChannelsLast()]
        )
        self.dw_conv = nn.Sequential(
            nn.Conv2d(c, c, dw_k, padding=autopad(dw_k), groups=c), nn.Sequential(*normalise), act()
        )
        self.offset = nn.Linear(c, 2 * taps)
        self.mask = nn.Linear(c, taps)
        self.input_proj = nn.Linear(c, c)
        self.output_proj = nn.Linear(c, c)
        shares = groups if center_feature_scale else None
        self.center_feature_scale_proj_weight = nn.Parameter(torch.zeros(shares, c)) if shares else None
        self.center_feature_scale_proj_bias = nn.Parameter(torch.zeros(shares)) if shares else None
        for layer in (self.input_proj, self.output_proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        for parameter in (*self.offset.parameters(), *self.mask.parameters()):
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        features = self.dw_conv(x)
        value = self.input_proj(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        y = self._aggregate(value, self.offset(features), self.mask(features))
        if self.center_feature_scale_proj_weight is not None:
            weight, bias = self.center_feature_scale_proj_weight, self.center_feature_scale_proj_bias
            share = F.linear(features, weight, bias).sigmoid().permute(0, 3, 1, 2)
            share = share.repeat_interleave(x.shape[1] // self.groups, dim=1)
            y = y * (1 - share) + value * share
        return self.output_proj(y.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def _aggregate(self, value: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        """value: (N, c, H, W); offset: (N, H, W, groups * taps * 2), dx then dy; mask: (N, H, W, groups * taps)."""
        n, c, h, w = value.shape
        exact = torch.float64 if value.dtype == torch.float64 else torch.float32
        offset = offset.to(exact).reshape(n, h, w, self.groups, -1, 2).permute(5, 0, 3, 4, 1, 2).flatten(1, 2)
        weights = mask.reshape(n, h, w, self.groups, -1).softmax(-1).permute(0, 3, 4, 1, 2).flatten(0, 1)[:, None]
        # The reference runs through its taps column by column.
        across, down = tap_offsets((self.k, self.k), (self.d, self.d), offset)
        if self.remove_center:
            kept = [tap for tap in range(self.k**2) if tap != self.k**2 // 2]
            across, down = across[kept], down[kept]
        rows = torch.arange(h, dtype=exact, device=value.device)[:, None]
        columns = torch.arange(w, dtype=exact, device=value.device)
        rows = rows + (offset[1] + down - self.p) * self.offset_scale
        columns = columns + (offset[0] + across - self.p) * self.offset_scale
        seen = sample(value.reshape(n * self.groups, c // self.groups, h, w), rows, columns)
        return (seen * weights).sum(2).reshape(n, c, h, w).to(value.dtype)

    def fold_affine(self, scale: Tensor, shift: Tensor) -> None:
        """Make the output scale * y + shift per channel, in place."""
        absorb_affine(self.output_proj, scale, shift)


class _ChannelsLast(nn.Module):
    """(N, C, H, W) -> (N, H, W, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)
