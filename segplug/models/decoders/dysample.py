"""DySample: upsampling at learned positions.

Paper: Liu et al. 2023, https://arxiv.org/abs/2308.15085, section 3.2 (style "lp", static scope 0.25).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DySample(nn.Module):
    """Shape: (N, C, H, W) -> (N, C, scale * H, scale * W). Channels are moved in `groups`; C divisible by groups.

    Each output pixel reads the input bilinearly where the plain grid plus a quarter of a 1x1 convolution says.
    """

    init_pos: Tensor

    def __init__(self, in_channels: int, scale: int, groups: int = 4) -> None:
        super().__init__()
        if in_channels % groups:
            raise ValueError(f"DySample: groups={groups} does not divide in_channels={in_channels}")
        self.scale, self.groups = scale, groups
        self.offset = nn.Conv2d(in_channels, 2 * groups * scale**2, 1)
        nn.init.normal_(self.offset.weight, std=0.001)
        nn.init.zeros_(self.offset.bias)  # type: ignore[arg-type]
        steps = (torch.arange(scale) - (scale - 1) / 2) / scale
        across, down = steps.repeat(scale), steps.repeat_interleave(scale)
        start = torch.stack([across, down])[:, None].expand(-1, groups, -1)
        self.register_buffer("init_pos", start.reshape(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        moved = F.pixel_shuffle(
            (self.offset(x) * 0.25 + self.init_pos).reshape(n * 2 * self.groups, self.scale**2, h, w), self.scale
        ).reshape(n, 2, self.groups, h * self.scale, w * self.scale)
        rows = torch.arange(h, dtype=x.dtype, device=x.device) + 0.5
        columns = torch.arange(w, dtype=x.dtype, device=x.device) + 0.5
        base_x = columns.repeat_interleave(self.scale).expand(h * self.scale, -1)
        base_y = rows.repeat_interleave(self.scale)[:, None].expand(-1, w * self.scale)
        grid = torch.stack([2 * (moved[:, 0] + base_x) / w - 1, 2 * (moved[:, 1] + base_y) / h - 1], dim=-1)
        groups = x.reshape(n * self.groups, c // self.groups, h, w)
        seen = F.grid_sample(groups, grid.flatten(0, 1), align_corners=False, padding_mode="border")
        return seen.reshape(n, c, h * self.scale, w * self.scale)
