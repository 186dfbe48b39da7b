"""DySample: upsampling at learned positions.

Paper: Liu et al. 2023, https://arxiv.org/abs/2308.15085, section 3.2 (style "lp", static scope 0.25).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DySample(nn.Module):
    """Shape: (N, C, H, W) -> (N, C, scale * H, scale * W). Channels are moved in `groups`; C divisible by groups.

    Each output pixel reads the input bilinearly where the plain grid plus a quarter of a 1x1 convolution says.
    `init_pos`, the plain grid's places within a pixel, is in the published state_dict, and never trained.
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
        high, wide = h * self.scale, w * self.scale
        # Predictions in the order of the grid: group, row and column within the pixel, across and down.
        order = (2, self.groups, self.scale, self.scale)
        weight = self.offset.weight.reshape(*order, c).movedim(0, 3).flatten(0, 3)
        bias = self.offset.bias.reshape(order).movedim(0, 3).flatten()  # type: ignore[union-attr]
        moved = F.linear(x.movedim(1, -1), weight, bias).reshape(n, h, w, self.groups, self.scale, self.scale, 2)
        moved = moved.permute(0, 3, 1, 4, 2, 5, 6).reshape(n, self.groups, high, wide, 2)
        kind, device = torch.promote_types(x.dtype, torch.float32), x.device  # places need its digits
        across, down = ((torch.arange(size, dtype=kind, device=device) * 2 + 1 - size) / size for size in (wide, high))
        plain = torch.stack([across.expand(high, wide), down[:, None].expand(high, wide)], dim=-1)
        quarter = torch.stack([torch.full((), 0.5 / size, dtype=kind, device=device) for size in (w, h)])
        grid = torch.addcmul(plain, moved, quarter).flatten(0, 1)
        groups = x.reshape(n * self.groups, c // self.groups, h, w).to(grid.dtype)
        seen = F.grid_sample(groups, grid, align_corners=False, padding_mode="border")
        return seen.reshape(n, c, high, wide).to(x.dtype)
