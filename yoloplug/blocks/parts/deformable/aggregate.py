"""Sum the values that each pixel of each group looks at, with weights: what DCNv3 and DCNv4 share.

Papers: Wang et al. 2023 (DCNv3), https://arxiv.org/abs/2211.05778, equation 2; Xiong et al. 2024 (DCNv4),
https://arxiv.org/abs/2401.06197, equation 1.
"""

import torch
from torch import Tensor

from yoloplug.blocks.parts.deformable.deform_conv2d import sample, tap_offsets
from yoloplug.blocks.parts.padding import autopad

__all__ = ["deform_aggregate"]


def deform_aggregate(
    value: Tensor, across: Tensor, down: Tensor, weights: Tensor, k: int, d: int, scale: float, remove_center: bool
) -> Tensor:
    """y_c(p) = sum over taps t of weights_gt(p) * value_c(p + scale * (t + (down, across)_gt(p))), t without padding.

    value: (N, c, H, W). across, down (pixels), weights: (N, groups, taps, H, W); taps run column by column, k * k of
    them, one less with remove_center. Returns (N, c, H, W) in value's type; positions are float32 or wider.
    """
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
