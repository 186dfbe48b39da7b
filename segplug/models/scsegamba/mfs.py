"""MFS: SCSegamba's segmentation head, which joins four resolutions.

Paper: Liu et al. 2025 (SCSegamba), https://arxiv.org/abs/2503.01113, section 3.4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segplug.models.decoders.dysample import DySample
from yoloplug.blocks import GBC, BottConv, GroupNorm


class MFS(nn.Module):
    """Shape: maps of 128, 64, 32, 16 channels at H/8, H/4, H/2, H -> logits (N, 1, H, W).

    `GBC_8` and `GN_C` are in the published state_dict and used by nothing; they are kept so that it loads.
    """

    def __init__(self, channels: int = 8, dropout: float = 0.1) -> None:
        super().__init__()
        wide = 4 * channels
        self.linear_c4, self.linear_c3 = _Project(128, channels), _Project(64, channels)
        self.linear_c2, self.linear_c1 = _Project(32, channels), _Project(16, channels)
        self.DySample_C_8, self.DySample_C_4 = DySample(channels, 8), DySample(channels, 4)
        self.DySample_C_2 = DySample(channels, 2)
        self.GBC_C = GBC(wide)
        self.GBC_8 = GBC(channels, norm="IN")
        self.GN_C = GroupNorm(16, wide)
        self.linear_fuse = BottConv(wide, channels, 1, mid=1)
        self.dropout = nn.Dropout(dropout)
        self.linear_pred = BottConv(channels, 1, 1, mid=1)
        self.linear_pred_1 = nn.Conv2d(1, 1, 1)

    def forward(self, c4: Tensor, c3: Tensor, c2: Tensor, c1: Tensor) -> Tensor:
        levels = [
            self.DySample_C_8(self.linear_c4(c4)),
            self.DySample_C_4(self.linear_c3(c3)),
            self.DySample_C_2(self.linear_c2(c2)),
            self.linear_c1(c1),
        ]
        joined = self.linear_fuse(self.GBC_C(torch.cat(levels, dim=1)))
        return self.linear_pred_1(self.linear_pred(self.dropout(joined)))


class _Project(nn.Module):
    """A linear layer over the channels of a map."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.proj = nn.Linear(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x.movedim(1, -1)).movedim(-1, 1)
