"""Sum the values that each pixel of each group looks at, with weights: what DCNv3 and DCNv4 share.

Papers: Wang et al. 2023 (DCNv3), https://arxiv.org/abs/2211.05778, equation 2; Xiong et al. 2024 (DCNv4),
https://arxiv.org/abs/2401.06197, equation 1.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yoloplug.blocks.parts.checks import at_least_one, divides, finite
from yoloplug.blocks.parts.deformable.deform_conv2d import sample, tap_offsets
from yoloplug.blocks.parts.padding import autopad
from yoloplug.native import deformable as kernel
from yoloplug.native.use import applies


class DeformableAggregation(nn.Module):
    """Where the taps of DCNv3 and DCNv4 lie, and their blend with the unmoved value (center_feature_scale)."""

    center_feature_scale_proj_weight: nn.Parameter | None
    center_feature_scale_proj_bias: nn.Parameter | None

    def __init__(
        self, c: int, k: int, groups: int, d: int, offset_scale: float, center_feature_scale: bool, remove_center: bool
    ) -> None:
        super().__init__()
        name = type(self).__name__
        at_least_one(name, c=c)
        finite(name, offset_scale=offset_scale)
        divides(name, "groups", groups, c=c)
        autopad(k, d)
        if remove_center and k == 1:
            raise ValueError(f"{name}: remove_center leaves no tap of k=1; use k=3")
        self.k, self.d, self.groups, self.taps = k, d, groups, k * k - remove_center
        self.offset_scale, self.remove_center = offset_scale, remove_center
        shares = groups if center_feature_scale else None
        self.center_feature_scale_proj_weight = nn.Parameter(torch.zeros(shares, c)) if shares else None
        self.center_feature_scale_proj_bias = nn.Parameter(torch.zeros(shares)) if shares else None

    def aggregate(self, value: Tensor, across: Tensor, down: Tensor, weights: Tensor) -> Tensor:
        """deform_aggregate for a value (N, H, W, c), which it returns."""
        value = value.permute(0, 3, 1, 2)
        y = deform_aggregate(value, across, down, weights, self.k, self.d, self.offset_scale, self.remove_center)
        return y.permute(0, 2, 3, 1)

    def blended(self, y: Tensor, value: Tensor, features: Tensor) -> Tensor:
        """y, or shares of y and of the value that are computed from the features; all (N, H, W, c)."""
        weight, bias = self.center_feature_scale_proj_weight, self.center_feature_scale_proj_bias
        if weight is None:
            return y
        share = F.linear(features, weight, bias).sigmoid().repeat_interleave(y.shape[-1] // self.groups, dim=-1)
        return y * (1 - share) + value * share


def deform_aggregate(
    value: Tensor, across: Tensor, down: Tensor, weights: Tensor, k: int, d: int, scale: float, remove_center: bool
) -> Tensor:
    """y_c(p) = sum over taps t of weights_gt(p) * value_c(p + scale * (t + (down, across)_gt(p))), t without padding.

    value: (N, c, H, W). across, down (pixels), weights: (N, groups, taps, H, W); taps run column by column, k * k of
    them, one less with remove_center. Returns (N, c, H, W) in value's type; positions are float32 or wider.
    """
    if applies(value, across, down, weights):
        return _by_kernel(value, across, down, weights, k, d, scale, remove_center)
    return _by_sampling(value, across, down, weights, k, d, scale, remove_center)


def _by_kernel(
    value: Tensor, across: Tensor, down: Tensor, weights: Tensor, k: int, d: int, scale: float, remove_center: bool
) -> Tensor:
    along = [(tap - k // 2) * d for tap in range(k)]
    kept = [tap for tap in range(k**2) if not remove_center or tap != k**2 // 2]
    taps = [float(along[tap % k]) for tap in kept], [float(along[tap // k]) for tap in kept]

    def operation(value: Tensor, across: Tensor, down: Tensor, weights: Tensor) -> Tensor:
        return _by_sampling(value, across, down, weights, k, d, scale, remove_center)

    return kernel.deform_aggregate(value, across, down, weights, taps, scale, operation)


def _by_sampling(
    value: Tensor, across: Tensor, down: Tensor, weights: Tensor, k: int, d: int, scale: float, remove_center: bool
) -> Tensor:
    n, c, h, w = value.shape
    groups = weights.shape[1]
    exact = torch.float64 if value.dtype == torch.float64 else torch.float32
    across, down, weights = (tensor.to(exact).flatten(0, 1) for tensor in (across, down, weights))
    to_the_right, below = tap_offsets((k, k), (d, d), weights)
    if remove_center:
        kept = [tap for tap in range(k**2) if tap != k**2 // 2]
        to_the_right, below = to_the_right[kept], below[kept]
    p = autopad(k, d)
    rows = torch.arange(h, dtype=exact, device=value.device)[:, None] + (down + below - p) * scale
    columns = torch.arange(w, dtype=exact, device=value.device) + (across + to_the_right - p) * scale
    seen = sample(value.reshape(n * groups, c // groups, h, w), rows, columns)
    return (seen * weights[:, None]).sum(2).reshape(n, c, h, w).to(value.dtype)
